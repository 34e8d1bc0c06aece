"""What ``.npy`` and ``.npz`` files say of their arrays, read without the arrays."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from gssl.common.errors import InputError


def unreadable(path: Path, error: Exception, remedy: str) -> InputError:
    """The error for arrays that numpy could not read.

    Args:
        path: of the file.
        error: what numpy said.
        remedy: what to do about a damaged file.
    """
    if "Object arrays" in str(error) or "Python objects in dtype" in str(error):
        return InputError(f"{path} holds Python objects (dtype object), which are never loaded: save plain numbers")
    return InputError(f"{path} is damaged ({type(error).__name__}: {error}): {remedy}")


@dataclass(frozen=True)
class Header:
    """An array's.

    Attributes:
        shape: may be anything that the file states.
        dtype: of its numbers.
        nbytes: bytes of its numbers.
        offset: bytes before them.
        by_columns: whether numbers of a column, not of a row, follow each other (Fortran order).
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    nbytes: int
    offset: int
    by_columns: bool = False


def read_header(file: IO[bytes], size: int, path: object, part: str = "it") -> Header:
    """The header at the beginning of an open file.

    Args:
        file: stands at its beginning.
        size: bytes of the whole file.
        path: how messages call it.
        part: how messages call the array.

    Raises:
        InputError: not an array file, or one that states more numbers than it holds.
    """
    try:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, by_columns, dtype = read(file)
        start = file.tell()
    except Exception as error:  # a damaged header can fail in any way
        raise InputError(f"{path} is damaged, {part} has no header ({error}): save it again with numpy") from None
    nbytes = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or (not dtype.hasobject and nbytes > size - start):
        raise InputError(
            f"{path} is damaged: {part} states shape {shape}, {nbytes} bytes, but holds {size - start} bytes"
        )
    return Header(shape, dtype, nbytes, start, by_columns and len(shape) > 1)


def check_array_file(path: Path) -> Header:
    """The header of a ``.npy`` file, if the file holds what it states.

    Raises:
        InputError: it does not.
    """
    with path.open("rb") as file:
        return read_header(file, path.stat().st_size, path)


def headers_in(zipped: zipfile.ZipFile, path: object) -> dict[str, Header]:
    """The headers of all arrays in an open ``.npz``, by name without ``.npy``.

    Raises:
        InputError: an array is damaged.
    """
    headers = {}
    for member in zipped.infolist():
        if member.filename.endswith(".npy"):
            with zipped.open(member) as file:
                key = member.filename.removesuffix(".npy")
                headers[key] = read_header(file, member.file_size, path, f"the array {key}")
    return headers
