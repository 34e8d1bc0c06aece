"""A neighbourhood and its surroundings in every graph: what context prediction compares."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gssl.augment.graphwise import induced_beside
from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import Pattern


@dataclass(frozen=True, eq=False)
class ContextPair:
    """Two parts of every graph that has both, graph by graph in the same order.

    Attributes:
        substruct: the nodes within some hops of a centre.
        context: the nodes of a ring around it.
        centres: the centre of each graph, as a row of ``substruct``, shape (num_graphs,), int64.
        anchors: the nodes that are in both parts, as rows of ``context``, shape (num_anchors,), int64, ascending.
        anchor_graphs: graph of each of them, counted within the two batches, shape (num_anchors,), int64.
    """

    substruct: MiniBatch
    context: MiniBatch
    centres: Tensor
    anchors: Tensor
    anchor_graphs: Tensor


def substruct_and_context(batch: MiniBatch, rng: torch.Generator, *, k: int, r1: int, r2: int) -> ContextPair:
    """The neighbourhood of a random node of every graph, and the ring around it (Hu et al., 2020, arXiv:1905.12265).

    A node at distance d of the centre is in the neighbourhood if d <= k, and in the ring if r1 < d <= r2, as in the
    paper's code, which takes k = 5, r1 = 4 and r2 = 7. The edges of each part are those among its nodes. Graphs
    without a node in the ring are left out of both parts; edge directions do not count for distances.

    Args:
        batch: graphs whose blocks are square.
        rng: generator on the device of the batch.
        k, r1, r2: hops.

    Returns:
        The two parts, whose items keep their ids and weights.

    Raises:
        InputError: rings that are none or have nothing in common with the neighbourhood, or no batch of whole graphs.
    """
    if not 0 <= r1 < r2 or r1 >= k:
        raise InputError(
            f"a context from r1={r1} to r2={r2} around a neighbourhood of k={k} hops needs r1 < r2, r1 < k"
        )
    if batch.graph_ptr is None or batch.graph_ids is None or not batch.is_square:
        raise InputError("context prediction needs batches of whole graphs; use graph-level data")
    sizes, graph = batch.graph_ptr.diff(), batch.graph_index()
    luck = torch.rand(sizes.numel(), dtype=torch.float64, generator=rng, device=batch.device)
    centres = batch.graph_ptr[:-1] + torch.minimum((luck * sizes).long(), (sizes - 1).clamp(min=0))
    is_centre = centres[graph] == torch.arange(batch.num_nodes, device=batch.device)  # a graph may have no nodes
    distance = _distances(batch.blocks[0].pattern, is_centre, max(k, r2))
    ring = (distance > r1) & (distance <= r2)
    has_ring = torch.zeros_like(sizes).index_add(0, graph, ring.long()) > 0
    near = (distance <= k) & has_ring[graph]
    (substruct, context), (graphs, both), _ = induced_beside([(batch, near), (batch, ring)], [has_ring, near & ring])
    return ContextPair(
        substruct=_of_graphs(substruct, graphs),
        context=_of_graphs(context, graphs),
        centres=(near.cumsum(0) - 1)[centres[graphs]],
        anchors=(ring.cumsum(0) - 1)[both],
        anchor_graphs=(has_ring.cumsum(0) - 1)[graph[both]],
    )


def hops_from(pattern: Pattern, sources: Tensor, most: int) -> Tensor:
    """Distance of each node from the nearest source, along edges in either direction.

    Args:
        pattern: square.
        sources: nodes, shape (n,), int64.
        most: distances that matter.

    Returns:
        Shape (num_nodes,), int64; ``most + 1`` for nodes that are farther away.
    """
    is_source = torch.zeros(pattern.num_rows, dtype=torch.bool, device=sources.device)
    is_source[sources] = True
    return _distances(pattern, is_source, most)


def _distances(pattern: Pattern, is_source: Tensor, most: int) -> Tensor:
    """:func:`hops_from` nodes that are named by a mask (num_nodes,), bool; no device is waited for."""
    distance = torch.where(is_source, 0, most + 1)
    row, col = pattern.row.long(), pattern.col.long()
    for hop in range(most):
        there = distance == hop
        near = torch.zeros_like(distance).index_add_(0, row, there[col].long()).index_add_(0, col, there[row].long())
        distance = torch.where((near > 0) & (distance > hop), hop + 1, distance)
    return distance


def _of_graphs(part: MiniBatch, graphs: Tensor) -> MiniBatch:
    """The batch without the other graphs, which have no nodes; ``graphs`` are places (n,), int64, ascending."""
    assert part.graph_ptr is not None
    assert part.graph_ids is not None
    ptr = torch.cat([part.graph_ptr[:1], part.graph_ptr[1:][graphs]])
    weight = None if part.weight is None else part.weight[graphs]
    return replace(part, graph_ptr=ptr, graph_ids=part.graph_ids[graphs], weight=weight)
