"""Kernels that spread one unit of mass from each node of a graph along its edges, where it is worth it.

A walk at node u stays with probability ``1 / d_u`` and goes to source v of its in-edges with ``w_uv / d_u``, where
``d_u`` is the weighted in-degree with a self-loop of weight 1. Each row of the result is what one start left where, and
costs time for the nodes that it reaches, not for the graph; the work arrays are as long as the graph has nodes.
"""

from __future__ import annotations

import numpy as np
from numba import njit

Array = np.ndarray


@njit(nogil=True, cache=True)
def personalized_pagerank(
    rowptr: Array,
    col: Array,
    weight: Array,
    degree: Array,
    starts: tuple[int, int],
    alpha: float,
    eps: float,
    scale: Array,
    top_k: int,
    columns: Array,
    values: Array,
) -> tuple[Array, Array, Array]:
    """Rows of personalised PageRank by pushing residuals, first in first out (Andersen et al., 2006, algorithm 2).

    Args:
        rowptr: offsets of the rows, shape (n + 1,).
        col: sources, shape (nnz,).
        weight: of each edge, shape (nnz,), float64; empty for ones.
        degree: shape (n,), float64.
        starts: first and last + 1 of the nodes to start from.
        alpha: share of the mass at a node that stays there in each step.
        eps: mass below ``eps * degree`` moves no further.
        scale: what an entry (i, j) is multiplied by, as ``scale[i] / scale[j]``, shape (n,), float64.
        top_k: entries of a row, at most, the first ones of equal entries; 0 for all.
        columns: buffer that gives the type of the columns.
        values: buffer that gives the type of the values, of the same length.

    Returns:
        Entries of each row, shape (rows,), int64; their columns, in the order of discovery; their values.
    """
    n, (first, last) = len(degree), starts
    kept, left = np.zeros(n), np.zeros(n)
    waits, seen = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    queue, nodes = np.empty(n, np.int64), np.empty(n, np.int64)
    counts, used = np.zeros(last - first, np.int64), 0
    for start in range(first, last):
        left[start], waits[start], seen[start] = 1.0, True, True
        queue[0], nodes[0] = start, start
        head, waiting, reached = 0, 1, 1
        while waiting:
            node = queue[head]
            head = head + 1 if head + 1 < n else 0
            waiting -= 1
            waits[node] = False
            mass = left[node]
            kept[node] += alpha * mass
            unit = (1 - alpha) * mass / degree[node]
            left[node] = unit
            for edge in range(rowptr[node] - 1, rowptr[node + 1]):
                other = node  # the self-loop comes first
                if edge >= rowptr[node]:
                    other = col[edge]
                    left[other] += unit * weight[edge] if len(weight) else unit
                if not seen[other]:
                    seen[other] = True
                    nodes[reached] = other
                    reached += 1
                if not waits[other] and left[other] >= eps * degree[other]:
                    waits[other] = True
                    tail = head + waiting
                    queue[tail if tail < n else tail - n] = other
                    waiting += 1
        count, columns, values = _append(kept, nodes[:reached], scale, start, top_k, columns, values, used)
        counts[start - first] = count
        used += count
        for place in range(reached):
            node = nodes[place]
            kept[node], left[node], seen[node] = 0.0, 0.0, False
    return counts, columns[:used], values[:used]


@njit(nogil=True, cache=True)
def power_series(
    rowptr: Array,
    col: Array,
    weight: Array,
    degree: Array,
    starts: tuple[int, int],
    theta: Array,
    eps: float,
    scale: Array,
    top_k: int,
    columns: Array,
    values: Array,
) -> tuple[Array, Array, Array]:
    """Rows of ``sum_k theta_k P^k`` for the transition matrix P, power after power.

    Mass that the coefficients to come multiply to less than ``eps * degree`` divided by their number moves no further,
    and entries below ``eps * degree`` are left out.

    Args:
        theta: coefficients, shape (powers + 1,), float64, not negative.
        eps: see above.
        rowptr, col, weight, degree, starts, scale, top_k, columns, values: as in :func:`personalized_pagerank`.

    Returns:
        As :func:`personalized_pagerank`.
    """
    n, (first, last) = len(degree), starts
    powers = len(theta) - 1
    ahead = np.zeros(powers + 1)  # sum of the coefficients of the powers to come
    for power in range(powers - 1, -1, -1):
        ahead[power] = ahead[power + 1] + theta[power + 1]
    kept, here, there = np.zeros(n), np.zeros(n), np.zeros(n)
    nodes, current, following = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    counts, used = np.zeros(last - first, np.int64), 0
    for start in range(first, last):
        here[start], current[0] = 1.0, start
        size, reached = 1, 0
        for power in range(powers + 1):
            moved = 0
            for place in range(size):
                node = current[place]
                mass = here[node]
                here[node] = 0.0
                if kept[node] == 0 and theta[power] * mass > 0:
                    nodes[reached] = node
                    reached += 1
                kept[node] += theta[power] * mass
                if power == powers or ahead[power] * mass * powers < eps * degree[node]:
                    continue
                unit = mass / degree[node]
                for edge in range(rowptr[node] - 1, rowptr[node + 1]):
                    other, share = node, unit  # the self-loop comes first
                    if edge >= rowptr[node]:
                        other = col[edge]
                        share = unit * weight[edge] if len(weight) else unit
                    if there[other] == 0 and share > 0:
                        following[moved] = other
                        moved += 1
                    there[other] += share
            here, there = there, here
            current, following = following, current
            size = moved
        for place in range(reached):
            if kept[nodes[place]] < eps * degree[nodes[place]]:
                kept[nodes[place]] = 0.0
        count, columns, values = _append(kept, nodes[:reached], scale, start, top_k, columns, values, used)
        counts[start - first] = count
        used += count
        for place in range(reached):
            kept[nodes[place]] = 0.0
    return counts, columns[:used], values[:used]


@njit(nogil=True, cache=True)
def _append(
    kept: Array, nodes: Array, scale: Array, row: int, top_k: int, columns: Array, values: Array, used: int
) -> tuple[int, Array, Array]:
    """Write the entries of a row that are not zero behind the first ``used``, into larger buffers if need be."""
    nodes = nodes[kept[nodes] > 0]
    entries = kept[nodes] * (scale[row] / scale[nodes])
    least, ties = 0.0, 0
    if 0 < top_k < len(entries):
        least, ties = _least_of_top(entries, top_k)
    if used + len(entries) > len(columns):
        room = max(2 * len(columns), used + len(entries))
        more_columns, more_values = np.empty(room, columns.dtype), np.empty(room, values.dtype)
        more_columns[:used], more_values[:used] = columns[:used], values[:used]
        columns, values = more_columns, more_values
    count = used
    for place in range(len(entries)):
        if entries[place] == least:
            ties -= 1
        if entries[place] > least or (entries[place] == least and ties >= 0):
            columns[count] = nodes[place]
            values[count] = entries[place]
            count += 1
    return count - used, columns, values


@njit(nogil=True, cache=True)
def _least_of_top(entries: Array, top_k: int) -> tuple[float, int]:
    """The least of the greatest entries, and how many of them it equals; kept in a heap with the least on top."""
    heap = np.full(top_k, -np.inf)
    for entry in entries:
        if entry <= heap[0]:
            continue
        place = 0
        while 2 * place + 1 < top_k:
            child = 2 * place + 1
            if child + 1 < top_k and heap[child + 1] < heap[child]:
                child += 1
            if heap[child] >= entry:
                break
            heap[place] = heap[child]
            place = child
        heap[place] = entry
    return heap[0], (heap == heap[0]).sum()
