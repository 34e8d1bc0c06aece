"""Arrays that are written piece by piece, and whose length is known at the end only."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.lib import format as npy

from gssl.datasets.mapped import open_array
from gssl.datasets.npy_header import check_array_file

_HEADER = 128  # bytes; numpy pads headers to multiples of 64, and those of short shapes fit


class ArrayWriter:
    """A ``.npy`` file that grows.

    Args:
        path: of the file, which is replaced.
        dtype: of its numbers.
        width: columns of a matrix; None for a list of numbers.

    Attributes:
        length: rows so far.
    """

    def __init__(self, path: Path, dtype: Any, width: int | None = None) -> None:
        self.path, self.dtype, self.width = path, np.dtype(dtype), width
        self.length = 0

    def __enter__(self) -> Self:
        self._file = self.path.open("wb")
        self._file.write(bytes(_HEADER))
        return self

    def append(self, rows: np.ndarray) -> None:
        """Add rows, shape (n,) or (n, width), of the dtype of the file."""
        assert rows.dtype == self.dtype
        assert rows.shape[1:] == (() if self.width is None else (self.width,))
        self._file.write(np.ascontiguousarray(rows).data)
        self.length += len(rows)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._file.close()

    def _finish(self) -> None:
        shape = (self.length,) if self.width is None else (self.length, self.width)
        self._file.seek(0)
        header = {"descr": npy.dtype_to_descr(self.dtype), "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(self._file, header)
        assert self._file.tell() <= _HEADER
        if self._file.tell() < _HEADER:
            raise AssertionError("the header of an array is shorter than its place")
        self._file.flush()
        os.fsync(self._file.fileno())


def open_written(path: Path) -> np.ndarray:
    """An array whose numbers stay in the file; one without numbers cannot be mapped.

    Raises:
        InputError: damaged.
    """
    return open_array(path) if check_array_file(path).nbytes else np.load(path, allow_pickle=False)
