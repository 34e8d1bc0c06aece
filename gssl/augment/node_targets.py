"""What there is to be told of each node without labels: its degree, its part of the graph, its features in short."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse.linalg import svds
from torch import Tensor

from gssl.augment.features import as_scipy
from gssl.augment.hops import UNREACHED, hop_distances
from gssl.graph.sparse import Features, Pattern


def neighbor_counts(pattern: Pattern) -> Tensor:
    """Different neighbors of each node, whatever the direction of edges, shape (n,), int64; itself is none."""
    pairs = pattern.pairs
    return torch.bincount(pairs.ends[:, ~pairs.is_loop].flatten(), minlength=pattern.num_rows)


def part_centers(pattern: Pattern, parts: Tensor, num_parts: int) -> Tensor:
    """The node of each part that has the most neighbors within it, the first one of several.

    Args:
        pattern: edges, shape (n, n).
        parts: part of each node, shape (n,), int64.
        num_parts: how many; a part may be empty.

    Returns:
        Shape (num_parts,), int64; -1 for an empty part.
    """
    pairs = pattern.pairs
    ends = pairs.ends[:, ~pairs.is_loop]
    inner = ends[:, parts[ends[0]] == parts[ends[1]]]
    degree = torch.bincount(inner.flatten(), minlength=len(parts))
    order = torch.from_numpy(np.lexsort((-degree.numpy(), parts.numpy())))  # by part, then degree, then number
    ranked = parts[order]
    first = torch.ones_like(ranked, dtype=torch.bool)
    first[1:] = ranked[1:] != ranked[:-1]
    centers = torch.full((num_parts,), -1)
    centers[ranked[first]] = order[first]
    return centers


def nearness(pattern: Pattern, centers: Tensor) -> Tensor:
    """One over the hop distance from some nodes to all, whatever the direction of edges.

    Args:
        pattern: edges, shape (n, n), on the CPU.
        centers: shape (k,), int64; -1 for none.

    Returns:
        Shape (n, k), float32: 1 for the center itself and its neighbors, 0 where no path leads to it.
    """
    there = centers >= 0
    near = torch.zeros(pattern.num_rows, len(centers), dtype=torch.float32)
    far = hop_distances(pattern, centers[there]).T
    near[:, there] = torch.where(far == UNREACHED, 0.0, 1 / far.clamp(min=1).float())
    return near


def principal_scores(x: Features, dim: int) -> Tensor:
    """Left singular vectors of the features that belong to the greatest singular values, by ARPACK.

    Args:
        x: features, shape (n, f), on the CPU.
        dim: how many; fewer than n and f.

    Returns:
        Shape (n, dim), float32, columns of mean square 1, the greatest first; the sum of each is not negative. Columns
        beyond the rank of the features are zero.
    """
    start = np.random.default_rng(0).standard_normal(min(x.shape))
    left, values, _ = svds(as_scipy(x).astype(np.float64), k=dim, v0=start)
    left = left[:, ::-1] * np.sqrt(len(left))
    left = np.where(values[::-1] > 1e-6 * values.max(), left, 0.0)
    return torch.from_numpy(left * np.where(left.sum(0) < 0, -1.0, 1.0)).float()
