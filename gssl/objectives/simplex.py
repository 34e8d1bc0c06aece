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
    support = (ordered > mu).sum(0, keepdim=True)
    nearest = (point - mu.gather(0, (support - 1).clamp(min=0))).clamp(min=0)
    return nearest / nearest.sum()  # but for rounding it is 1 already


def min_norm_weights(gram: Tensor, *, steps: int = 1000, tolerance: float = 1e-10) -> Tensor:
    """Weights of the point of least norm in the convex hull of some vectors.

    It is the direction of multiple-gradient descent (Désidéri, 2012, doi:10.1016/j.crma.2012.03.014; Sener and Koltun,
    2018, arXiv:1810.04650): a step against it lowers the loss of each gradient, or there is no such step. Found by
    Frank and Wolfe's algorithm with exact line search in its pairwise form (Lacoste-Julien and Jaggi, 2015,
    arXiv:1511.05932), which moves weight from the worst vector to the best one and so comes to the end where the plain
    form zigzags.

    Args:
        gram: inner products of the vectors, shape (n, n), float64 or float32, n at least 1.
        steps: at most.
        tolerance: of the duality gap, as a share of the largest squared norm.

    Returns:
        Shape (n,), not negative, of sum 1. Of several solutions, one.
    """
    weights = torch.zeros_like(gram[0])
    weights[gram.diagonal().argmin()] = 1
    enough = tolerance * float(gram.diagonal().max())
    for _ in range(steps):
        slope = gram @ weights
        best, worst = int(slope.argmin()), int(slope.where(weights > 0, -torch.inf).argmax())
        if best == worst or float(weights @ slope - slope[best]) <= enough:
            break
        curvature = gram[best, best] - 2 * gram[best, worst] + gram[worst, worst]
        whole = float(weights[worst])
        move = min(whole, float((slope[worst] - slope[best]) / curvature)) if curvature > 0 else whole
        weights[best] += move
        weights[worst] = 0.0 if move == whole else whole - move
    return weights
