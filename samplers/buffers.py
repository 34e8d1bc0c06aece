"""Memory of large batches, used again by later ones."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# glibc's malloc keeps freed blocks up to this size and returns larger ones to the system (DEFAULT_MMAP_THRESHOLD_MAX).
KEPT_BY_MALLOC = 32 * 2**20
_ROOM = 1 / 16  # batches differ in size; what is not touched takes no memory


@dataclass
class _Loan:
    memory: np.ndarray
    matrix: Callable[[], np.ndarray | None]  # None once the tensors made from it are gone


class Buffers:
    """Gives out float32 matrices, large ones in memory that an earlier one had and nothing refers to any more.

    The first touch of fresh memory costs more than copying rows into it. There are never more buffers than were in
    use at the same time. May be used by several threads; a copy, in another process for example, begins with none.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loans: list[_Loan] = []

    def __reduce__(self) -> tuple[type[Buffers], tuple[()]]:
        return Buffers, ()

    def empty(self, rows: int, dim: int) -> Tensor:
        """A matrix of shape (rows, dim), float32, on the CPU, with arbitrary values."""
        size = rows * dim
        if 4 * size <= KEPT_BY_MALLOC:
            # numpy asks for huge pages where an array is large; a first touch of small ones costs twice as much.
            return torch.from_numpy(np.empty((rows, dim), np.float32))
        with self._lock:
            self._loans = [loan for loan in self._loans if loan.matrix() is not None or len(loan.memory) >= size]
            loan = next((loan for loan in self._loans if loan.matrix() is None), None)
            if loan is None:
                loan = _Loan(np.empty(int(size * (1 + _ROOM)), np.float32), lambda: None)
                self._loans.append(loan)
            matrix = loan.memory[:size].reshape(rows, dim)
            loan.matrix = weakref.ref(matrix)
        return torch.from_numpy(matrix)
