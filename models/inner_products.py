"""Inner products of pairs of rows, of which there may be far more than rows."""

from __future__ import annotations

import torch
from torch import Tensor

from gssl.graph.sparse import Pattern
from gssl.models.ops import pair_products

_MANY = 1 << 24  # numbers of the rows of one side; a matrix of 64 MiB


def inner_products(rows: Tensor, pairs: Tensor) -> Tensor:
    """Inner product of the two rows of each pair, shape (num_pairs,), float.

    Where the rows of all pairs would be large matrices, none of that size is made: pairs are sorted, multiplied some
    at a time, and gradients are sparse products, which is faster, too.

    Args:
        rows: shape (num_rows, dim), float.
        pairs: shape (2, num_pairs), int64.
    """
    first, second = pairs
    if pairs.shape[1] * rows.shape[1] <= _MANY or rows.dtype not in (torch.float32, torch.float64):
        # index_select, not rows[...]: its backward adds rows in place instead of sorting the indices.
        products: Tensor = torch.linalg.vecdot(rows.index_select(0, first), rows.index_select(0, second))
        return products
    pattern, order = Pattern.from_coo(first, second, len(rows), len(rows))
    place = torch.empty_like(order).index_copy_(0, order, torch.arange(len(order), device=order.device))
    return pair_products(pattern, rows, rows).index_select(0, place)
