"""Node and edge features: stored sparse or dense, normalised, made from categories or from degrees."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.sparse import Features, Pattern, SparseMatrix, index_dtype

# Below this share of non-zeros, x @ W and its gradient are faster sparse: measured on 1 and 2 threads at 2,708 x
# 1,433, 7,650 x 745 and 18,333 x 2,000 times 128 or 256 columns, sparse gains 1.4 to 3 times at a density of
# 0.05, breaks even between 0.07 and 0.15 and loses 2 to 5 times at 0.35 (Amazon Photo).
SPARSE_BELOW = 0.05
# Narrow features gain nothing (NCI1's 37 columns: equal times), and stay dense.
SPARSE_FROM_DIM = 64

# GraphMAE's cap for TU sets without node labels: higher degrees share the last column.
MAX_DEGREE = 400
_ROUNDED = 1e-5


def compact_features(x: Tensor) -> Features:
    """Dense features, shape (num_nodes, dim), float; as a sparse matrix where that is faster."""
    if x.numel() == 0 or x.shape[1] < SPARSE_FROM_DIM or int(torch.count_nonzero(x)) >= SPARSE_BELOW * x.numel():
        return x
    return SparseMatrix.from_dense(x)


def sparse_from_torch(x: Tensor) -> SparseMatrix:
    """From a torch tensor in any sparse layout; entries at the same place are added, explicit zeros dropped."""
    coo = x.to_sparse_coo().coalesce()
    keep = coo.values() != 0
    (row, col), value = coo.indices()[:, keep], coo.values()[keep].float()
    pattern, order = Pattern.from_coo(row, col, *x.shape)
    return SparseMatrix(pattern, value[order])


def multi_hot(codes: Tensor, sizes: Sequence[int], *, what: str) -> SparseMatrix:
    """One-hot columns of several categories side by side.

    Args:
        codes: category of each item, shape (num_items, len(sizes)), any integers.
        sizes: number of categories of each column.
        what: how messages name the codes.

    Returns:
        Shape (num_items, sum(sizes)), with one 1 for each column of ``codes`` in every row.

    Raises:
        InputError: a code outside its categories, or another number of columns.
    """
    if codes.dim() != 2 or codes.shape[1] != len(sizes):
        raise InputError(f"{what} must have {len(sizes)} columns of categories, but has shape {tuple(codes.shape)}")
    limit = torch.tensor(sizes)
    if len(codes) and bool(((codes.amin(0) < 0) | (codes.amax(0) >= limit)).any()):
        row, column = (int(i) for i in ((codes < 0) | (codes >= limit)).nonzero()[0])
        raise InputError(f"{what} has category {int(codes[row, column])} in row {row}, column {column}")
    count, width = codes.shape
    dtype = index_dtype(count * width, sum(sizes))
    rowptr = torch.arange(0, count * width + 1, width, dtype=dtype)
    col = (codes.to(dtype) + (limit.cumsum(0) - limit).to(dtype)).reshape(-1)
    return SparseMatrix(Pattern(rowptr, col, sum(sizes)), torch.ones(count * width))


def degree_features(pattern: Pattern) -> SparseMatrix:
    """One-hot in-degrees, shape (num_nodes, min(largest degree, 400) + 1)."""
    degree = pattern.counts.long().clamp(max=MAX_DEGREE)
    size = int(degree.max()) + 1 if degree.numel() else 1
    return multi_hot(degree.unsqueeze(1), [size], what="degrees")


def row_normalize(x: Features) -> Features:
    """Divide every row by its sum; rows of zeros stay.

    On features that are not negative, have a zero and no sums below 1, as bags of words, PyG's ``NormalizeFeatures``
    does the same. A sum that is 1 but for rounding counts as 1.

    Raises:
        InputError: a feature is negative.
    """
    values = x.value if isinstance(x, SparseMatrix) else x
    if values.numel() and float(values.min()) < 0:
        raise InputError(
            f"features below zero (the least is {float(values.min()):g}) cannot be divided by their sums: use "
            "normalize=standard, or leave it out"
        )
    if isinstance(x, SparseMatrix):
        row = x.pattern.row.long()
        total = _divisors(x.value.new_zeros(x.shape[0]).index_add_(0, row, x.value))
        return SparseMatrix(x.pattern, x.value / total[row])
    return x / _divisors(x.sum(dim=1, keepdim=True))


def _divisors(sums: Tensor) -> Tensor:
    return torch.where((sums == 0) | ((sums < 1) & (sums > 1 - _ROUNDED)), 1.0, sums)


def standardize(x: Tensor) -> Tensor:
    """Give every column mean 0 and variance 1 (constant columns become 0), as BGRL does for WikiCS."""
    deviation, mean = torch.std_mean(x, dim=0, correction=0)
    return (x - mean) / torch.where(deviation > 0, deviation, 1.0)
