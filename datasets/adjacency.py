"""Edges from adjacency matrices, dense or sparse, of torch, SciPy or torch_sparse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from gssl.common.errors import InputError


def with_edges(values: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of a graph of PyG in which ``adj_t``, the transposed adjacency matrix, has become edges.

    Its values are weights unless all are 1. Where there is an ``edge_index``, nothing changes.

    Raises:
        InputError: the matrix is not square, none, or of another number of nodes than is stated.
    """
    if "adj_t" not in values or values.get("edge_index") is not None:
        return dict(values)
    edges, weights, count = edges_of(values["adj_t"], "adj_t")
    found = {key: value for key, value in values.items() if key != "adj_t"}
    found["edge_index"] = edges.flip(0)
    stated = found.setdefault("num_nodes", count)
    if isinstance(stated, int) and stated != count:
        raise InputError(f"adj_t has {count} rows, but num_nodes is {stated}: give one row for each node")
    return found if weights is None else {"edge_weight": weights} | found


def edges_of(matrix: Any, what: str) -> tuple[Tensor, Tensor | None, int]:
    """The entries of a square matrix as edges from row to column.

    Args:
        matrix: dense (numpy or torch), or sparse (SciPy, torch or torch_sparse).
        what: how messages name it.

    Returns:
        Edges, shape (2, num_edges), int64; the entries, shape (num_edges,), float32, or None where all are 1; and the
        number of nodes.

    Raises:
        InputError: it is no matrix of numbers, or not square.
    """
    row, col, value, shape = _entries(matrix, what)
    if len(shape) != 2 or shape[0] != shape[1]:
        raise InputError(f"{what} has shape {shape}, but an adjacency matrix is square")
    edges = torch.stack([row.long(), col.long()])
    return edges, None if value is None or bool((value == 1).all()) else value.float(), int(shape[0])


def _entries(matrix: Any, what: str) -> tuple[Tensor, Tensor, Tensor | None, tuple[int, ...]]:
    if hasattr(matrix, "storage") and not isinstance(matrix, Tensor):
        return _of_torch_sparse(matrix, what)
    if isinstance(matrix, scipy.sparse.sparray | scipy.sparse.spmatrix):
        coo = matrix.tocoo()
        coo.sum_duplicates()
        coo.eliminate_zeros()
        row, col, value = (torch.from_numpy(np.array(part)) for part in (coo.row, coo.col, coo.data))
        return row, col, value, coo.shape
    if isinstance(matrix, np.ndarray) and matrix.dtype.kind in "biuf":
        matrix = torch.from_numpy(np.array(matrix, dtype=np.float64))
    if not isinstance(matrix, Tensor) or matrix.dim() != 2:
        raise InputError(f"{what} is a {type(matrix).__name__}, but must be a matrix of numbers")
    coo = matrix.to_sparse_coo().coalesce()
    return *coo.indices(), coo.values(), tuple(matrix.shape)


def _of_torch_sparse(matrix: Any, what: str) -> tuple[Tensor, Tensor, Tensor | None, tuple[int, ...]]:
    parts = vars(matrix.storage)
    row, rowptr, col, value = (parts.get(name) for name in ("_row", "_rowptr", "_col", "_value"))
    if row is None and isinstance(rowptr, Tensor):
        row = torch.arange(len(rowptr) - 1).repeat_interleave(rowptr.diff())
    if not isinstance(row, Tensor) or not isinstance(col, Tensor) or row.shape != col.shape:
        raise InputError(f"{what} is a damaged SparseTensor: save it again")
    return row, col, value if isinstance(value, Tensor) else None, tuple(parts.get("_sparse_sizes") or ())
