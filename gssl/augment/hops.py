"""Hop distances between nodes, from some of them to all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra
from torch import Tensor

from gssl.graph.sparse import Pattern
from gssl.samplers.draws import keyed_order

UNREACHED = -1
_CELLS = 1 << 26  # of a table of distances, 64 MiB
_CELLS_AT_ONCE = 1 << 22  # that are made at a time, as 8-byte numbers


def hop_distances(pattern: Pattern, sources: Tensor, *, limit: int | None = None) -> Tensor:
    """Number of edges on a shortest path from each source to every node, whatever the direction of edges.

    Args:
        pattern: edges, shape (n, n), on the CPU.
        sources: nodes, shape (s,), int64.
        limit: the greatest distance that matters; None for any.

    Returns:
        Shape (s, n), int16; ``UNREACHED`` where there is no path, or none so short.
    """
    adjacency, limited = _adjacency(pattern), np.inf if limit is None else float(limit)
    table = torch.empty(len(sources), pattern.num_rows, dtype=torch.int16)
    for start, rows in _pieces(sources, pattern.num_rows):
        far = dijkstra(adjacency, directed=False, indices=rows.numpy(), unweighted=True, limit=limited)
        table[start : start + len(rows)] = torch.from_numpy(np.where(np.isfinite(far), far, UNREACHED)).to(torch.int16)
    return table


def hop_classes(pattern: Pattern, hops: int, *, cells: int = _CELLS) -> tuple[Tensor, Tensor]:
    """Distances from as many nodes as a table of bounded size holds, those of ``hops`` and above as one class.

    Args:
        pattern: edges, shape (n, n), on the CPU; their direction does not matter.
        hops: the last class, at most 127.
        cells: of the table at most, if it has one row. Of more nodes some are taken whose numbers are hashed, the same
            in every run.

    Returns:
        Row of each node in the table, shape (n,), int64, -1 where it has none; and the table, shape (s, n), int8: 0
        for the node itself, 1 to ``hops - 1`` for that distance, ``hops`` for any greater one, ``UNREACHED`` where
        there is no path.
    """
    count = pattern.num_rows
    kept = min(count, max(1, cells // max(count, 1)))
    sources = torch.arange(count) if kept == count else keyed_order(torch.arange(count), 0)[:kept].sort().values
    part = torch.from_numpy(connected_components(_adjacency(pattern), directed=False)[1])
    table = torch.empty(kept, count, dtype=torch.int8)
    for start, rows in _pieces(sources, count):
        near = hop_distances(pattern, rows, limit=hops - 1).to(torch.int8)
        joined = part[rows][:, None] == part
        table[start : start + len(rows)] = torch.where((near == UNREACHED) & joined, hops, near)
    row = torch.full((count,), UNREACHED)
    row[sources] = torch.arange(kept)
    return row, table


def _pieces(sources: Tensor, count: int) -> Iterator[tuple[int, Tensor]]:
    """Some sources at a time, with the place of the first."""
    size = max(1, _CELLS_AT_ONCE // max(count, 1))
    yield from ((start, sources[start : start + size]) for start in range(0, len(sources), size))


def _adjacency(pattern: Pattern) -> csr_array:
    ones = np.ones(pattern.nnz)
    shape = (pattern.num_rows, pattern.num_cols)
    return csr_array((ones, pattern.col.numpy(), pattern.rowptr.numpy()), shape=shape)
