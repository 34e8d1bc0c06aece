"""Distances of two views of the same items."""

from __future__ import annotations

import torch
from torch import Tensor

from gssl.objectives.weights import check_views, weighted_mean


def root_mean_square(first: Tensor, second: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Root of the mean squared difference of two views (LaGraph, arXiv:2202.08333).

    Nothing keeps the views apart, so that it wants another objective beside it. Where the views are equal, its
    derivative is not defined and zero here.

    Args:
        first: shape (n, dim), float.
        second: shape (n, dim), float.
        weight: importance weight of each item, shape (n,); None means 1 each.

    Returns:
        Scalar; 0 if there are no items.
    """
    check_views("root_mean_square", first, second, weight)
    if not first.numel():
        return (first.sum() + second.sum()) * 0.0
    mean = weighted_mean((first - second).square().mean(1), weight)
    some = mean > 0
    return torch.where(some, torch.where(some, mean, 1.0).sqrt(), mean * 0.0)
