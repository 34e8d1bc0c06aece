"""What layer-wise importance sampling has in common: norms of the columns of the normalised adjacency."""

from __future__ import annotations

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
