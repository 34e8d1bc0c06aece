"""Messages that depend on the attributes of their edge, summed without holding them all."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.block import Block
from gssl.graph.sparse import Pattern
from gssl.models.ops import spmm

# Edges whose messages are there together where no kernel applies: 1024 of 300 columns are about 1 MB, which stays in a
# core's cache. Measured on 13,476 bonds and 300 columns, 512 to 2048 are equally fast and 16,384 a third slower.
_CHUNK = 1024
# Distinct attributes that are worth a table: bonds have fewer than 20.
_FEW = 256


def edge_attributes(block: Block, edge_dim: int, like: Tensor) -> Tensor:
    """Attributes of the edges and a last column that marks the edges that have none: shape (num_edges, edge_dim + 1).

    Args:
        block: of the messages.
        edge_dim: how many columns of them there must be.
        like: of the dtype that the result gets.

    Raises:
        InputError: the block has another number of edge attributes.
    """
    attr = block.edge_attr
    found = 0 if attr is None else attr.shape[1]
    if attr is None or found != edge_dim:
        raise InputError(f"the encoder was made for {edge_dim} edge attributes, the graph has {found}; set edge_dim")
    return torch.cat([attr, (attr == 0).all(1, keepdim=True)], dim=1).to(like.dtype)


def relu_messages(pattern: Pattern, weight: Tensor | None, x: Tensor, attr: Tensor, table: Tensor) -> Tensor:
    """``out[i] = sum over edges (i, j) of weight_ij * relu(x[j] + attr_ij @ table)`` (GINE).

    Differentiable in ``weight``, ``x`` and ``table``. Nothing of size (num_edges, dim) is held: on the CPU a kernel
    adds edge by edge, where attributes have few different values as those of bonds have; elsewhere messages are made,
    and made again for the way back, some edges at a time.

    Args:
        pattern: shape (num_dst, num_src).
        weight: shape (num_edges,), float, or None for ones.
        x: shape (num_src, dim), float.
        attr: shape (num_edges, columns), dtype of ``x``.
        table: shape (columns, dim), float.

    Returns:
        Shape (num_dst, dim), dtype of ``x``.
    """
    simple = x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64) and pattern.nnz
    codes = distinct_rows(attr) if simple else None
    with torch.autocast(x.device.type, enabled=False):  # sums are of one type
        table = table.to(x.dtype)
        if codes is None:
            return chunked_messages(pattern, weight, x, attr.to(x.dtype), table)
        first, code = codes
        out: Tensor = _Fused.apply(  # type: ignore[no-untyped-call]  # of torch
            pattern, weight, x, attr[first] @ table, code
        )
        return out


def chunked_messages(pattern: Pattern, weight: Tensor | None, x: Tensor, attr: Tensor, table: Tensor) -> Tensor:
    """:func:`relu_messages` of any attributes on any device, some edges at a time."""
    out: Tensor = _Chunked.apply(pattern, weight, x, attr, table)  # type: ignore[no-untyped-call]  # of torch
    return out


def edge_sums(pattern: Pattern, weight: Tensor | None, attr: Tensor) -> Tensor:
    """Weighted sum of the attributes of the edges into each destination, shape (num_dst, columns).

    Args:
        pattern: shape (num_dst, num_src).
        weight: shape (num_edges,), float, or None for ones.
        attr: shape (num_edges, columns), float.
    """
    edges = torch.arange(pattern.nnz, device=pattern.col.device, dtype=pattern.col.dtype)
    return spmm(Pattern(pattern.rowptr, edges, pattern.nnz), weight, attr)


def distinct_rows(rows: Tensor) -> tuple[Tensor, Tensor] | None:
    """The different rows of a matrix, or None if they are many or cannot be told apart by one number.

    Args:
        rows: shape (n, columns), float.

    Returns:
        Places of one row of each kind, shape (kinds,), int64, and the kind of every row, shape (n,), int64.
    """
    # Sums of square roots differ wherever zeros and ones do, but for rounding, so the answer is checked.
    key = rows.detach().double() @ torch.arange(1, rows.shape[1] + 1, dtype=torch.float64).sqrt()
    kinds, code = torch.unique(key, return_inverse=True)
    if len(kinds) > _FEW:
        return None
    first = torch.full_like(kinds, len(rows), dtype=torch.int64)
    first.scatter_reduce_(0, code, torch.arange(len(rows)), "amin")
    return (first, code) if torch.equal(rows[first][code], rows) else None


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pattern: Pattern, weight: Tensor | None, x: Tensor, attr: Tensor, table: Tensor) -> Tensor:
        ctx.pattern = pattern
        ctx.save_for_backward(weight, x, attr, table)
        row, col = pattern.row, pattern.col
        out = x.new_zeros(pattern.num_rows, x.shape[1])
        for part in _parts(pattern.nnz):
            message = torch.addmm(x[col[part]], attr[part], table).relu_()
            if weight is not None:
                message *= weight[part].to(x.dtype).unsqueeze(1)
            out.index_add_(0, row[part], message)
        return out

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[None, Tensor | None, Tensor | None, None, Tensor | None]:
        (grad,) = grad_outputs
        weight, x, attr, table = ctx.saved_tensors
        pattern: Pattern = ctx.pattern
        row, col = pattern.row, pattern.col
        wanted = ctx.needs_input_grad
        grad_weight = weight.new_zeros(pattern.nnz) if wanted[1] else None
        grad_x, grad_table = torch.zeros_like(x), torch.zeros_like(table)
        for part in _parts(pattern.nnz):
            message = torch.addmm(x[col[part]], attr[part], table).relu_()
            arriving = grad[row[part]]
            if grad_weight is not None:
                grad_weight[part] = torch.linalg.vecdot(arriving, message).to(weight.dtype)
            if weight is not None:
                arriving *= weight[part].to(x.dtype).unsqueeze(1)
            arriving *= message > 0
            grad_x.index_add_(0, col[part], arriving)
            grad_table.addmm_(attr[part].T, arriving)
        return None, grad_weight, grad_x if wanted[2] else None, None, grad_table if wanted[4] else None


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pattern: Pattern, weight: Tensor | None, x: Tensor, rows: Tensor, code: Tensor) -> Tensor:
        ctx.pattern = pattern
        ctx.save_for_backward(weight, x, rows, code)
        out = x.new_zeros(pattern.num_rows, x.shape[1])
        _forward(*_arrays(pattern, weight, x, rows, code), out.numpy())
        return out

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[None, Tensor | None, Tensor | None, Tensor | None, None]:
        (grad,) = grad_outputs
        weight, x, rows, code = ctx.saved_tensors
        pattern: Pattern = ctx.pattern
        wanted = ctx.needs_input_grad
        grad_weight = x.new_zeros(pattern.nnz if wanted[1] else 0)
        grad_x, grad_rows = torch.zeros_like(x), torch.zeros_like(rows)
        given = _arrays(pattern, weight, x, rows, code)
        _backward(*given, grad.contiguous().numpy(), grad_weight.numpy(), grad_x.numpy(), grad_rows.numpy())
        return (
            None,
            grad_weight.to(weight.dtype) if wanted[1] else None,
            grad_x if wanted[2] else None,
            grad_rows if wanted[3] else None,
            None,
        )


def _parts(num_edges: int) -> list[slice]:
    return [slice(start, start + _CHUNK) for start in range(0, num_edges, _CHUNK)]


def _arrays(
    pattern: Pattern, weight: Tensor | None, x: Tensor, rows: Tensor, code: Tensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    weights = x.new_empty(0) if weight is None else weight.detach().to(x.dtype)
    tensors = (pattern.rowptr, pattern.col, weights, x.detach().contiguous(), rows.detach(), code)
    rowptr, col, *rest = (tensor.numpy() for tensor in tensors)
    return rowptr, col, rest[0], rest[1], rest[2], rest[3]


@njit(nogil=True, cache=True)
def _forward(
    rowptr: np.ndarray,
    col: np.ndarray,
    weight: np.ndarray,
    x: np.ndarray,
    rows: np.ndarray,
    code: np.ndarray,
    out: np.ndarray,
) -> None:
    zero = out.dtype.type(0)
    for i in range(len(rowptr) - 1):
        for j in range(rowptr[i], rowptr[i + 1]):
            source, kind = col[j], code[j]
            if len(weight):
                scale = weight[j]
                for k in range(out.shape[1]):
                    out[i, k] += scale * max(x[source, k] + rows[kind, k], zero)
            else:
                for k in range(out.shape[1]):
                    out[i, k] += max(x[source, k] + rows[kind, k], zero)


@njit(nogil=True, cache=True)
def _backward(
    rowptr: np.ndarray,
    col: np.ndarray,
    weight: np.ndarray,
    x: np.ndarray,
    rows: np.ndarray,
    code: np.ndarray,
    grad: np.ndarray,
    grad_weight: np.ndarray,
    grad_x: np.ndarray,
    grad_rows: np.ndarray,
) -> None:
    zero, one = grad.dtype.type(0), grad.dtype.type(1)
    for i in range(len(rowptr) - 1):
        for j in range(rowptr[i], rowptr[i + 1]):
            source, kind = col[j], code[j]
            scale = weight[j] if len(weight) else one
            for k in range(grad.shape[1]):
                passed = scale * grad[i, k] if x[source, k] + rows[kind, k] > 0 else zero
                grad_x[source, k] += passed
                grad_rows[kind, k] += passed
            if len(grad_weight):
                total = zero
                for k in range(grad.shape[1]):
                    total += grad[i, k] * max(x[source, k] + rows[kind, k], zero)
                grad_weight[j] = total
