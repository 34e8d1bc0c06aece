"""Kernels that grow a batch by one hop: offsets, uniform picks without replacement, renumbering.

Random access to memory is what a hop costs, so each kernel makes passes in which the accesses do not wait for each
other: first the offsets of the whole frontier; then, a few hundred rows at a time, the positions of the picks (pure
arithmetic), the gather of the neighbors, and their new numbers without a branch.

Renumbering uses a stamp per node of the graph that is never cleared: ``stamp[v] - base`` is the number of ``v`` in
the batch if that is not negative, and ``base`` grows by the size of the batch from one to the next.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, uint64

from gssl.samplers.kernels.rng import below, hash64

Array = np.ndarray
_CHUNK = 256  # rows; their picks stay in the first-level cache


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
        begin = rowptr[nodes[i]]
        count = rowptr[nodes[i] + 1] - begin
        start[i] = begin
        degree[i] = count
        total += count if fanout < 0 or count < fanout else fanout
        offsets[i + 1] = total
    return total


@njit(nogil=True, cache=True)
def pick(node: int, start: int, degree: int, fanout: int, stream: int, out: Array) -> None:
    """Positions of ``fanout`` of ``degree`` edges, each subset equally likely (Floyd; Bentley, 1987).

    Pick ``i`` is uniform among the first ``degree - fanout + i + 1`` edges; one that was picked already is replaced
    by the last of these.
    """
    own: Any = hash64(stream, node)
    seen = uint64(0)  # one bit for each pick, by its remainder: exact up to 64 edges
    for i in range(fanout):
        last = degree - fanout + i
        bits: Any = hash64(own, i)
        choice: Any = np.int64(below(bits, last + 1))
        bit = uint64(1) << uint64(choice & 63)
        again = (seen & bit) != 0
        if degree > 64 and again:
            again = False
            for j in range(i):
                again |= out[j] == start + choice
        choice = last if again else choice
        seen |= uint64(1) << uint64(choice & 63)
        out[i] = start + choice


@njit(nogil=True, cache=True)
def uniform_hop(
    col: Array,
    nodes: Array,
    count: int,
    rows: int,
    start: Array,
    degree: Array,
    offsets: Array,
    fanout: int,
    stream: int,
    stamp: Array,
    base: int,
    position: Array,
    local: Array,
) -> int:
    """Pick edges of the first ``rows`` nodes and number their sources in order of first appearance.

    Args:
        col: sources of the graph's edges.
        nodes: ids of the batch, of which the first ``count`` are there; new ones are appended.
        count: nodes of the batch so far.
        rows: destinations of the hop.
        start, degree, offsets: from :func:`hop_offsets`.
        fanout: edges to pick in each row; -1 for all.
        stream: of the hop's random numbers.
        stamp: one for each node of the graph.
        base: what stamps of this batch count from.
        position: written: which edge of the graph each pick is, shape (edges,).
        local: written: the number of its source in the batch, shape (edges,).

    Returns:
        Nodes of the batch after the hop.
    """
    for first in range(0, rows, _CHUNK):
        stop = min(first + _CHUNK, rows)
        for i in range(first, stop):
            begin, end = offsets[i], offsets[i + 1]
            if degree[i] == end - begin:
                for j in range(end - begin):
                    position[begin + j] = start[i] + j
            else:
                pick(nodes[i], start[i], degree[i], fanout, stream, position[begin:end])
        begin, end = offsets[first], offsets[stop]
        for e in range(begin, end):
            local[e] = col[position[e]]
        count = renumber(nodes, count, stamp, base, local[begin:end])
    return count


@njit(nogil=True, cache=True)
def renumber(nodes: Array, count: int, stamp: Array, base: int, ids: Array) -> int:
    """Replace ids by their numbers in the batch, appending the new ones; returns the nodes of the batch."""
    for e in range(len(ids)):
        node = ids[e]
        number = stamp[node] - base
        new = number < 0
        number = count if new else number
        stamp[node] = base + number
        nodes[count] = node
        count += new
        ids[e] = number
    return count
