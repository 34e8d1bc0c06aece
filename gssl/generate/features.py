"""Features of nodes that no dataset has: every entry is that of some node of the data."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gssl.graph.sparse import Features, SparseMatrix, dense_features, select_features

_AT_ONCE = 1 << 24  # entries of a dense matrix


def mixed_columns(x: Features, donors: Tensor, rng: np.random.Generator) -> Features:
    """Rows whose entries come from donors: each column has one of its own, drawn uniformly.

    Columns are independent given the donors, so that a row is the copy of none of them.

    Args:
        x: features of the data, shape (num_nodes, dim).
        donors: nodes of the data to draw from for each new node, shape (n, k), int64.
        rng: of the draws.

    Returns:
        Shape (n, dim), dense or sparse as ``x``.
    """
    dim = int(x.shape[1])
    rows = max(1, _AT_ONCE // max(dim, 1))
    parts = []
    for some in donors.split(rows):
        nodes, position = some.unique(return_inverse=True)
        table = dense_features(select_features(x, nodes))
        pick = torch.from_numpy(rng.integers(donors.shape[1], size=(len(some), dim)))
        part = table[position.gather(1, pick), torch.arange(dim)]
        parts.append(SparseMatrix.from_dense(part) if isinstance(x, SparseMatrix) else part)
    return _joined(parts, x)


def in_proportion(x: Features) -> Features:
    """Every row divided by its sum, where that is not 0."""
    if isinstance(x, SparseMatrix):
        row = x.pattern.row.long()
        total = x.value.new_zeros(x.shape[0]).index_add_(0, row, x.value)
        return SparseMatrix(x.pattern, x.value / total[row])
    total = x.sum(1, keepdim=True)
    return torch.where(total != 0, x / total, x)


def _joined(parts: list[Features], like: Features) -> Features:
    if not isinstance(like, SparseMatrix):
        return torch.cat([dense_features(part) for part in parts])
    found = [part for part in parts if isinstance(part, SparseMatrix)]
    starts = np.cumsum([0, *(part.shape[0] for part in found)])
    rows = torch.cat([part.pattern.row.long() + int(start) for part, start in zip(found, starts, strict=False)])
    columns = torch.cat([part.pattern.col.long() for part in found])
    pattern, order = type(found[0].pattern).from_coo(rows, columns, int(starts[-1]), int(like.shape[1]))
    return SparseMatrix(pattern, torch.cat([part.value for part in found])[order])
