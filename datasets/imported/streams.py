"""Arrays and tables that are read piece by piece, whatever their size: ``.npy``, members of ``.npz``, ``.csv.gz``."""

from __future__ import annotations

import gzip
import io
import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np

from gssl.common.errors import InputError
from gssl.datasets.npy_header import Header, check_array_file
from gssl.datasets.unzip import arrays_in

PIECE_BYTES = 1 << 25
"""Bytes of numbers that are looked at together."""
_LONGEST_LINE = 1 << 20


class ArrayStream:
    """An array of numbers in a ``.npy`` file, or in an ``.npz``, that is read in order.

    Args:
        path: of the file.
        member: name of the array in an ``.npz``; None for a ``.npy``.

    Attributes:
        header: its shape and dtype.
        what: how messages name it.

    Raises:
        InputError: damaged, no such array, Python objects, or something else than real numbers.
    """

    def __init__(self, path: Path, member: str | None = None) -> None:
        self.path, self.member = path, member
        self.what = str(path) if member is None else f"{path}: {member}"
        self.header = self._header()
        if self.header.dtype.kind not in "biuf":
            raise InputError(f"{self.what} has dtype {self.header.dtype}: save numbers (float32 or int64)")

    def _header(self) -> Header:
        if self.member is None:
            return check_array_file(self.path)
        with arrays_in(self.path) as (_, headers):
            if self.member not in headers:
                raise InputError(f"{self.path} has no array {self.member}: it has {', '.join(headers) or 'none'}")
            return headers[self.member]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.header.shape

    def rows(self) -> Iterator[np.ndarray]:
        """Pieces of the array, shape (n, ...), in order.

        Raises:
            InputError: a matrix in an ``.npz`` that is stored column by column, or the archive is damaged.
        """
        if self.header.by_columns and self.member is not None:
            raise InputError(
                f"{self.what} is stored column by column and cannot be read in rows: save it again with "
                "numpy.ascontiguousarray"
            )
        inner = self.shape[1:]
        count = max(1, PIECE_BYTES // max(1, math.prod(inner) * self.header.dtype.itemsize))
        yield from self._pieces(0, self.shape[0] if self.shape else 0, count, inner)

    def edges(self, *, in_rows: bool = False) -> Iterator[np.ndarray]:
        """Pieces of an array of edges, each of shape (2, n).

        Args:
            in_rows: whether the array has one edge in each row, shape (num_edges, 2), and not (2, num_edges).

        Raises:
            InputError: another shape, no whole numbers, or the archive is damaged.
        """
        shape, dtype = self.shape[:: -1 if in_rows else 1], self.header.dtype
        if len(shape) != 2 or shape[0] != 2:
            hint = ": transpose it" if len(shape) == 2 and shape[1] == 2 else ""
            raise InputError(f"{self.what} must have shape (2, num_edges), but has shape {shape}{hint}")
        if dtype.kind not in "iu":
            raise InputError(f"{self.what} has dtype {dtype}: save node ids as int64")
        count = PIECE_BYTES // (2 * dtype.itemsize)
        if self.header.by_columns != in_rows:  # source and target of an edge stand together
            for pair in self._pieces(0, 2 * shape[1], 2 * count):
                yield pair.reshape(-1, 2).T
            return
        both = self._pieces(0, shape[1], count), self._pieces(shape[1], 2 * shape[1], count)
        for source, target in zip(*both, strict=True):
            yield np.stack([source, target])

    def _pieces(self, start: int, stop: int, count: int, inner: tuple[int, ...] = ()) -> Iterator[np.ndarray]:
        """Rows ``start`` to ``stop`` of shape ``inner`` in the order of the file, ``count`` at a time."""
        dtype = self.header.dtype
        row_bytes = math.prod(inner) * dtype.itemsize
        with ExitStack() as stack:
            file = self._open(stack)
            file.seek(self.header.offset + start * row_bytes)
            while start < stop:
                size = min(count, stop - start)
                piece = np.frombuffer(self._read(file, size * row_bytes), dtype).reshape(size, *inner)
                yield piece.astype(dtype.newbyteorder("="), copy=False)
                start += size

    def _open(self, stack: ExitStack) -> IO[bytes]:
        if self.member is None:
            return stack.enter_context(self.path.open("rb"))
        zipped, _ = stack.enter_context(arrays_in(self.path))
        return stack.enter_context(zipped.open(f"{self.member}.npy"))

    def _read(self, file: IO[bytes], size: int) -> bytes:
        try:
            content = file.read(size)
        except (EOFError, zlib.error, zipfile.BadZipFile) as error:
            raise InputError(f"{self.what} is damaged ({error}): provide it again") from None
        if len(content) < size:
            raise InputError(f"{self.what} is damaged: it ends before the numbers that its header states")
        return content


def table_rows(path: Path, columns: int | None = None) -> Iterator[np.ndarray]:
    """Rows of a ``.csv.gz`` of numbers without a header, as OGB writes them, in pieces of shape (n, columns).

    Numbers are int64 where a piece holds whole numbers alone, else float64.

    Args:
        path: of the file.
        columns: how many there must be; None for as many as the first piece has.

    Raises:
        InputError: damaged, a line without end, another number of columns, or something that is no number.
    """
    import pandas as pd

    line = 0
    for block in _blocks(path):
        try:
            frame = pd.read_csv(io.BytesIO(block), header=None)
            piece = frame.to_numpy()
        except (ValueError, OverflowError) as error:
            raise InputError(f"{path} is damaged after line {line}: {str(error).strip()}") from None
        if piece.dtype.kind not in "iuf":
            raise InputError(f"{path} holds something else than numbers after line {line}")
        columns = columns or piece.shape[1]
        if piece.shape[1] != columns:
            raise InputError(f"{path} has {piece.shape[1]} columns after line {line}, but should have {columns}")
        line += len(piece)
        yield piece


def _blocks(path: Path) -> Iterator[bytes]:
    """Whole lines of a compressed text, many at a time."""
    rest = b""
    try:
        with gzip.open(path, "rb") as file:
            while piece := file.read(PIECE_BYTES):
                whole, newline, end = piece.rpartition(b"\n")
                if newline and (rest or whole.strip()):
                    yield rest + whole + newline
                rest = end if newline else rest + end
                if len(rest) > _LONGEST_LINE:
                    raise InputError(f"{path} has a line of more than {_LONGEST_LINE} bytes: it is no table")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is damaged, not a whole gzip file ({error}): provide it again") from None
    if rest.strip():
        yield rest
