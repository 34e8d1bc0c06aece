"""Projection onto the probability simplex."""

from __future__ import annotations

import torch
from torch import Tensor


def project_to_simplex(point: Tensor) -> Tensor:
    """The distribution that is nearest to a point (Held, Wolfe and Crowder, 1974; Duchi et al., 2008).

    It is ``max(point - mu, 0)`` with the one ``mu`` for which it sums to 1, found from the sorted coordinates.

    Args:
        point: shape (n,), float, n at least 1.

    Returns:
        Shape (n,), not negative, of sum 1.
    """
    ordered = point.sort(descending=True).values
    count = torch.arange(1, point.numel() + 1, device=point.device, dtype=point.dtype)
    mu = (ordered.cumsum(0) - 1) / count
    support = int((ordered > mu).sum())
    nearest = (point - mu[support - 1]).clamp(min=0)
    return nearest / nearest.sum()  # but for rounding it is 1 already
