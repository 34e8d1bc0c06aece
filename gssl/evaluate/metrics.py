"""Names of metrics, and those of labels and decision values, which scikit-learn computes.

Missing labels are handled as OGB does. Metrics of pairs are in :mod:`gssl.evaluate.ranking`, those of clusters in
:mod:`gssl.evaluate.clusters`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    mean_absolute_error,
    roc_auc_score,
    root_mean_squared_error,
)
from torch import Tensor

from gssl.common.errors import InputError, unknown
from gssl.datasets.types import LabelKind, Metric

ERRORS: frozenset[Metric] = frozenset({"mae", "rmse"})
_RANKING: frozenset[Metric] = frozenset({"roc_auc", "average_precision"})
_OF_LABELS = ERRORS | _RANKING | {"accuracy", "micro_f1", "macro_f1"}
_OF_OTHERS = frozenset({"nmi", "ari", "mrr"})
_HITS = re.compile(r"hits@([1-9][0-9]*)")

Array = NDArray[np.generic]


def check_metric(name: str) -> Metric:
    """The name itself, if a metric is called so.

    Known are ``accuracy``, ``micro_f1``, ``macro_f1``, ``roc_auc``, ``average_precision``, ``mae``, ``rmse``, ``nmi``,
    ``ari``, ``mrr`` and ``hits@K`` with any K from 1.

    Raises:
        InputError: there is no such metric; the message names the nearest one.
    """
    if name in _OF_LABELS or name in _OF_OTHERS or hits_cutoff(name) is not None:
        return name
    raise unknown("metric", name, [*_OF_LABELS, *_OF_OTHERS, "hits@20"])


def hits_cutoff(metric: Metric) -> int | None:
    """The K of ``hits@K``; None for other metrics.

    Example:
        >>> hits_cutoff("hits@50"), hits_cutoff("mrr")
        (50, None)
    """
    found = _HITS.fullmatch(metric)
    return None if found is None else int(found[1])


def higher_is_better(metric: Metric) -> bool:
    """False for errors.

    Raises:
        InputError: there is no such metric.

    Example:
        >>> higher_is_better("accuracy"), higher_is_better("hits@20"), higher_is_better("rmse")
        (True, True, False)
    """
    return check_metric(metric) not in ERRORS


def require_fitting_metric(metric: Metric, kind: LabelKind) -> None:
    """
    Raises:
        InputError: there is no such metric, or it is none of these labels.
    """
    check_metric(metric)
    if metric not in _OF_LABELS or (metric in ERRORS) != (kind == "regression"):
        fitting = sorted(ERRORS if kind == "regression" else _OF_LABELS - ERRORS)
        raise InputError(f"metric {metric!r} does not fit {kind} labels; fitting: {', '.join(fitting)}")


def evaluate(metric: Metric, y: Tensor, scores: Tensor, kind: LabelKind) -> float:
    """One number for the quality of the scores.

    Metrics of several columns are means over the columns in which they are defined (ROC-AUC and average precision
    need a positive and a negative item), except ``micro_f1``, which pools all entries. A multiclass problem is ranked
    one class against the rest; with two classes that is the usual binary metric of class 1.

    Args:
        metric: what to compute.
        y: labels, shape (n,) int64 for ``multiclass``, else (n, num_columns) float where NaN is missing.
        scores: decision values, shape (n, num_classes) for ``multiclass`` (the largest is the prediction), else
            (n, num_columns): positive values predict the label of ``multilabel``, predictions of ``regression``.
        kind: what kind of labels ``y`` holds.

    Raises:
        InputError: the metric does not fit the task or is undefined for these items.

    Example:
        >>> evaluate("accuracy", torch.tensor([0, 1]), torch.tensor([[2.0, 1.0], [3.0, 0.0]]), "multiclass")
        0.5
    """
    require_fitting_metric(metric, kind)
    if y.shape[0] == 0:
        raise InputError(f"metric {metric!r} needs at least one item to score")
    if metric in _RANKING:
        return _ranking(metric, *((y, scores) if kind == "multilabel" else _one_vs_rest(y, scores)))
    if kind == "multiclass":
        return _classes(metric, y, scores.argmax(dim=1))
    if metric == "micro_f1":
        known = ~y.isnan()
        return float(f1_score(y[known].numpy(), (scores[known] > 0).numpy(), zero_division=0.0))
    predicted = scores if kind == "regression" else (scores > 0).to(y.dtype)
    return _column_mean(metric, y, predicted, _COLUMN[metric])


def hard_scores(predicted: Tensor, num_classes: int) -> Tensor:
    """Decision values (n, num_classes) whose largest entry is the predicted class (n,), int64.

    Example:
        >>> hard_scores(torch.tensor([1, 0]), 2).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    return torch.nn.functional.one_hot(predicted, num_classes).float()


def _classes(metric: Metric, y: Tensor, predicted: Tensor) -> float:
    if metric == "accuracy":
        return float((y == predicted).double().mean())
    average = "micro" if metric == "micro_f1" else "macro"
    return float(f1_score(y.numpy(), predicted.numpy(), average=average, zero_division=0.0))


def _one_vs_rest(y: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    if scores.shape[1] == 2:
        return (y == 1).float().unsqueeze(1), (scores[:, 1] - scores[:, 0]).unsqueeze(1)
    onehot = torch.nn.functional.one_hot(y, scores.shape[1])
    return onehot.float(), scores.log_softmax(dim=1)


def _ranking(metric: Metric, y: Tensor, scores: Tensor) -> float:
    finite = scores.clamp(min=torch.finfo(scores.dtype).min)  # a class never seen in training scores -inf
    return _column_mean(metric, y, finite, roc_auc_score if metric == "roc_auc" else average_precision_score)


def _column_mean(metric: Metric, y: Tensor, predicted: Tensor, function: Callable[[Array, Array], float]) -> float:
    values = []
    for target, guess in zip(y.T, predicted.T, strict=True):
        known = ~target.isnan()
        column = target[known]
        if column.numel() and not (metric in _RANKING and bool((column == column[0]).all())):
            values.append(float(function(column.numpy(), guess[known].numpy())))
    if not values:
        raise InputError(
            f"metric {metric!r} is undefined: no task has {'both classes' if metric in _RANKING else 'a label'} "
            f"among the {y.shape[0]} items to score; choose another metric or split"
        )
    return sum(values) / len(values)


def _binary_f1(y: Array, predicted: Array) -> float:
    return float(f1_score(y, predicted, zero_division=0.0))


_COLUMN: dict[Metric, Callable[[Array, Array], float]] = {
    "accuracy": accuracy_score,
    "macro_f1": _binary_f1,
    "mae": mean_absolute_error,
    "rmse": root_mean_squared_error,
}
