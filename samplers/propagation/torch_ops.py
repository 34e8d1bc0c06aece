"""The algorithms of the kernels in torch operators, for any device."""

from __future__ import annotations

import torch
from torch import Tensor

from gssl.graph.sparse import Pattern
from gssl.samplers.rng import below, hash64, uniform


def uniform_edges(pattern: Pattern, rows: Tensor, fanout: int, stream: int | Tensor) -> tuple[Tensor, Tensor]:
    """The picks of :func:`gssl.samplers.kernels.expand.uniform_hop`.

    Args:
        pattern: edges of the graph.
        rows: destinations, shape (n,), int64.
        fanout: edges into each, -1 for all.
        stream: of random numbers; or each row's own, shape (n,), int64.

    Returns:
        Offsets of the picks of each row, shape (num_rows + 1,), int64, and the edge that each is, shape (nnz,), int64.
    """
    start, degree = pattern.rowptr[rows].long(), pattern.counts[rows].long()
    kept = degree if fanout < 0 else degree.clamp(max=fanout)
    offsets = torch.zeros(len(rows) + 1, dtype=torch.int64, device=rows.device)
    torch.cumsum(kept, 0, out=offsets[1:])
    total = int(offsets[-1])
    shift = (start - offsets[:-1]).repeat_interleave(kept, output_size=total)
    position = torch.arange(total, device=rows.device) + shift
    large = (degree > kept).nonzero().squeeze(1)
    if fanout > 0 and len(large):
        own = stream[large] if isinstance(stream, Tensor) else hash64(stream, rows[large])
        picks = floyd(own, degree[large], fanout)
        place = offsets[large].unsqueeze(1) + torch.arange(fanout, device=rows.device)
        position[place] = start[large].unsqueeze(1) + picks
    return offsets, position


def shared_edges(pattern: Pattern, rows: Tensor, fanout: int, stream: int) -> tuple[Tensor, Tensor]:
    """The edges of :func:`gssl.samplers.kernels.expand.shared_edges`; returns as :func:`uniform_edges`."""
    edges, position = pattern.select_rows(rows)
    degree = edges.counts.double()
    # A number over a tensor is the number times a rounded reciprocal, which the kernels' quotient is not.
    chance = torch.where(degree <= fanout, 1.0, torch.full_like(degree, fanout) / degree)
    chance = chance.repeat_interleave(edges.counts.long(), output_size=edges.nnz)
    return kept(edges, position, uniform(stream, edges.col.long()) < chance)


def inner_edges(pattern: Pattern, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The edges among the distinct nodes ``rows``; returns as :func:`uniform_edges`."""
    edges, position = pattern.select_rows(rows)
    return kept(edges, position, member(rows.sort().values, edges.col.long())[1])


def ego_edges(pattern: Pattern, nodes: Tensor, starts: Tensor) -> tuple[Pattern, Tensor]:
    """What :meth:`gssl.samplers.propagation.expansion.Engine.ego_edges` says."""
    sets = len(starts) - 1
    group = torch.arange(sets, device=nodes.device)
    group = torch.cat([group, group.repeat_interleave(starts.diff())])
    edges, position = pattern.select_rows(nodes)
    key, order = (group * pattern.num_rows + nodes).sort()
    wanted = group.repeat_interleave(edges.counts.long()) * pattern.num_rows + edges.col.long()
    place, keep = member(key, wanted)
    rowptr, position = kept(edges, position, keep)
    dtype = pattern.rowptr.dtype
    return Pattern(rowptr.to(dtype), order[place[keep]].to(dtype), len(nodes)), position.to(dtype)


def kept(edges: Pattern, position: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
    """Some of the edges of selected rows; returns as :func:`uniform_edges`.

    Args:
        edges: the rows, as ``pattern.select_rows`` gives them.
        position: their edges in the graph, shape (nnz,).
        keep: bool, shape (nnz,).
    """
    return edges.filter(keep).rowptr, position[keep]


def member(members: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Where ids are among sorted, distinct members.

    Returns:
        The place of each id, shape of ``ids``, and whether it is there, bool; without it the place means nothing.
    """
    if not len(members):
        return torch.zeros_like(ids), torch.zeros_like(ids, dtype=torch.bool)
    place = torch.searchsorted(members, ids).clamp(max=len(members) - 1)
    return place, members[place] == ids


def floyd(streams: Tensor, degree: Tensor, fanout: int) -> Tensor:
    """``fanout`` different numbers below each degree, each subset equally likely (Bentley, 1987), one column a pick.

    Args:
        streams: random stream of each row, shape (n,), int64.
        degree: above ``fanout``, shape (n,), int64.
        fanout: picks.

    Returns:
        Shape (n, fanout), int64, in the order of the picks.
    """
    picks = torch.empty(len(degree), fanout, dtype=torch.int64, device=degree.device)
    for i in range(fanout):
        last = degree - fanout + i
        choice = below(hash64(streams, torch.full_like(degree, i)), last + 1)
        again = (picks[:, :i] == choice.unsqueeze(1)).any(1)
        picks[:, i] = torch.where(again, last, choice)
    return picks


def renumber(nodes: Tensor, sources: Tensor) -> tuple[Tensor, Tensor]:
    """Number sources within a batch, new ones in order of first appearance.

    Args:
        nodes: distinct ids of the batch, shape (n,), int64.
        sources: shape (nnz,), ids.

    Returns:
        The ids with the new ones at the end, and the number of each source, shape (nnz,), int64.
    """
    ids = torch.cat([nodes, sources.long()])
    distinct, inverse = torch.unique(ids, return_inverse=True)
    places = torch.arange(len(ids), device=ids.device)
    first = torch.full_like(distinct, len(ids)).scatter_reduce(0, inverse, places, "amin")
    order = torch.argsort(first)
    number = torch.empty_like(order)
    number[order] = torch.arange(len(order), device=ids.device)
    return distinct[order], number[inverse[len(nodes) :]]
