"""Kernels that grow a batch by one hop: offsets, uniform picks without replacement, renumbering.

Random access to memory is what a hop costs, so each kernel makes passes in which the accesses do not wait for each
other: first the offsets of the whole frontier; then, a few hundred rows at a time, the positions of the picks (pure
arithmetic), the gather of the neighbors, and their new numbers.

Renumbering uses slots that are never cleared: ``slot - base`` is the number of a node in the batch if that is not
negative, and ``base`` grows by the size of the batch from one to the next. Where a batch may reach much of the graph
there is a slot for every node; for smaller ones a hash table does, which has two slots for each of their edges.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, uint64

from gssl.graph.cache_hint import prefetch
from gssl.samplers.kernels.rng import below, hash64, uniform
from gssl.samplers.rng import GOLDEN

Array = np.ndarray
_GOLDEN = uint64(GOLDEN)
_CHUNK = 256  # rows; what is fetched for their picks stays in the nearest caches
_AHEAD = 16  # nodes
DIRECT = -1
"""Instead of the shift of a hash: every node of the graph has a slot of its own."""


# Unsigned subscripts spare a kernel the question whether one counts from the end.
@njit(inline="always")
def _home(shift: int, node: int) -> Any:
    """The slot where the search for a node begins."""
    if shift < 0:
        return uint64(node)
    return (uint64(node) * _GOLDEN) >> uint64(shift)


@njit(inline="always")
def _slot(slots: Array, shift: int, nodes: Array, base: int, node: int) -> Any:
    """The slot of a node: the one that has its number, else the one that is to get it."""
    place = _home(shift, node)
    if shift >= 0:
        while slots[place] >= base and nodes[uint64(slots[place] - base)] != node:
            place = (place + uint64(1)) & uint64(len(slots) - 1)
    return place


@njit(nogil=True, cache=True)
def enter(slots: Array, shift: int, nodes: Array, base: int) -> None:
    """Number nodes that are not there yet, distinct, in their order."""
    for number in range(len(nodes)):
        slots[_slot(slots, shift, nodes, base, nodes[number])] = base + number


@njit(nogil=True, cache=True)
def hop_offsets(rowptr: Array, nodes: Array, fanout: int, start: Array, degree: Array, offsets: Array) -> int:
    """Where the in-edges of each node begin and how many there are, and the offsets of ``min(degree, fanout)``.

    Args:
        rowptr: offsets of the graph.
        nodes: the frontier, shape (n,).
        fanout: edges to pick in each row; -1 for all.
        start, degree: written, shape (n,).
        offsets: written, shape (n + 1,).

    Returns:
        The number of edges.
    """
    total = 0
    offsets[0] = 0
    for i in range(len(nodes)):
        if i + _AHEAD < len(nodes):
            prefetch(rowptr, np.int64(nodes[i + _AHEAD]))
        begin = rowptr[nodes[i]]
        count = rowptr[nodes[i] + 1] - begin
        start[i] = begin
        degree[i] = count
        total += count if fanout < 0 or count < fanout else fanout
        offsets[i + 1] = total
    return total


@njit(nogil=True, cache=True)
def _pick(
    col: Array, node: int, start: int, degree: int, fanout: int, stream: int, bits: Array, out: Array, first: int
) -> None:
    """Positions of ``fanout`` of ``degree`` edges, each subset equally likely (Floyd; Bentley, 1987).

    Pick ``i`` is uniform among the first ``degree - fanout + i + 1`` edges; one that was picked already is replaced
    by the last of these. They are written to ``out[first : first + fanout]``.
    """
    own: Any = hash64(stream, node)
    for i in range(fanout):
        drawn: Any = hash64(own, i)
        bits[i] = below(drawn, degree - fanout + i + 1)
    seen = uint64(0)  # one bit for each pick, by its remainder: exact up to 64 edges
    for i in range(fanout):
        choice: Any = np.int64(bits[i])
        again: Any = (seen >> uint64(choice & 63)) & uint64(1)
        if again and degree > 64:
            again = uint64(0)
            for j in range(first, first + i):
                again |= uint64(out[j] == start + choice)
        if again:
            choice = np.int64(degree - fanout + i)
        seen |= uint64(1) << uint64(choice & 63)
        out[first + i] = start + choice
        prefetch(col, start + choice)


@njit(nogil=True, cache=True)
def uniform_hop(
    col: Array,
    nodes: Array,
    count: int,
    skip: int,
    rows: int,
    start: Array,
    degree: Array,
    offsets: Array,
    fanout: int,
    stream: int,
    slots: Array,
    shift: int,
    base: int,
    position: Array,
    local: Array,
) -> int:
    """Pick edges of some nodes of a batch and number their sources in order of first appearance.

    Args:
        col: sources of the graph's edges.
        nodes: ids of the batch, of which the first ``count`` are there; new ones are appended.
        count: nodes of the batch so far.
        skip: how many of the first nodes are no destinations.
        rows: destinations of the hop, the nodes that follow.
        start, degree, offsets: from :func:`hop_offsets`.
        fanout: edges to pick in each row.
        stream: of the hop's random numbers.
        slots: where the numbers of nodes are, int32.
        shift: how many bits of a hash are cut off, or ``DIRECT``.
        base: what the slots of this batch count from.
        position: written: which edge of the graph each pick is, shape (edges,).
        local: written: the number of its source in the batch, shape (edges,).

    Returns:
        Nodes of the batch after the hop.
    """
    bits = np.empty(fanout, np.uint64)
    for first in range(0, rows, _CHUNK):
        stop = min(first + _CHUNK, rows)
        for i in range(first, stop):
            begin, picks = offsets[i], offsets[i + 1] - offsets[i]
            origin: Any = np.int64(start[i])
            incoming: Any = np.int64(degree[i])
            if incoming == picks:
                for j in range(picks):
                    position[begin + j] = origin + j
                    prefetch(col, origin + j)
            else:
                _pick(col, nodes[skip + i], origin, incoming, fanout, stream, bits, position, begin)
        begin, end = offsets[first], offsets[stop]
        for e in range(begin, end):
            local[e] = col[position[e]]
            prefetch(slots, np.int64(_home(shift, local[e])))
        count = _renumber(nodes, count, slots, shift, base, local, begin, end)
    return count


@njit(nogil=True, cache=True)
def whole_hop(
    col: Array,
    nodes: Array,
    count: int,
    start: Array,
    degree: Array,
    slots: Array,
    shift: int,
    base: int,
    local: Array,
) -> int:
    """All edges of some nodes of a batch, numbered as by :func:`uniform_hop`, whose arguments these are.

    Rows are read in one piece, so what is fetched ahead is where they begin. The numbering of :func:`_renumber` stands
    here again because a call for each row, or for each edge from both, took a fifth to three quarters longer.
    """
    place: Any = uint64(0)
    for i in range(len(start)):
        if i + _AHEAD < len(start):
            prefetch(col, np.int64(start[i + _AHEAD]))
        origin: Any = uint64(start[i])
        for e in range(origin, origin + uint64(degree[i])):
            node = col[e]
            slot = _slot(slots, shift, nodes, base, node)
            number = slots[slot] - base
            if number < 0:
                number = count
                slots[slot] = base + count
                nodes[uint64(count)] = node
                count += 1
            local[place] = number
            place += uint64(1)
    return count


@njit(nogil=True, cache=True)
def renumber(nodes: Array, count: int, slots: Array, shift: int, base: int, ids: Array) -> int:
    """Replace ids by their numbers in the batch, appending the new ones; returns the nodes of the batch."""
    for first in range(0, len(ids), _CHUNK):
        stop = min(first + _CHUNK, len(ids))
        for e in range(first, stop):
            prefetch(slots, np.int64(_home(shift, ids[e])))
        count = _renumber(nodes, count, slots, shift, base, ids, first, stop)
    return count


@njit(nogil=True, cache=True)
def _renumber(nodes: Array, count: int, slots: Array, shift: int, base: int, ids: Array, begin: int, end: int) -> int:
    for e in range(uint64(begin), uint64(end)):
        node = ids[e]
        slot = _slot(slots, shift, nodes, base, node)
        number = slots[slot] - base
        if number < 0:
            number = count
            slots[slot] = base + count
            nodes[count] = node
            count += 1
        ids[e] = number
    return count


@njit(nogil=True, cache=True)
def shared_edges(
    rowptr: Array, col: Array, nodes: Array, fanout: int, stream: int, offsets: Array, position: Array
) -> int:
    """Edges whose source has a number below ``fanout / degree`` of the destination; one number for each source.

    Args:
        rowptr, col: the graph.
        nodes: destinations, shape (n,).
        fanout: expected edges of a row.
        stream: of the numbers.
        offsets: written, shape (n + 1,).
        position: written as far as there are edges; room for all in-edges of the nodes.

    Returns:
        The number of edges.
    """
    total = 0
    offsets[0] = 0
    for i in range(len(nodes)):
        begin, end = rowptr[nodes[i]], rowptr[nodes[i] + 1]
        degree = end - begin
        chance = 1.0 if degree <= fanout else fanout / degree
        for e in range(begin, end):
            position[total] = e
            total += chance == 1.0 or uniform(stream, col[e]) < chance
        offsets[i + 1] = total
    return total


@njit(nogil=True, cache=True)
def inner_edges(
    rowptr: Array,
    col: Array,
    nodes: Array,
    slots: Array,
    shift: int,
    base: int,
    offsets: Array,
    position: Array,
    local: Array,
) -> int:
    """Edges among the nodes of a batch, with their sources' numbers; arguments as of :func:`shared_edges`."""
    total = 0
    offsets[0] = 0
    for i in range(len(nodes)):
        for e in range(rowptr[nodes[i]], rowptr[nodes[i] + 1]):
            number = slots[_slot(slots, shift, nodes, base, col[e])] - base
            position[total] = e
            local[total] = number
            total += number >= 0
        offsets[i + 1] = total
    return total


