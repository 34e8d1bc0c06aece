"""Matrices by the names that people give them, as the arrays of a graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import psutil
import scipy.sparse
import torch

from gssl.common.errors import InputError
from gssl.datasets.adjacency import edges_of
from gssl.datasets.array_names import NAMES, is_read, split_name
from gssl.graph.sparse import Pattern, SparseMatrix, index_dtype

ADJACENCY = ("adj", "adj_matrix", "adjacency", "adjacency_matrix", "a", "network", "net", "graph", "w")
_FEATURES = ("attr", "attr_matrix", "attrb", "attrs", "attribute", "attributes", "feature", "fea")
_LABELS = ("group", "gnd", "class", "classes", "label_matrix")
_ROLES = {"x": (*_FEATURES, "x", *NAMES["x"]), "y": (*_LABELS, "y", *NAMES["y"])}
_SPARSE = scipy.sparse.sparray | scipy.sparse.spmatrix
EXPECTED = "an adjacency matrix (adj, A or network) or edge_index (2, num_edges), x and, where there are any, labels y"


def role_of(name: str) -> str | None:
    """What an array of this name is for: ``adjacency``, ``x``, ``y``, any other name that is read, or None.

    Example:
        >>> role_of("Network"), role_of("attr_matrix"), role_of("group"), role_of("train_mask"), role_of("pos")
        ('adjacency', 'x', 'y', 'train_mask', None)
    """
    lower = name.lower()
    if lower in ADJACENCY:
        return "adjacency"
    return next((role for role, names in _ROLES.items() if lower in names), name if is_read(name) else None)


def chosen(names: Iterable[str]) -> list[str]:
    """The arrays that are worth reading.

    A name that is understood in matrices alone, such as ``attr`` or ``A``, counts only where nothing has a name that is
    always understood.

    Raises:
        InputError: two arrays may be the same part of the graph.

    Example:
        >>> chosen(["A", "attr", "labels", "pos"]), chosen(["edge_index", "x", "A", "attr"])
        (['A', 'attr', 'labels'], ['edge_index', 'x'])
    """
    names = list(names)
    always = {role_of(name) for name in names if is_read(name)}
    if not always.isdisjoint(("edge_index", *NAMES["edge_index"])):
        always.add("adjacency")
    found = [name for name in names if role_of(name) and (is_read(name) or role_of(name) not in always)]
    first: dict[str, str] = {}
    for name in found:
        role = str(role_of(name))
        if role in first:
            raise InputError(f"{first[role]} and {name} may both be {role}: leave out one of them")
        first[role] = name
    return found


def graph_arrays(values: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The arrays of one graph, and what should be said of how they were read.

    Args:
        values: dense arrays and sparse matrices that were :func:`chosen`; an adjacency matrix holds the edges from row
            to column.

    Raises:
        InputError: a shape does not fit.
    """
    names = {role_of(name) or name: name for name in values}
    found = {role: values[name] for role, name in names.items()}
    notes = [f"{name} is read as {role}" for role, name in names.items() if role in ("x", "y") and name.lower() != role]
    if "adjacency" in found:
        _take_adjacency(found, names["adjacency"], notes)
    if isinstance(found.get("x"), _SPARSE):
        found["x"] = _features(found["x"])
    for role, value in found.items():
        if isinstance(value, _SPARSE):
            found[role] = _dense(value, names.get(role, role))
    return {role: _flat(value) if role == "y" or split_name(role) else value for role, value in found.items()}, tuple(
        notes
    )


def _take_adjacency(found: dict[str, Any], name: str, notes: list[str]) -> None:
    edges, weights, count = edges_of(found.pop("adjacency"), name)
    found["edge_index"] = edges
    notes.append(f"edges go from the rows to the columns of {name}" + ("" if weights is None else ", with its weights"))
    if weights is not None:
        found["edge_weight"] = weights
    x, stated = found.get("x"), found.get("num_nodes")
    if stated is not None and np.size(stated) == 1 and np.asarray(stated).item() != count:
        raise InputError(f"{name} has {count} rows, but num_nodes is {np.asarray(stated).item()}: leave out num_nodes")
    if x is None:
        found["num_nodes"] = stated if stated is not None else count
    elif x.shape[0] != count:
        raise InputError(f"{name} has {count} rows, but x has {x.shape[0]}: both have one for each node")


def _features(matrix: Any) -> SparseMatrix:
    rows = scipy.sparse.csr_matrix(matrix, copy=True)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    rows.sort_indices()
    dtype = index_dtype(*rows.shape, rows.nnz)
    pattern = Pattern(torch.from_numpy(rows.indptr).to(dtype), torch.from_numpy(rows.indices).to(dtype), rows.shape[1])
    return SparseMatrix(pattern, torch.from_numpy(rows.data.astype(np.float32)))


def _dense(matrix: Any, name: str) -> np.ndarray:
    if matrix.shape[0] * matrix.shape[1] * 8 > psutil.virtual_memory().available:
        raise InputError(f"{name} has shape {matrix.shape}, which does not fit the memory when made dense")
    dense: np.ndarray = matrix.toarray()
    return dense


def _flat(value: Any) -> Any:
    """A single row or column as a list, as MATLAB knows no lists."""
    return value.reshape(-1) if isinstance(value, np.ndarray) and value.ndim == 2 and 1 in value.shape else value
