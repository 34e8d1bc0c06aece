"""Sparse arrays from files, looked at before SciPy reads them.

SciPy trusts the indices of a compressed matrix: one out of range reads or writes foreign memory and ends the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import scipy.sparse

from gssl.common.errors import InputError


def check_compressed(indptr: Any, indices: Any, num_values: int, shape: Any, *, what: str, rows: bool = True) -> None:
    """Refuse a compressed matrix (CSR or CSC) whose parts do not fit together.

    Args:
        indptr: where each row begins, shape (rows + 1,), integers.
        indices: column of each value, shape (num_values,), integers.
        num_values: how many values there are.
        shape: of the matrix.
        what: how messages name it.
        rows: whether rows are compressed (CSR) or columns (CSC).

    Raises:
        InputError: says what is wrong.
    """
    lengths = _shape(shape, what)
    outer, inner = lengths if rows else lengths[::-1]
    for name, values in (("indptr", indptr), ("indices", indices)):
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "iu" or values.ndim != 1:
            raise InputError(f"{what} is damaged: its {name} is no list of whole numbers")
    if len(indptr) != outer + 1 or indptr[0] != 0 or bool((indptr[1:] < indptr[:-1]).any()):
        raise InputError(f"{what} is damaged: its indptr does not rise from 0 in {outer + 1} steps")
    if indptr[-1] > min(len(indices), num_values):
        raise InputError(
            f"{what} is damaged: its indptr ends at {indptr[-1]}, but there are {len(indices)} indices and "
            f"{num_values} values"
        )
    if len(indices) and (indices.min() < 0 or indices.max() >= inner):
        wrong = int(np.argmax((indices < 0) | (indices >= inner)))
        raise InputError(f"{what} is damaged: it has index {indices[wrong]} where there are {inner}")


def check_matrices(value: Any, what: str) -> None:
    """Check every sparse matrix in nested lists, tuples and mappings, and that it fits the memory when made dense.

    Raises:
        InputError: one is damaged, or too large.
    """
    waiting, seen = [value], set[int]()
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        if isinstance(item, scipy.sparse.csr_matrix):
            _check_matrix(item, what)
        elif isinstance(item, Mapping):
            seen.add(id(item))
            waiting += item.values()
        elif isinstance(item, list | tuple):
            seen.add(id(item))
            waiting += (part for part in item if not isinstance(part, int | float | str))


def check_archive(path: Path) -> None:
    """Check the sparse matrices of an ``.npz``, which are there as arrays ``indptr``, ``indices`` and ``shape``.

    Their names may have the same beginning, such as ``adj_``; all others in the file are left alone.

    Raises:
        InputError: one is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            for prefix in _prefixes(archive.files):
                what = f"{path}: the matrix {prefix.rstrip('_') or 'in it'}"
                kind = archive["format"].item() if "format" in archive.files else b"csr"
                parts = (archive[f"{prefix}{name}"] for name in ("indptr", "indices", "data", "shape"))
                indptr, indices, data, shape = parts
                by_rows = kind not in (b"csc", "csc")
                check_compressed(indptr, indices, len(data), shape.tolist(), what=what, rows=by_rows)
                if prefix.startswith("attr"):  # features, which PyG makes dense
                    _check_dense(_shape(shape.tolist(), what), data.dtype, what)
    except InputError:
        raise
    except Exception as error:  # a damaged file can fail in any way
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InputError(f"{path} is damaged ({type(error).__name__}: {error}): provide it again") from None


def _prefixes(names: Iterable[str]) -> list[str]:
    found = set(names)
    prefixes = [name.removesuffix("indptr") for name in sorted(found) if name.endswith("indptr")]
    return [p for p in prefixes if {f"{p}indices", f"{p}data", f"{p}shape"} <= found]


def _check_matrix(matrix: scipy.sparse.csr_matrix, what: str) -> None:
    parts = vars(matrix)
    data, shape = parts.get("data"), parts.get("_shape")
    if not isinstance(data, np.ndarray) or data.ndim != 1 or data.dtype.kind not in "biuf":
        raise InputError(f"{what} is damaged: its values are no list of numbers")
    check_compressed(parts.get("indptr"), parts.get("indices"), len(data), shape, what=what)
    _check_dense(_shape(shape, what), data.dtype, what)


def _check_dense(shape: tuple[int, int], dtype: np.dtype[Any], what: str) -> None:
    size = shape[0] * shape[1] * dtype.itemsize
    if size > psutil.virtual_memory().available:
        raise InputError(f"{what} has shape {shape}, {size / 1e9:.1f} GB when made dense, more than the memory is free")


def _shape(shape: Any, what: str) -> tuple[int, int]:
    sizes = shape if isinstance(shape, list | tuple) else ()
    if len(sizes) != 2 or not all(isinstance(size, int | np.integer) and size >= 0 for size in sizes):
        raise InputError(f"{what} is damaged: its shape is {str(shape)[:80]}")
    return int(sizes[0]), int(sizes[1])
