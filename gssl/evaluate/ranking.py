"""Metrics of links: how far joined pairs are ranked above pairs that are not joined.

Positives are scores of joined pairs, shape (n,). Negatives are scores of other pairs, of shape (m,), all of which every
positive is compared with, or (n, k), where each positive has its own. Hits@K and MRR are those of OGB (Hu et al., 2020,
arXiv:2005.00687): its Evaluator computes them wherever it takes negatives of that kind.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.ogb_import import without_update_check
from gssl.datasets.types import Metric
from gssl.evaluate.metrics import check_metric, hits_cutoff

# OGB's evaluators differ in their metric only: one that has it. K is set as in OGB's own examples.
_HITS_EVALUATOR = "ogbl-collab"
_MRR_EVALUATOR = "ogbl-citation2"
_CHUNK = 1 << 24  # scores that OGB compares together


def evaluate_links(metric: Metric, positive: Tensor, negative: Tensor) -> float:
    """One number for the quality of scores of pairs; all of these metrics are better when higher.

    Args:
        metric: ``roc_auc``, ``average_precision``, ``mrr`` or ``hits@K``.
        positive: shape (n,), float.
        negative: shape (m,) or (n, k), float.

    Raises:
        InputError: another metric, no scores, scores that are not finite, or shapes that do not fit.

    Example:
        >>> evaluate_links("mrr", torch.tensor([2.0, 0.0]), torch.tensor([1.0]))
        0.75
    """
    if positive.dim() != 1 or negative.dim() not in (1, 2) or (negative.dim() == 2 and len(negative) != len(positive)):
        raise InputError(
            f"scores of {tuple(positive.shape)} joined pairs do not go with {tuple(negative.shape)} of others"
        )
    if positive.numel() == 0 or negative.numel() == 0:
        raise InputError(f"metric {metric!r} needs at least one joined pair and one other")
    if not (torch.isfinite(positive).all() and torch.isfinite(negative).all()):
        raise InputError(f"metric {metric!r} needs finite scores, but some are NaN or infinite")
    cutoff = hits_cutoff(check_metric(metric))
    if cutoff is not None:
        return hits(positive, negative, cutoff)
    if metric == "mrr":
        return mrr(positive, negative)
    if metric == "roc_auc":
        return roc_auc(positive, negative)
    if metric == "average_precision":
        return average_precision(positive, negative)
    raise InputError(f"metric {metric!r} is none of links: use roc_auc, average_precision, mrr or hits@K")


def roc_auc(positive: Tensor, negative: Tensor) -> float:
    """Chance that a joined pair scores higher than another; a tie counts half."""
    return float(roc_auc_score(*_labelled(positive, negative)))


def average_precision(positive: Tensor, negative: Tensor) -> float:
    """Mean over the joined pairs of the precision among all pairs that score no lower."""
    return float(average_precision_score(*_labelled(positive, negative)))


def hits(positive: Tensor, negative: Tensor, k: int) -> float:
    """Hits@K: the share of joined pairs that are among the first K.

    With common negatives that means to score higher than the K-th best of them, so a tie is a miss, and with fewer
    than K negatives everything is a hit. Where each pair has its own negatives, its rank (see :func:`mrr`) is at most
    K.
    """
    if negative.dim() == 2:
        return float((_ranks(positive, negative) <= k).double().mean())
    return float(_hits_evaluator(k).eval({"y_pred_pos": positive, "y_pred_neg": negative})[f"hits@{k}"])


def mrr(positive: Tensor, negative: Tensor) -> float:
    """Mean reciprocal rank of each joined pair among the negatives.

    Ranks begin with 1; of equal scores half stand before the pair.
    """
    if negative.dim() == 1:
        return float(_ranks(positive, negative).reciprocal().mean())
    evaluator, rows = _mrr_evaluator(), max(1, _CHUNK // negative.shape[1])
    chunks = zip(positive.split(rows), negative.split(rows), strict=True)
    lists = [evaluator.eval({"y_pred_pos": good, "y_pred_neg": bad})["mrr_list"] for good, bad in chunks]
    return float(torch.cat(lists).double().mean())


def _ranks(positive: Tensor, negative: Tensor) -> Tensor:
    """Rank of each positive, the mean of the best and the worst among equal scores, shape (n,), float64."""
    ordered = negative.sort(dim=-1).values
    values = positive if negative.dim() == 1 else positive.unsqueeze(1)
    above, not_below = (
        ordered.shape[-1] - torch.searchsorted(ordered, values, right=right).flatten() for right in (True, False)
    )
    return 1 + (above + not_below).double() / 2


def _labelled(positive: Tensor, negative: Tensor) -> tuple[Any, Any]:
    scores = torch.cat([positive, negative.flatten()])
    return (torch.arange(scores.numel()) < positive.numel()).numpy(), scores.numpy()


@cache
def _hits_evaluator(k: int) -> Any:
    evaluator = _evaluator(_HITS_EVALUATOR)
    evaluator.K = k
    return evaluator


@cache
def _mrr_evaluator() -> Any:
    return _evaluator(_MRR_EVALUATOR)


def _evaluator(name: str) -> Any:
    with without_update_check():
        from ogb.linkproppred import Evaluator
    return Evaluator(name)
