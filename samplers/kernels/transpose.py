"""The transpose of a sparsity pattern by a counting sort."""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from torch import Tensor

from gssl.graph.sparse import Pattern

Array = np.ndarray


def transposed(pattern: Pattern) -> tuple[Pattern, Tensor]:
    """What ``pattern.transposed`` gives, in three passes over the non-zeros.

    Returns:
        The transposed pattern, and the position (nnz,) int64 of each of its non-zeros in ``pattern``.
    """
    rowptr, col = pattern.rowptr.numpy(), pattern.col.numpy()
    offsets = np.zeros(pattern.num_cols + 1, col.dtype)
    row, order = np.empty(len(col), col.dtype), np.empty(len(col), np.int64)
    counting_sort(rowptr, col, offsets, row, order)
    turned = Pattern(torch.from_numpy(offsets), torch.from_numpy(row), pattern.num_rows)
    return turned, torch.from_numpy(order)


@njit(nogil=True, cache=True)
def counting_sort(rowptr: Array, col: Array, offsets: Array, row: Array, order: Array) -> None:
    """Fill ``offsets`` (num_cols + 1,), zero before, and ``row`` and ``order`` (nnz,), stable in each column."""
    for e in range(len(col)):
        offsets[col[e]] += 1
    total = 0
    for c in range(len(offsets)):
        total, offsets[c] = total + offsets[c], total
    for r in range(len(rowptr) - 1):
        for e in range(rowptr[r], rowptr[r + 1]):
            place = offsets[col[e]]
            offsets[col[e]] = place + 1
            row[place] = r
            order[place] = e
    for c in range(len(offsets) - 1, 0, -1):
        offsets[c] = offsets[c - 1]
    offsets[0] = 0
