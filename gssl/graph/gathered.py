"""Rows of a matrix that are read where they are used, and not copied into a batch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numba import njit
from torch import Tensor

from gssl.graph.cache_hint import prefetch

_PAGE = 4096 // 4  # numbers of float32 that the system brings from a file together
_AHEAD = 16  # rows


@dataclass(frozen=True, eq=False)
class GatheredRows:
    """Some rows of a dense matrix, for example those of the neighbors of a batch.

    A layer that sums neighbors needs no copy of them, so that a batch takes no memory for the features of its
    neighbors, whatever their number. :meth:`to_dense` makes the copy for whoever needs one.

    Attributes:
        table: shape (n, dim), float, possibly memory-mapped.
        index: row of ``table`` of each row, shape (num_rows,), int64.
        keep: columns that are not set to zero, shape (dim,), bool; None means all.
    """

    table: Tensor
    index: Tensor
    keep: Tensor | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.index), self.table.shape[1]

    @property
    def device(self) -> torch.device:
        return self.table.device

    @property
    def dtype(self) -> torch.dtype:
        return self.table.dtype

    def select_rows(self, index: Tensor) -> GatheredRows:
        """Rows ``index`` (int64), in that order, repeats allowed."""
        return replace(self, index=self.index[index])

    def head(self, num_rows: int) -> GatheredRows:
        """The first rows."""
        return replace(self, index=self.index[:num_rows])

    def mask(self, keep: Tensor) -> GatheredRows:
        """Zeros in every column but those where ``keep`` (dim,) bool is set."""
        return replace(self, keep=keep if self.keep is None else self.keep & keep)

    def masked(self, rows: Tensor) -> Tensor:
        """A matrix (m, dim) that was made of rows of ``table``, with the zeros of :meth:`mask`, changed in place."""
        return rows if self.keep is None else rows.mul_(self.keep)

    def to_dense(self) -> Tensor:
        """The rows themselves, shape (num_rows, dim): a copy, made once, that all who see these rows share."""
        return self._dense

    @cached_property
    def _dense(self) -> Tensor:
        return self.masked(self.table.index_select(0, self.index))

    def __reduce__(self) -> tuple[type[GatheredRows], tuple[Tensor, Tensor, Tensor | None]]:
        """Elsewhere there are these rows only, and not the whole table."""
        rows = self.table.index_select(0, self.index)
        return GatheredRows, (rows, torch.arange(len(rows), device=rows.device), self.keep)


@njit(nogil=True, cache=True)
def touch_rows(table: np.ndarray, index: np.ndarray) -> float:
    """Read a number from every page of some rows; returns their sum, for else nothing would be read."""
    total, width, flat = 0.0, table.shape[1], table.reshape(-1)
    for i in range(len(index)):
        if i + _AHEAD < len(index):
            prefetch(flat, index[i + _AHEAD] * width)
        for column in range(0, width, _PAGE):
            total += table[index[i], column]
    return total
