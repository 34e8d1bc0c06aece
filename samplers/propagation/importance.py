"""What layer-wise importance sampling has in common: norms of the columns of the normalised adjacency."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gssl.graph.block import Block
from gssl.graph.sparse import Pattern


def squared_entries(block: Block, rows: Pattern, nodes: Tensor, position: Tensor | None) -> Tensor:
    """Squares of the entries of ``D^-1/2 A D^-1/2`` (degrees with the self loop, which is exact and left out).

    Args:
        block: all edges of the graph.
        rows: some of its rows, by global id of the source.
        nodes: which rows they are, shape (num_rows,), int64.
        position: their edges in the graph, shape (nnz,); None if all, in order.

    Returns:
        Shape (nnz,), float64.
    """
    scale = 1 / (block.degree.double() + 1).clamp(min=1e-12)
    entries = scale[rows.col] * scale[nodes].repeat_interleave(rows.counts.long(), output_size=rows.nnz)
    if block.weight is None:
        return entries
    weight = block.weight if position is None else block.weight[position]
    return entries * weight.double().square()


def column_sums(entries: Tensor, column: Tensor, num_columns: int) -> Tensor:
    """Sum of the entries of each column, shape (num_columns,), float64, in the order of the entries."""
    return torch.zeros(num_columns, dtype=torch.float64, device=column.device).index_add(0, column, entries)


def ranked(sources: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Which of the distinct sources each one is, for which no device is waited for.

    Args:
        sources: shape (nnz,), int64.

    Returns:
        The sources ascending, the rank of each of these among the distinct ones, and the ranks in the order given, all
        (nnz,), int64.
    """
    ordered, order = sources.sort(stable=True)
    begins = torch.ones_like(ordered)
    begins[1:] = (ordered[1:] != ordered[:-1]).long()
    place = begins.cumsum(0) - 1
    return ordered, place, torch.empty_like(place).scatter_(0, order, place)


@dataclass(frozen=True, eq=False)
class Candidates:
    """The sources of some edges, each once.

    Attributes:
        ids: ascending, shape (n,), int64. On a device, which would have to be asked how many there are, there is room
            for one of each edge, and what follows the last candidate means nothing.
        source: which of them each edge has, shape (nnz,), int64.
        number: how many there are, int; or () int64 on the device.
    """

    ids: Tensor
    source: Tensor
    number: int | Tensor

    @property
    def real(self) -> Tensor:
        """Which of ``ids`` are candidates, shape (n,), bool."""
        return torch.arange(len(self.ids), device=self.ids.device) < self.number

    @classmethod
    def of(cls, sources: Tensor, *, exactly: bool) -> Candidates:
        """Of the source of each edge, shape (nnz,), int64; without further room if they must be ``exactly`` these."""
        if exactly or sources.device.type == "cpu" or not len(sources):
            ids, source = torch.unique(sources, return_inverse=True)
            return cls(ids, source, len(ids))
        ordered, place, source = ranked(sources)
        ids = torch.zeros_like(ordered).scatter_(0, place, ordered)
        return cls(ids, source, place[-1] + 1)
