"""Rows appended to a pattern by a counting sort."""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from torch import Tensor

from gssl.graph.sparse import Pattern

Array = np.ndarray


def append_rows(above: Pattern, source: Tensor, target: Tensor, num_rows: int) -> tuple[Pattern, Tensor]:
    """A square pattern: the rows of ``above``, and below them the edges into further rows.

    Args:
        above: shape (n, num_rows).
        source: column of each edge, shape (m,).
        target: row of each edge, shape (m,); edges into the first n rows are left out.
        num_rows: of the result.

    Returns:
        The pattern, and for each of its non-zeros which non-zero of ``above`` it is, or ``above.nnz`` plus which edge,
        shape (nnz,), int64.
    """
    rowptr, col = above.rowptr.numpy(), above.col.numpy()
    offsets = np.zeros(num_rows + 1, rowptr.dtype)
    sources, targets = source.numpy(), target.numpy()
    total = _offsets(rowptr, targets, offsets)
    out, order = np.empty(total, col.dtype), np.empty(total, np.int64)
    _fill(rowptr, col, sources, targets, offsets, out, order)
    return Pattern(torch.from_numpy(offsets), torch.from_numpy(out), num_rows), torch.from_numpy(order)


@njit(nogil=True, cache=True)
def _offsets(rowptr: Array, target: Array, offsets: Array) -> int:
    n = len(rowptr) - 1
    counts = np.zeros(len(offsets) - 1 - n, np.int64)
    for e in range(len(target)):
        if target[e] >= n:
            counts[target[e] - n] += 1
    offsets[: n + 1] = rowptr
    total = np.int64(rowptr[n])
    for r in range(len(counts)):
        total += counts[r]
        offsets[n + r + 1] = total
    return int(total)


@njit(nogil=True, cache=True)
def _fill(rowptr: Array, col: Array, source: Array, target: Array, offsets: Array, out: Array, order: Array) -> None:
    n, inner = len(rowptr) - 1, len(col)
    for e in range(inner):
        out[e] = col[e]
        order[e] = e
    place = offsets[n:].copy()
    for e in range(len(target)):
        if target[e] >= n:
            at = place[target[e] - n]
            place[target[e] - n] = at + 1
            out[at] = source[e]
            order[at] = inner + e
