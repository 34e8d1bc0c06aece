"""MATLAB files of version 7 and before: an adjacency matrix, features and labels under their usual names."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import scipy.io
import scipy.sparse

from gssl.common.errors import InputError
from gssl.common.files import require_regular
from gssl.datasets.array_names import NAMES, split_name
from gssl.datasets.convert import from_arrays
from gssl.datasets.declared import Declared
from gssl.datasets.formats.matrices import EXPECTED, chosen, graph_arrays, role_of
from gssl.datasets.sparse_check import check_compressed
from gssl.datasets.types import Dataset

_WHOLE = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
_NUMERIC = ("double", "single", "logical", "sparse", *_WHOLE)
_HDF5 = b"\x89HDF"
_BYTES = 8  # of the widest number


def read(path: Path, declared: Declared) -> Dataset:
    """A dataset from a MATLAB file.

    Raises:
        InputError: damaged, larger than the memory, of version 7.3, or no graph.
    """
    values, others = load_mat(path)
    arrays, notes = graph_arrays(values)
    if "edge_index" not in arrays and not {"edges", "edge_list"} & arrays.keys():
        found = ", ".join(sorted((*values, *others))) or "nothing"
        raise InputError(f"there is no adjacency matrix; found: {found}; expected: {EXPECTED}")
    counted = () if "adjacency" in {role_of(name) for name in values} else _from_zero(arrays)
    _check_ids(arrays)
    dataset = from_arrays(arrays, name=path.stem, declared=declared, others=others)
    return replace(dataset, notes=(*notes, *counted, *dataset.notes))


def load_mat(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The matrices of a graph by name, and the names of all other variables.

    Raises:
        InputError: damaged, larger than the memory, or of version 7.3.
    """
    require_regular(path)
    with path.open("rb") as file:
        head = file.read(520)
    if head.startswith((b"MATLAB 7.3", _HDF5)) or head[512:].startswith(_HDF5):
        raise InputError(
            f"{path} is a MATLAB file of version 7.3, which is not read: load it in MATLAB and save it again with "
            "save('graph.mat', '-v7')"
        )
    try:
        every = scipy.io.whosmat(path)
        wanted = chosen(name for name, _, kind in every if kind in _NUMERIC)
        held = [(name, shape, kind) for name, shape, kind in every if name in wanted]
        total = sum(math.prod(shape) * _BYTES for _, shape, kind in held if kind != "sparse")
        if total > psutil.virtual_memory().available:
            raise InputError(f"{path} holds {total / 1e9:.1f} GB of numbers, more than the memory that is free")
        names = [name for name, *_ in held]
        loaded = scipy.io.loadmat(path, variable_names=names) if names else {}
        values = {name: loaded[name] for name in names}
    except (InputError, PermissionError):
        raise
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(f"{path} is no whole MATLAB file ({type(error).__name__}: {error}): save it again") from None
    for name, value in values.items():
        if scipy.sparse.issparse(value):
            columns = scipy.sparse.csc_matrix(value) if value.format != "csc" else value
            what = f"{path}: the matrix {name}"
            check_compressed(columns.indptr, columns.indices, len(columns.data), value.shape, what=what, rows=False)
    return values, tuple(name for name, *_ in every if name not in values)


def _from_zero(arrays: dict[str, Any]) -> tuple[str, ...]:
    """Let edges that count from 1 count from 0; returns a note where they did.

    Raises:
        InputError: nothing tells from which they count.
    """
    key = next(key for key in ("edge_index", *NAMES["edge_index"]) if key in arrays)
    edges, x = np.asarray(arrays[key]), arrays.get("x")
    if edges.dtype.kind == "f" and bool((edges == np.round(edges)).all()):
        arrays[key] = edges = edges.astype(np.int64)  # MATLAB's numbers are real unless it is told otherwise
    if edges.size == 0 or edges.min() == 0:
        return ()
    if x is None or edges.max() != x.shape[0]:
        raise InputError(f"{key} has no node 0, so it may count from 0 or from 1: save an adjacency matrix instead")
    arrays[key] = edges.astype(np.int64) - 1
    return (f"the nodes in {key} count from 1",)


def _check_ids(arrays: dict[str, Any]) -> None:
    """Refuse ids of items of which nothing tells whether they count from 0 or from 1."""
    ids = {key: value for key, value in arrays.items() if (split_name(key) or ("", ""))[1] == "idx"}
    if ids and not any((np.asarray(value) == 0).any() for value in ids.values()):
        raise InputError(f"no id is 0 in {', '.join(ids)}, so they may count from 0 or from 1: save masks instead")
