"""OGB's protocol: its split, its evaluator, and the default probe's classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.ogb_import import without_update_check
from gssl.datasets.types import Dataset, LabelKind, Metric, Split
from gssl.evaluate.lbfgs import LbfgsProbe
from gssl.evaluate.metrics import evaluate

# OGB's evaluators differ in their metric and their number of tasks only: one that has the metric, and its key there.
_EVALUATORS: dict[Metric, tuple[str, str]] = {
    "accuracy": ("ogbg-ppa", "acc"),
    "roc_auc": ("ogbg-molhiv", "rocauc"),
    "average_precision": ("ogbg-molpcba", "ap"),
    "rmse": ("ogbg-molesol", "rmse"),
}


class OgbProbe(LbfgsProbe):
    """OGB's split and evaluator (Hu et al., 2020, arXiv:2005.00687) over the classifier of the default probe.

    Validation and test scores come from ogb's own ``Evaluator``. A folder in OGB's layout names its metric in
    ``meta.json`` and is scored by the evaluator of that metric; metrics that ogb has no evaluator for are computed as
    everywhere else.
    """

    name = "OGB"

    def splits(self, dataset: Dataset, seed: int) -> Sequence[Split]:
        if len(dataset.splits) != 1:
            raise InputError(
                f"probe OGB needs the one split that OGB gives, but {dataset.name} has {len(dataset.splits)}; "
                "use --probe LBFGS"
            )
        return dataset.splits

    def measure(self, metric: Metric, y: Tensor, scores: Tensor, kind: LabelKind) -> float:
        if metric not in _EVALUATORS:
            return evaluate(metric, y, scores, kind)
        name, key = _EVALUATORS[metric]
        evaluator = _evaluator(name)
        truth, predicted = _columns(metric, y, scores, kind)
        evaluator.num_tasks = truth.shape[1]
        try:
            return float(evaluator.eval({"y_true": truth.numpy(), "y_pred": predicted.numpy()})[key])
        except (RuntimeError, ZeroDivisionError) as error:
            raise InputError(f"ogb's evaluator cannot score these items: {error}") from None


def _evaluator(name: str) -> Any:
    with without_update_check():
        from ogb.graphproppred import Evaluator
    return Evaluator(name)


def _columns(metric: Metric, y: Tensor, scores: Tensor, kind: LabelKind) -> tuple[Tensor, Tensor]:
    """Labels and predictions as the evaluators take them, each of shape (n, num_tasks)."""
    if kind != "multiclass":
        return y, (scores > 0).to(y.dtype) if metric == "accuracy" else scores
    if metric == "accuracy":
        return y.unsqueeze(1), scores.argmax(dim=1, keepdim=True)
    if scores.shape[1] == 2:
        return y.unsqueeze(1), (scores[:, 1] - scores[:, 0]).unsqueeze(1)
    raise InputError(f"ogb ranks two classes, but there are {scores.shape[1]}: metric {metric!r} needs --probe LBFGS")
