"""Archives of ``numpy.savez`` and ``scipy.sparse.save_npz``: arrays by name, and the layouts of known collections.

Besides ``edge_index`` and ``x`` these are the layout of gnn-benchmark (Shchur et al., 2018), where ``adj_data``,
``adj_indices``, ``adj_indptr`` and ``adj_shape`` are one matrix, that of the heterophilous graphs (Platonov et al.,
2023), and a single sparse matrix of SciPy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from gssl.common.errors import InputError
from gssl.datasets.array_names import is_read
from gssl.datasets.convert import from_arrays
from gssl.datasets.declared import Declared
from gssl.datasets.formats.matrices import EXPECTED, chosen, graph_arrays
from gssl.datasets.npy_header import unreadable
from gssl.datasets.own_splits import may_say_split, says_split
from gssl.datasets.sparse_check import check_archive
from gssl.datasets.types import Dataset
from gssl.datasets.unzip import array_headers, is_zip

_PARTS = ("data", "indices", "indptr", "shape")
_OF_SCIPY = {"format", "shape", "data"}
_HETEROPHILOUS = {"node_features", "node_labels", "edges", "train_masks", "val_masks", "test_masks"}


def read(path: Path, declared: Declared) -> Dataset:
    """A dataset from an archive of arrays.

    Raises:
        InputError: damaged, hostile, larger than the memory, or no graph.
    """
    values, others = load_npz(path)
    if values.keys() >= _HETEROPHILOUS and declared.undirected is None:
        found = _dataset(path, values, others, declared.over(Declared(undirected=True)))
        note = "the layout of the heterophilous graphs, whose edges are undirected"
        return replace(found, notes=(note, *found.notes), declared=declared.mapping())
    return _dataset(path, values, others, declared)


def _dataset(path: Path, values: dict[str, Any], others: tuple[str, ...], declared: Declared) -> Dataset:
    arrays, notes = graph_arrays(values)
    if "edge_index" not in arrays and not {"edges", "edge_list"} & arrays.keys():
        found = ", ".join(sorted((*values, *others))) or "nothing"
        raise InputError(f"there is no edge_index and no adjacency matrix; found: {found}; expected: {EXPECTED}")
    dataset = from_arrays(arrays, name=path.stem, declared=declared, others=others)
    return replace(dataset, notes=(*notes, *dataset.notes))


def load_npz(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The arrays and sparse matrices of a graph by name, and the names of other arrays; pickled objects are refused.

    Raises:
        InputError: damaged, larger than the memory, or an array holds Python objects.
    """
    if not is_zip(path):
        raise InputError(f"{path} is not an npz file: write it with numpy.savez(path, edge_index=..., x=..., y=...)")
    try:
        headers = array_headers(path)
    except InputError as error:
        advice = "numpy cannot map arrays inside an npz, so save the graph as a folder with edge_index.npy and x.npy"
        raise InputError(f"{error}; {advice}" if "unpacks to" in str(error) else str(error)) from None
    check_archive(path)
    texts = [name for name, held in headers.items() if may_say_split(held.dtype, held.shape) and not is_read(name)]
    try:
        with np.load(path, allow_pickle=False) as archive:
            values, others = _read(archive.files, archive.__getitem__)
            # A split may have any name, if it says train, val and test of each item.
            held = {name: archive[name] for name in texts}
            splits = {name: words for name, words in held.items() if says_split(words, len(words))}
            return {**values, **splits}, tuple(name for name in others if name not in splits)
    except (InputError, PermissionError):
        raise
    except Exception as error:  # a damaged file can fail in any way
        raise unreadable(path, error, "save it again") from None


def _read(names: list[str], get: Callable[[str], np.ndarray]) -> tuple[dict[str, Any], tuple[str, ...]]:
    if set(names) >= _OF_SCIPY:
        return {"adj": _of_scipy(get)}, tuple(set(names) - {*_OF_SCIPY, "indices", "indptr", "row", "col"})
    parts = {begin.rstrip("_."): [begin + part for part in _PARTS] for begin in _beginnings(names)}
    whole = [name for name in names if not any(name in own for own in parts.values())]
    wanted = chosen([*whole, *parts])
    found = {name: _of_parts(*map(get, parts[name])) if name in parts else get(name) for name in wanted}
    return found, tuple(name for name in (*whole, *parts) if name not in found)


def _beginnings(names: list[str]) -> list[str]:
    """Beginnings of names that the parts of one compressed matrix have in common."""
    begins = [name.removesuffix("indptr") for name in names if name.endswith("indptr")]
    return [begin for begin in begins if begin and {begin + part for part in _PARTS} <= set(names)]


def _of_parts(data: np.ndarray, indices: np.ndarray, indptr: np.ndarray, shape: np.ndarray) -> Any:
    return scipy.sparse.csr_matrix((data, indices, indptr), shape=tuple(shape.tolist()))


def _of_scipy(get: Callable[[str], np.ndarray]) -> Any:
    """The only matrix, as ``scipy.sparse.save_npz`` writes it."""
    stated = get("format").item()
    kind = stated.decode("ascii", "replace") if isinstance(stated, bytes) else str(stated)
    shape = tuple(int(size) for size in get("shape").tolist())
    if kind in ("csr", "csc"):
        make = scipy.sparse.csr_matrix if kind == "csr" else scipy.sparse.csc_matrix
        return make((get("data"), get("indices"), get("indptr")), shape=shape)
    if kind == "coo":
        return scipy.sparse.coo_matrix((get("data"), (get("row"), get("col"))), shape=shape)
    raise InputError(
        f"it holds a matrix of SciPy's format {kind}: save it with scipy.sparse.save_npz(path, matrix.tocsr())"
    )