@njit(nogil=True, cache=True)
def ego_edges(
    rowptr: Array,
    col: Array,
    nodes: Array,
    starts: Array,
    slots: Array,
    base: int,
    offsets: Array,
    position: Array,
    local: Array,
) -> int:
    """Edges within each of many small node sets, or how many there are in each row where there is no room for them.

    Args:
        rowptr, col: the graph.
        nodes: the first nodes of all sets, then the others set by set.
        starts: where the others of each set begin and end, shape (num_sets + 1,).
        slots: one for each node of the graph.
        base: of the batch; every set uses up as many numbers as it has nodes.
        offsets: row offsets, shape (num_nodes + 1,); without room, counts are written to ``offsets[row + 1]``.
        position, local: written: which edge of the graph, and the row of its source; empty for no room.

    Returns:
        The base that the next batch may use.
    """
    fill = len(position) > 0
    for group in range(len(starts) - 1):
        before = starts[group] - 1  # what a number in the set, from 1, is counted from
        size = starts[group + 1] - before
        slots[nodes[group]] = base
        for number in range(1, size):
            slots[nodes[before + number]] = base + number
        for index in range(size):
            row = before + index if index else group
            place = offsets[row]
            found = 0
            for e in range(rowptr[nodes[row]], rowptr[nodes[row] + 1]):
                number = slots[col[e]] - base
                if number >= 0:
                    if fill:
                        position[place + found] = e
                        local[place + found] = before + number if number else group
                    found += 1
            if not fill:
                offsets[row + 1] = found
        base += size
    return base
