"""Edge reconstruction and the negative pairs that it needs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.graph.sparse import Pattern
from gssl.objectives.weights import weighted_mean


def edge_reconstruction(
    z: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    positive_weight: Tensor | None = None,
    negative_weight: Tensor | None = None,
) -> Tensor:
    """Binary cross-entropy of the inner-product decoder ``sigmoid(<z_i, z_j>)`` (GAE, arXiv:1611.07308, eq. 2).

    Edges and non-edges count the same, as with the paper's re-weighting.

    Args:
        z: node embeddings, shape (n, dim), float.
        positive: edges, shape (2, num_positive), int64.
        negative: pairs that are not edges, shape (2, num_negative), int64.
        positive_weight: importance weight of each edge, shape (num_positive,); None means 1 each.
        negative_weight: importance weight of each negative pair, shape (num_negative,); None means 1 each.

    Returns:
        Scalar; a graph without edges contributes nothing from its edges.
    """
    loss = z.new_zeros(())
    if positive.shape[1]:
        loss = loss + weighted_mean(F.softplus(-_scores(z, positive)), positive_weight)
    if negative.shape[1]:
        loss = loss + weighted_mean(F.softplus(_scores(z, negative)), negative_weight)
    return loss


def uniform_negatives(pattern: Pattern, count: int, rng: torch.Generator) -> Tensor:
    """Uniform ordered pairs (source, target) that are neither edges nor self-pairs.

    Args:
        pattern: edges of a square graph, rows are targets.
        count: pairs to draw; those that hit an edge are dropped, so slightly fewer may come back.
        rng: on the device of the pattern.

    Returns:
        Shape (2, at most count), int64.
    """
    n, device = pattern.num_rows, pattern.col.device  # the targets of a sampled block are its first sources
    source = torch.randint(n, (count,), generator=rng, device=device)
    target = torch.randint(n, (count,), generator=rng, device=device)
    edges = pattern.row.long() * pattern.num_cols + pattern.col.long()
    if not bool((edges.diff() > 0).all()):
        edges = edges.sort().values
    wanted = target * pattern.num_cols + source
    place = torch.searchsorted(edges, wanted).clamp(max=max(edges.numel() - 1, 0))
    taken = edges[place] == wanted if edges.numel() else torch.zeros_like(wanted, dtype=torch.bool)
    keep = ~taken & (source != target)
    return torch.stack([source[keep], target[keep]])


def _scores(z: Tensor, pairs: Tensor) -> Tensor:
    # index_select, not z[...]: its backward adds rows in place instead of sorting the indices.
    scores: Tensor = torch.linalg.vecdot(z.index_select(0, pairs[0]), z.index_select(0, pairs[1]))
    return scores
