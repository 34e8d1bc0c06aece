"""The metrics of one set of predictions beside the one that choices are made on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from scipy.stats import rankdata
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.types import LabelKind, Metric
from gssl.evaluate.metrics import evaluate

# Those of classes are computed here all at once: one probe may score hundreds of small folds and restarts.
_COLUMNS: dict[LabelKind, tuple[Metric, ...]] = {
    "multilabel": ("roc_auc", "average_precision", "micro_f1", "accuracy"),
    "regression": ("rmse", "mae"),
}


def further_metrics(
    first: Metric, y: Tensor, scores: Tensor, kind: LabelKind, *, predicted: Tensor | None = None
) -> dict[Metric, float]:
    """Every usual metric of these predictions but the first one.

    Classes have ``accuracy``, ``micro_f1``, ``macro_f1`` and ``roc_auc``, tasks ``roc_auc``, ``average_precision``,
    ``micro_f1`` and ``accuracy``, real targets ``rmse`` and ``mae``, each as :func:`gssl.evaluate.metrics.evaluate`
    defines it. What these items leave undefined (the ROC-AUC of a single class, anything of no items) is left out.

    Args:
        first: the metric that is known already.
        y: labels, as for ``evaluate``.
        scores: decision values, as for ``evaluate``.
        kind: what kind of labels ``y`` holds.
        predicted: classes, shape (n,), int64, of a classifier that does not always predict the one with the largest
            score; of ``multiclass`` alone.

    Example:
        >>> further_metrics("accuracy", torch.tensor([0, 1]), torch.tensor([[2.0, 1.0], [3.0, 4.0]]), "multiclass")
        {'micro_f1': 1.0, 'macro_f1': 1.0, 'roc_auc': 1.0}
    """
    if y.shape[0] == 0:
        return {}
    found = _of_classes(y, scores, predicted) if kind == "multiclass" else _of_columns(y, scores, kind)
    return {name: value for name, value in found.items() if name != first}


def paired(val: Mapping[Metric, float], test: Mapping[Metric, float]) -> dict[Metric, tuple[float, float]]:
    """Validation and test value of each metric; NaN where one of them is missing.

    Example:
        >>> paired({}, {"macro_f1": 0.5})
        {'macro_f1': (nan, 0.5)}
    """
    return {name: (val.get(name, math.nan), test.get(name, math.nan)) for name in {**test, **val}}


def mean_metrics(found: Sequence[Mapping[Metric, float]]) -> dict[Metric, float]:
    """The mean of each metric over several sets of predictions for the same items."""
    return {name: sum(each[name] for each in found) / len(found) for name in found[0]}


def _of_classes(y: Tensor, scores: Tensor, predicted: Tensor | None) -> dict[Metric, float]:
    guess = scores.argmax(dim=1) if predicted is None else predicted
    accuracy = float((y == guess).double().mean())
    found = {"accuracy": accuracy, "micro_f1": accuracy, "macro_f1": _macro_f1(y, guess, scores.shape[1])}
    auc = _roc_auc(y, scores)
    return found if auc is None else {**found, "roc_auc": auc}


def _macro_f1(y: Tensor, guess: Tensor, num_classes: int) -> float:
    """Mean over the classes that are there or were predicted, as scikit-learn takes it."""
    right = torch.bincount(y[y == guess], minlength=num_classes)
    both = torch.bincount(y, minlength=num_classes) + torch.bincount(guess, minlength=num_classes)
    return float((2 * right[both > 0].double() / both[both > 0]).mean())


def _roc_auc(y: Tensor, scores: Tensor) -> float | None:
    """The chance that an item of a class ranks above one of the others, a mean over classes with both; by rank sums."""
    if scores.shape[1] == 2:
        positive, ranked = (y == 1).unsqueeze(1), (scores[:, 1] - scores[:, 0]).unsqueeze(1)
    else:
        positive, ranked = y.unsqueeze(1) == torch.arange(scores.shape[1]), scores.log_softmax(dim=1)
    inside = positive.sum(dim=0).double()
    outside = y.shape[0] - inside
    mixed = (inside > 0) & (outside > 0)
    if not mixed.any():
        return None
    ranks = torch.from_numpy(rankdata(ranked.T[mixed].numpy(), axis=1))
    inside, outside = inside[mixed], outside[mixed]
    sums = (ranks * positive.T[mixed]).sum(dim=1)
    return float(((sums - inside * (inside + 1) / 2) / (inside * outside)).mean())


def _of_columns(y: Tensor, scores: Tensor, kind: LabelKind) -> dict[Metric, float]:
    found: dict[Metric, float] = {}
    if y.isnan().all():
        return found
    for name in _COLUMNS[kind]:
        try:
            found[name] = evaluate(name, y, scores, kind)
        except InputError:  # no column has both values
            continue
    return found
