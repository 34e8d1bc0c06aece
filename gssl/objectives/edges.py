"""Edge reconstruction and the negative pairs that it needs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.graph.kept import places_of
from gssl.graph.sparse import Pattern
from gssl.models.inner_products import inner_products
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
    return edge_cross_entropy(
        inner_products(z, positive),
        inner_products(z, negative),
        positive_weight=positive_weight,
        negative_weight=negative_weight,
    )


def edge_cross_entropy(
    positive: Tensor,
    negative: Tensor,
    *,
    label: Tensor | None = None,
    positive_weight: Tensor | None = None,
    negative_weight: Tensor | None = None,
) -> Tensor:
    """Binary cross-entropy of a decoder's logits of edges and of non-edges; both count the same, however many.

    Args:
        positive: logits of edges, shape (num_positive,), float.
        negative: logits of other pairs, shape (num_negative,), float.
        label: how much of an edge each edge is, shape (num_positive,), float; it multiplies what the edge costs. None
            means 1 each.
        positive_weight: importance weight of each edge, shape (num_positive,); None means 1 each.
        negative_weight: importance weight of each negative pair, shape (num_negative,); None means 1 each.

    Returns:
        Scalar, the sum of the two means; none of a kind contributes nothing.
    """
    if not (positive.numel() or negative.numel()):
        return positive.sum() + negative.sum()  # which leads back to where they come from: a step that changes nothing
    loss = positive.new_zeros(())
    if positive.numel():
        cost = F.softplus(-positive)
        loss = loss + weighted_mean(cost if label is None else label * cost, positive_weight)
    if negative.numel():
        loss = loss + weighted_mean(F.softplus(negative), negative_weight)
    return loss


def uniform_negatives(pattern: Pattern, count: int, rng: torch.Generator, *, undirected: bool = False) -> Tensor:
    """Uniform ordered pairs (source, target) that are neither edges nor self-pairs.

    Args:
        pattern: edges of a square graph, rows are targets.
        count: pairs to draw; those that hit an edge are dropped, so slightly fewer may come back.
        rng: on the device of the pattern.
        undirected: whether the opposite of an edge is no negative pair either, for decoders that give both the same.

    Returns:
        Shape (2, at most count), int64.
    """
    n, device = pattern.num_rows, pattern.col.device  # the targets of a sampled block are its first sources
    source = torch.randint(n, (count,), generator=rng, device=device)
    target = torch.randint(n, (count,), generator=rng, device=device)
    return _apart(pattern, source, target, undirected=undirected)


def negatives_within(
    pattern: Pattern, offsets: Tensor, graphs: Tensor, rng: torch.Generator, *, undirected: bool = False
) -> Tensor:
    """Uniform ordered pairs within graphs that stand side by side, neither edges nor self-pairs.

    Args:
        pattern: edges of all graphs, square, rows are targets.
        offsets: of the graphs in the rows, shape (num_graphs + 1,), int64.
        graphs: the graph of each pair to draw, shape (count,), int64; none is empty. Pairs that hit an edge are
            dropped, so that dense graphs have fewer, and complete ones none.
        rng: on the device of the pattern.
        undirected: whether the opposite of an edge is no negative pair either.

    Returns:
        Shape (2, at most count), int64, in the order of ``graphs``.
    """
    start, size = offsets[graphs], offsets.diff()[graphs]
    drawn = torch.rand((2, graphs.numel()), generator=rng, device=pattern.col.device, dtype=torch.float64)
    source, target = start + (drawn * size).long()
    return _apart(pattern, source, target, undirected=undirected)


def _apart(pattern: Pattern, source: Tensor, target: Tensor, *, undirected: bool) -> Tensor:
    """Those of the pairs that are neither edges nor self-pairs, shape (2, at most n), int64."""
    edges = pattern.row.long() * pattern.num_cols + pattern.col.long()
    if not pattern.is_sorted:
        edges = edges.sort().values
    keep = ~_among(edges, target * pattern.num_cols + source) & (source != target)
    if undirected:
        keep &= ~_among(edges, source * pattern.num_cols + target)
    (places,) = places_of(keep)
    return torch.stack([source[places], target[places]])


def _among(edges: Tensor, wanted: Tensor) -> Tensor:
    """Which numbers are among those of ``edges``, which are sorted; shape of ``wanted``, bool."""
    if not edges.numel():
        return torch.zeros_like(wanted, dtype=torch.bool)
    return edges[torch.searchsorted(edges, wanted).clamp(max=edges.numel() - 1)] == wanted
