"""Which predictions are taken for labels: confident ones, and those that clusters agree with."""

from __future__ import annotations

import torch
from torch import Tensor

NO_CLASS = -1


def aligned_clusters(rows: Tensor, clusters: Tensor, targets: Tensor, known: Tensor, *, num_classes: int) -> Tensor:
    """Class of each item by its cluster: that whose labelled items have the nearest mean (M3S, arXiv:1902.11038).

    Args:
        rows: embeddings, shape (n, dim), float.
        clusters: cluster of each item, shape (n,), int64, from 0.
        targets: class of each item that has one, shape (n,), int64.
        known: which items have one, shape (n,), bool.
        num_classes: how many; one without an item is no cluster's.

    Returns:
        Shape (n,), int64, by the mean of a cluster's items without a class; ``NO_CLASS`` where all have one, or where
        no item at all has one.
    """
    count = int(clusters.max()) + 1 if len(clusters) else 0
    of_classes, labelled = _means(rows[known], targets[known], num_classes)
    of_clusters, unlabelled = _means(rows[~known], clusters[~known], count)
    distance = torch.cdist(of_clusters, of_classes).masked_fill(~labelled, torch.inf)
    found = torch.where(unlabelled & labelled.any(), distance.argmin(1), NO_CLASS)
    return found[clusters]


def most_confident(probability: Tensor, allowed: Tensor, counts: Tensor) -> Tensor:
    """The items of each predicted class that are predicted with the greatest probability.

    Args:
        probability: shape (n, num_classes), float.
        allowed: which items may be chosen, shape (n,), bool.
        counts: how many of each class, if there are as many, shape (num_classes,), int64.

    Returns:
        Shape (n,), bool.
    """
    confidence, predicted = probability.max(1)
    # By class, and within a class from the most confident on; those that may not be chosen come last.
    group = torch.where(allowed, predicted, len(counts))
    order = torch.argsort(confidence, descending=True, stable=True)
    order = order[torch.argsort(group[order], stable=True)]
    sizes = torch.bincount(group, minlength=len(counts) + 1)
    first = (sizes.cumsum(0) - sizes)[group[order]]
    rank = torch.arange(len(order), device=order.device) - first
    limit = torch.cat([counts, counts.new_zeros(1)])
    chosen = torch.zeros_like(allowed)
    chosen[order] = rank < limit[group[order]]
    return chosen


def _means(rows: Tensor, groups: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Mean of the rows of each group, shape (count, dim), and which have any, shape (count,), bool."""
    sizes = torch.bincount(groups, minlength=count)
    total = rows.new_zeros(count, rows.shape[1]).index_add_(0, groups, rows)
    return total / sizes.clamp(min=1)[:, None], sizes > 0
