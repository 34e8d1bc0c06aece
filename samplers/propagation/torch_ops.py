"""The algorithms of the kernels in torch operators, for any device."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gssl.graph.kept import kept_of, places_beside, places_of
from gssl.graph.sparse import Pattern
from gssl.samplers.rng import below, hash64, uniform

_WIDE = 1 << 24  # places for picks, of which each takes some tens of bytes for a moment


def uniform_edges(
    pattern: Pattern, rows: Tensor, fanout: int, stream: int | Tensor, *, total: int | None = None
) -> tuple[Tensor, Tensor]:
    """The picks of :func:`gssl.samplers.kernels.expand.uniform_hop`.

    Args:
        pattern: edges of the graph.
        rows: destinations, shape (n,), int64.
        fanout: edges into each, -1 for all.
        stream: of random numbers; or each row's own, shape (n,), int64.
        total: picks of all rows, where the number is known; else a device is waited for.

    Returns:
        Offsets of the picks of each row, shape (num_rows + 1,), int64, and the edge that each is, shape (nnz,), int64.
    """
    start, degree = pattern.rowptr[rows].long(), pattern.counts[rows].long()
    kept = degree if fanout < 0 else degree.clamp(max=fanout)
    offsets = torch.zeros(len(rows) + 1, dtype=torch.int64, device=rows.device)
    torch.cumsum(kept, 0, out=offsets[1:])
    total = int(offsets[-1]) if total is None else total
    shift = (start - offsets[:-1]).repeat_interleave(kept, output_size=total)
    position = torch.arange(total, device=rows.device) + shift
    large = (degree > kept).nonzero().squeeze(1) if fanout > 0 else rows[:0]
    if len(large):
        own = stream[large] if isinstance(stream, Tensor) else hash64(stream, rows[large])
        picks = floyd(own, degree[large], fanout)
        place = offsets[large].unsqueeze(1) + torch.arange(fanout, device=rows.device)
        position[place] = start[large].unsqueeze(1) + picks
    return offsets, position


def uniform_numbered(
    pattern: Pattern, nodes: Tensor, rows: Tensor, fanout: int, stream: int | Tensor, shift: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """:func:`uniform_edges`, and :func:`renumber` of their sources, for one wait where room for all picks is small.

    Args:
        pattern: edges of the graph.
        nodes: distinct ids of the batch, shape (m,), int64.
        rows: destinations, shape (n,), int64.
        fanout: edges into each, -1 for all.
        stream: as in :func:`uniform_edges`.
        shift: added to the ids of each row's sources, shape (n,), int64, where ``nodes`` are those of several batches.

    Returns:
        Offsets of the picks, shape (n + 1,), and the edge that each is, shape (nnz,); the ids with the new ones at the
        end, and the number of the source of each pick, shape (nnz,). All int64.
    """
    fanout = min(fanout, pattern.most)  # no wider than the row that has most
    if fanout < 0 or fanout * len(rows) > _WIDE:
        offsets, position = uniform_edges(pattern, rows, fanout, stream)
        sources = pattern.col[position].long()
        if shift is not None:
            sources += shift.repeat_interleave(offsets.diff(), output_size=len(position))
        return offsets, position, *renumber(nodes, sources)
    offsets, position, there = _picks(pattern, rows, fanout, stream)
    sources = pattern.col[position.clamp(max=pattern.nnz - 1)].long()
    if shift is not None:
        sources += shift.unsqueeze(1)
    # What is no pick counts as a node that is there already.
    if len(rows):
        sources = torch.where(there, sources, nodes[0])
    ids = torch.cat([nodes, sources.flatten()])
    first, number = numbered(ids)
    new, picked = places_of(first, there.flatten())
    return offsets, position.flatten()[picked], ids[new], number[len(nodes) :][picked]


def spread(
    pattern: Pattern, nodes: Tensor, size: int, fanout: int, streams: Sequence[Callable[[Tensor], Tensor]]
) -> tuple[Tensor, int] | None:
    """Nodes of several batches after some hops from each one's new nodes, for one wait in all.

    Args:
        pattern: edges of the graph.
        nodes: where the hops begin: distinct, each a global id and a multiple of ``size`` that names its batch, shape
            (n,), int64.
        size: above all global ids.
        fanout: edges into each node.
        streams: of each hop, what gives nodes (m,) the streams (m,), int64, that they pick with.

    Returns:
        The nodes in order of discovery, shape (n',), int64, and how many in-edges they have. None where room for all
        picks would be large.
    """
    fanout = min(fanout, pattern.most)
    if not len(nodes) or len(nodes) * max(1, fanout) ** len(streams) > _WIDE // 8:
        return None
    ids = new = nodes
    fresh = torch.ones_like(nodes, dtype=torch.bool)
    first = fresh
    for stream in streams:
        rows = new % size
        _, position, there = _picks(pattern, rows, fanout, stream(new))
        sources = pattern.col[position.clamp(max=pattern.nnz - 1)].long() + (new - rows).unsqueeze(1)
        # What is no pick, or one of a node that was there already, counts as such a node.
        new = torch.where(there & fresh.unsqueeze(1), sources, nodes[0]).flatten()
        ids = torch.cat([ids, new])
        first, _ = numbered(ids)
        fresh = first[len(ids) - len(new) :]
    (places,), (edges,) = places_beside([first], [torch.where(first, pattern.counts[ids % size], 0).sum()])
    return ids[places], edges


def _picks(pattern: Pattern, rows: Tensor, fanout: int, stream: int | Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Offsets of the picks of each row (n + 1,), the edges that they are (n, fanout), and which of these there are."""
    start, degree = pattern.rowptr[rows].long(), pattern.counts[rows].long()
    kept = degree.clamp(max=fanout)
    offsets = torch.zeros(len(rows) + 1, dtype=torch.int64, device=rows.device)
    torch.cumsum(kept, 0, out=offsets[1:])
    place = torch.arange(fanout, device=rows.device)
    own = stream if isinstance(stream, Tensor) else hash64(stream, rows)
    drawn = floyd(own, degree.clamp(min=fanout + 1), fanout)
    picks = torch.where((degree > fanout).unsqueeze(1), drawn, place)
    return offsets, start.unsqueeze(1) + picks, place < kept.unsqueeze(1)


def shared_edges(edges: Pattern, fanout: int, stream: int) -> Tensor:
    """Which in-edges of some rows :func:`gssl.samplers.kernels.expand.shared_edges` keeps.

    Args:
        edges: of these rows, by global id of the source.
        fanout: expected edges into each.
        stream: of random numbers.

    Returns:
        Shape (nnz,), bool.
    """
    degree = edges.counts.double()
    # A number over a tensor is the number times a rounded reciprocal, which the kernels' quotient is not.
    chance = torch.where(degree <= fanout, 1.0, torch.full_like(degree, fanout) / degree)
    chance = chance.repeat_interleave(edges.counts.long(), output_size=edges.nnz)
    return uniform(stream, edges.col.long()) < chance


def inner_edges(pattern: Pattern, rows: Tensor, *, total: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """The edges among the distinct nodes ``rows``, of ``total`` into them.

    Returns:
        As :func:`uniform_edges`, and the row of each source.
    """
    edges, position = pattern.select_rows(rows, total=total)
    ordered, order = rows.sort()
    place, there = member(ordered, edges.col.long())
    offsets, position, left = kept(edges, position, there)
    return offsets, position, order[place[left]]


def ego_edges(pattern: Pattern, nodes: Tensor, starts: Tensor, *, total: int | None = None) -> tuple[Pattern, Tensor]:
    """What :meth:`gssl.samplers.propagation.expansion.Engine.ego_edges` says."""
    sets = len(starts) - 1
    group = torch.arange(sets, device=nodes.device)
    group = torch.cat([group, group.repeat_interleave(starts.diff(), output_size=len(nodes) - sets)])
    edges, position = pattern.select_rows(nodes, total=total)
    key, order = (group * pattern.num_rows + nodes).sort()
    wanted = group.repeat_interleave(edges.counts.long(), output_size=edges.nnz) * pattern.num_rows + edges.col.long()
    place, keep = member(key, wanted)
    rowptr, position, left = kept(edges, position, keep)
    dtype = pattern.rowptr.dtype
    return Pattern(rowptr.to(dtype), order[place[left]].to(dtype), len(nodes)), position.to(dtype)


def kept(edges: Pattern, position: Tensor, keep: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Some of the edges of selected rows; returns as :func:`uniform_edges`, and where they were.

    Args:
        edges: the rows, as ``pattern.select_rows`` gives them.
        position: their edges in the graph, shape (nnz,).
        keep: bool, shape (nnz,).
    """
    (left,) = kept_of([edges.mask(keep)])
    return edges.left_by(left).rowptr, position[left.places], left.places


def drawn_edges(pattern: Pattern, rows: Tensor, fanout: int, stream: int) -> Tensor:
    """Horvitz-Thompson factor of each edge when ``fanout`` of every row are drawn without replacement.

    Args:
        pattern: its rows are the nodes ``rows``.
        rows: global ids, shape (num_rows,), int64.
        fanout: edges to draw in each row, all where there are fewer.
        stream: of the random numbers.

    Returns:
        Shape (nnz,), float32: degree / drawn for drawn edges, 0 for the others.
    """
    counts = pattern.counts.long()
    row = pattern.row.long()
    first = pattern.rowptr[:-1].long()[row]
    position = torch.arange(pattern.nnz, device=row.device) - first
    luck = uniform(hash64(stream, rows)[row], position)
    order = torch.argsort(luck + row)  # rows stay together: luck is below 1
    drawn = torch.zeros(pattern.nnz, dtype=torch.bool, device=row.device)
    drawn[order] = position < fanout
    return torch.where(drawn, (counts / counts.clamp(max=fanout).clamp(min=1))[row], 0.0).float()


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
    first, number = numbered(ids)
    return ids[places_of(first)[0]], number[len(nodes) :]


def numbered(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Which of some ids (n,) appear for the first time, bool, and the number of each id in order of appearance."""
    ordered, order = ids.sort(stable=True)
    begins = torch.ones_like(ordered, dtype=torch.bool)
    torch.ne(ordered[1:], ordered[:-1], out=begins[1:])
    first = torch.empty_like(begins).scatter_(0, order, begins)
    places = torch.arange(len(ids), device=ids.device)
    begin = torch.where(begins, places, 0).cummax(0).values if len(ids) else places
    number = torch.empty_like(order).scatter_(0, order, (first.cumsum(0) - 1)[order[begin]])
    return first, number
