"""Fused sparse products with a hand-written backward on the stored transpose."""

from __future__ import annotations

import math
import warnings
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from gssl.graph.bag import mixed_bags
from gssl.graph.block import Block
from gssl.graph.gathered import GatheredRows
from gssl.graph.gpu.aggregate import aggregated, is_fused
from gssl.graph.history import RowTable
from gssl.graph.sparse import Pattern, SparseMatrix

_EDGE_CHUNK = 1 << 18  # numbers that the gradient of edge values gathers at once, whatever the number of edges
_GATHER = 8  # what adding an element of a gathered row costs, in multiplications of a dense product


def spmm(pattern: Pattern, value: Tensor | None, x: Tensor) -> Tensor:
    """Sparse times dense, ``out[i] = sum over non-zeros (i, j) of value_ij * x[j]``.

    Differentiable in ``x`` and in ``value``. Nothing of size (nnz, dim) is held.

    Args:
        pattern: shape (num_rows, num_cols).
        value: shape (nnz,), float; None means ones.
        x: shape (num_cols, dim), float.

    Returns:
        Shape (num_rows, dim), dtype of ``x``.
    """
    out: Tensor = _SpMM.apply(pattern, value, x)  # type: ignore[no-untyped-call]  # of torch
    return out


def aggregate(
    pattern: Pattern,
    weight: Tensor | None,
    x: Tensor,
    *,
    dst_scale: Tensor | None = None,
    src_scale: Tensor | None = None,
    loop: bool = False,
) -> Tensor:
    """Scaled neighbourhood sum, ``diag(dst_scale) (A + loop I) diag(src_scale) x``, in two buffers.

    Differentiable in ``x``, ``weight`` and both scales. Nothing of size (num_edges, dim) is held.

    Args:
        pattern: shape (num_dst, num_src), positions of A; destination i is source i.
        weight: values of A, shape (num_edges,), float; None means ones.
        x: shape (num_src, dim), float.
        dst_scale: shape (num_dst,) or None for ones.
        src_scale: shape (num_src,) or None for ones.
        loop: whether every destination also receives itself.

    Returns:
        Shape (num_dst, dim), dtype of ``x``.
    """
    if any(values is not None and values.requires_grad for values in (weight, dst_scale, src_scale)):
        summed = spmm(pattern, _scaled(weight, pattern, dst_scale, src_scale), x)
        return _add_loop(summed, x[: pattern.num_rows], dst_scale, src_scale) if loop else summed
    out: Tensor = _Aggregate.apply(  # type: ignore[no-untyped-call]  # of torch
        pattern, weight, x, dst_scale, src_scale, loop
    )
    return out


def gcn_aggregate(block: Block, x: Tensor) -> Tensor:
    """``D^-1/2 (A + I) D^-1/2 x`` (Kipf and Welling, 2017, arXiv:1609.02907, eq. 2), shape (num_dst, dim)."""
    scale = block.gcn_scale
    return aggregate(block.pattern, block.weight, x, dst_scale=scale[: block.num_dst], src_scale=scale, loop=True)


def sum_aggregate(block: Block, x: Tensor) -> Tensor:
    """Weighted sum over in-neighbours, shape (num_dst, dim)."""
    return aggregate(block.pattern, block.weight, x)


def mean_aggregate(block: Block, x: Tensor) -> Tensor:
    """Weighted mean over in-neighbours, zero where there is none, shape (num_dst, dim).

    A block that was cut from a graph divides by the degree in that graph: with the Horvitz-Thompson weights of a
    sampled block this is unbiased, while a division by the weights that happened to be drawn would not be.
    """
    return aggregate(block.pattern, block.weight, x, dst_scale=_mean_scale(block))


Aggregation = Literal["gcn", "sum", "mean"]


def linear_aggregate(kind: Aggregation, block: Block, x: Tensor) -> Tensor:
    """One of the three aggregations above, by name."""
    return {"gcn": gcn_aggregate, "sum": sum_aggregate, "mean": mean_aggregate}[kind](block, x)


def head_product(kind: Aggregation, block: Block, own: Tensor, rows: RowTable) -> Tensor:
    """The aggregate of the first destinations alone, without a gradient.

    Args:
        kind: which aggregation.
        block: its first ``len(own)`` destinations hold all their edges.
        own: rows of the first sources, shape (n, dim).
        rows: of all sources.

    Returns:
        Shape (n, dim).
    """
    dst_scale, src_scale, loop = _scales(kind, block)
    part = block.head(len(own))
    scale = None if dst_scale is None else dst_scale[: len(own)]
    out = _table_product(part.pattern, _scaled(part.weight, part.pattern, scale, src_scale), rows)
    return _add_loop(out, own, scale, src_scale) if loop else out


def gathered_product(kind: Aggregation, block: Block, own: Tensor, x: GatheredRows) -> Tensor:
    """The aggregate of all destinations, without a copy of the sources' rows and without a gradient for them.

    Args:
        kind: which aggregation.
        block: of the messages.
        own: the destinations' own rows, shape (num_dst, dim).
        x: rows of all sources.

    Returns:
        Shape (num_dst, dim).
    """
    dst_scale, src_scale, loop = _scales(kind, block)
    value = _scaled(block.weight, block.pattern, dst_scale, src_scale)
    out = x.masked(_table_product(block.pattern, value, RowTable(x.table, x.index)))
    return _add_loop(out, own, dst_scale, src_scale) if loop else out


def turned_product(kind: Aggregation, block: Block, own: Tensor, rows: RowTable) -> Tensor:
    """The transposed aggregation into the first sources: what flows back to them.

    Args:
        kind: which aggregation.
        block: its first ``len(own)`` sources hold all the edges that leave them.
        own: gradient of the aggregate of the first destinations, shape (n, dim).
        rows: that of every destination.

    Returns:
        Shape (n, dim).
    """
    dst_scale, src_scale, loop = _scales(kind, block)
    turned, order = block.pattern.transposed
    part = turned.head(len(own))
    weight = None if block.weight is None else block.weight[order[: part.nnz]]
    scale = None if src_scale is None else src_scale[: len(own)]
    out = _table_product(part, _scaled(weight, part, scale, dst_scale), rows)
    return _add_loop(out, own, scale, dst_scale) if loop else out


def _table_product(pattern: Pattern, value: Tensor | None, rows: RowTable) -> Tensor:
    if rows.own is None and is_fused(rows.table):
        return aggregated(pattern, rows.table, weight=value, place=rows.place)
    if rows.place is None:
        return _product(pattern, value, rows.table)
    if rows.own is not None:
        return _mixed_product(pattern, value, rows.own, rows.table, rows.place)
    col = rows.place.to(pattern.col.dtype)[pattern.col]
    return _product(Pattern(pattern.rowptr, col, len(rows.table)), value, rows.table)


def _mixed_product(pattern: Pattern, value: Tensor | None, own: Tensor, table: Tensor, place: Tensor) -> Tensor:
    out = own.new_empty(pattern.num_rows, own.shape[1])
    own = own.detach().contiguous()
    weight = (out.new_empty(0) if value is None else value.detach().to(own)).numpy()
    rowptr, col, stored = pattern.rowptr.numpy(), pattern.col.numpy(), table.view(torch.uint16).numpy()
    mixed_bags(rowptr, col, weight, own.numpy(), stored, place.numpy(), out.numpy())
    return out


def _scales(kind: Aggregation, block: Block) -> tuple[Tensor | None, Tensor | None, bool]:
    """Scale of every destination and of every source, and whether a node hears itself."""
    if kind == "gcn":
        scale = block.gcn_scale
        return scale[: block.num_dst], scale, True
    if kind == "mean":
        return _mean_scale(block), None, False
    return None, None, False


def _mean_scale(block: Block) -> Tensor:
    degree = block.degree if block.full_degree is None else block.full_degree[: block.num_dst]
    some = degree > 0
    if degree.requires_grad:  # the derivative of 1 / 0 would be NaN, although it is not used
        return torch.where(some, 1 / torch.where(some, degree, 1), degree.detach())
    return torch.where(some, 1 / degree, degree)


def aggregates_first(block: Block, x: Tensor, out_dim: int) -> bool:
    """Whether ``(A X) W`` costs no more than ``A (X W)``, forward and backward.

    The gradient of the weight needs the aggregate of the features or of the gradient, whichever comes first; features
    that need no gradient themselves are aggregated once. Sampled blocks have many more sources than destinations,
    which makes it dear to multiply the sources.

    Args:
        block: of the aggregation ``A``.
        x: shape (num_src, in_dim).
        out_dim: columns of the weight.
    """
    in_dim, back = x.shape[1], torch.is_grad_enabled()
    dense = in_dim * out_dim * (1 + back * (1 + x.requires_grad))  # of each row
    sums_first = _GATHER * block.num_edges * in_dim * (1 + (back and x.requires_grad)) + block.num_dst * dense
    return sums_first <= _GATHER * block.num_edges * out_dim * (1 + back) + block.num_src * dense


def matmul(x: Tensor | SparseMatrix, weight: Tensor) -> Tensor:
    """``x @ weight`` for dense or sparse ``x`` of shape (n, k) and a dense ``weight`` of shape (k, m)."""
    if isinstance(x, SparseMatrix):
        out = spmm(x.pattern, x.value, weight)
        if x.token is not None and x.token_rows is not None:
            rows = x.token_rows.nonzero().squeeze(1)
            product = (x.token @ weight).expand(len(rows), -1)
            out = out.index_add(0, rows, product.to(out.dtype))
        return out
    return x @ weight


def destination_rows(block: Block, x: Tensor | SparseMatrix) -> Tensor | SparseMatrix:
    """The rows of the destinations, shape (num_dst, dim), out of those of all sources, which they come first of."""
    if block.num_dst == block.num_src:
        return x
    if isinstance(x, SparseMatrix):
        return x.select_rows(torch.arange(block.num_dst, device=x.device))
    return x[: block.num_dst]


def sddmm(pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
    """Dot product at each non-zero, ``out_ij = <left[i], right[j]>``, shape (nnz,); gathers in chunks.

    Args:
        pattern: shape (num_rows, num_cols).
        left: shape (num_rows, dim).
        right: shape (num_cols, dim); where the types differ, the wider one is that of the result.
    """
    wider = torch.promote_types(left.dtype, right.dtype)
    left, right = left.to(wider), right.to(wider)
    out = left.new_empty(pattern.nnz)
    row, col = pattern.row, pattern.col
    step = max(1, _EDGE_CHUNK // max(1, left.shape[1]))
    for start in range(0, pattern.nnz, step):
        part = slice(start, start + step)
        torch.linalg.vecdot(left.index_select(0, row[part]), right.index_select(0, col[part]), out=out[part])
    return out


def pair_products(pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
    """:func:`sddmm` with a gradient for both sides, of which nothing is of size (nnz, dim) either.

    Args:
        pattern: shape (num_rows, num_cols).
        left: shape (num_rows, dim), float.
        right: shape (num_cols, dim), float.

    Returns:
        ``<left[i], right[j]>`` at each non-zero (i, j), shape (nnz,).
    """
    out: Tensor = _PairProducts.apply(pattern, left, right)  # type: ignore[no-untyped-call]  # of torch
    return out


class _PairProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
        ctx.pattern = pattern
        ctx.save_for_backward(left, right)
        return sddmm(pattern, left, right)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        (grad,) = grad_outputs
        left, right = ctx.saved_tensors
        of_left = _product(ctx.pattern, grad, right) if ctx.needs_input_grad[1] else None
        of_right = None
        if ctx.needs_input_grad[2]:
            turned, order = ctx.pattern.transposed
            of_right = _product(turned, grad[order], left)
        return None, of_left, of_right


class _SpMM(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pattern: Pattern, value: Tensor | None, x: Tensor) -> Tensor:
        ctx.pattern = pattern
        needs_x = value is not None and ctx.needs_input_grad[1]
        ctx.save_for_backward(value, x if needs_x else None)
        return _product(pattern, value, x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        (grad,) = grad_outputs
        value, x = ctx.saved_tensors
        pattern: Pattern = ctx.pattern
        grad_value = grad_x = None
        if x is not None:
            grad_value = sddmm(pattern, grad, x).to(value.dtype)
        if ctx.needs_input_grad[2]:
            turned, order = pattern.transposed
            grad_x = _product(turned, None if value is None else value[order], grad)
        return None, grad_value, grad_x


class _Aggregate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        pattern: Pattern,
        weight: Tensor | None,
        x: Tensor,
        dst_scale: Tensor | None,
        src_scale: Tensor | None,
        loop: bool,
    ) -> Tensor:
        ctx.pattern, ctx.loop = pattern, loop
        ctx.save_for_backward(weight, dst_scale, src_scale)
        if is_fused(x):
            ends, loops = {"dst_scale": dst_scale, "src_scale": src_scale}, pattern.num_rows if loop else 0
            return aggregated(pattern, x, weight=weight, loops=loops, **ends)
        out = _product(pattern, _scaled(weight, pattern, dst_scale, src_scale), x)
        return _add_loop(out, x[: pattern.num_rows], dst_scale, src_scale) if loop else out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[None, None, Tensor | None, None, None, None]:
        weight, dst_scale, src_scale = ctx.saved_tensors
        pattern: Pattern = ctx.pattern
        (grad,) = grad_outputs
        turned, order = pattern.transposed
        if is_fused(grad):
            ends, loops = {"dst_scale": src_scale, "src_scale": dst_scale}, pattern.num_rows if ctx.loop else 0
            grad_x = aggregated(turned, grad, weight=weight, order=order, loops=loops, **ends)
            return None, None, grad_x, None, None, None
        value = _scaled(None if weight is None else weight[order], turned, src_scale, dst_scale)
        grad_x = _product(turned, value, grad)
        if ctx.loop:
            _add_loop(grad_x[: pattern.num_rows], grad, dst_scale, src_scale)
        return None, None, grad_x, None, None, None


def _scaled(
    value: Tensor | None, pattern: Pattern, row_scale: Tensor | None, col_scale: Tensor | None
) -> Tensor | None:
    """Values of ``diag(row_scale) A diag(col_scale)``: scaling them spares passes over the much larger rows."""
    if col_scale is not None:
        of_col = col_scale.index_select(0, pattern.col)
        value = of_col if value is None else of_col.mul_(value)
    if row_scale is not None:
        of_row = row_scale.repeat_interleave(pattern.counts, output_size=pattern.nnz)
        value = of_row if value is None else of_row.mul_(value)
    return value


def _add_loop(out: Tensor, x: Tensor, dst_scale: Tensor | None, src_scale: Tensor | None) -> Tensor:
    """Add to each destination its own row of ``x``, scaled as an edge would be, in place."""
    scales = [scale[: out.shape[0]] for scale in (dst_scale, src_scale) if scale is not None]
    if not scales:
        return out.add_(x)
    return out.addcmul_(x, math.prod(scales[1:], start=scales[0]).to(x.dtype).unsqueeze(1))


def _product(pattern: Pattern, value: Tensor | None, x: Tensor) -> Tensor:
    if value is not None:
        value = value.to(x.dtype)
    if x.device.type == "cpu":
        # A row of the product is a bag of rows of x. The kernel for bags prefetches the rows to come, which makes
        # it twice as fast as the sparse one on graphs that exceed the caches, and it needs no values of one.
        return functional.embedding_bag(
            pattern.col, x.detach(), pattern.rowptr, mode="sum", per_sample_weights=value, include_last_offset=True
        )
    if is_fused(x):
        return aggregated(pattern, x, weight=value)
    if value is None:
        value = x.new_ones(pattern.nnz)
    # Autocast would change the type of this product on CUDA, where the one above keeps it on the CPU.
    with torch.autocast(x.device.type, enabled=False):
        return torch.mm(_csr(pattern, value), x)


def _csr(pattern: Pattern, value: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta", category=UserWarning)
        return torch.sparse_csr_tensor(
            pattern.rowptr, pattern.col, value, size=(pattern.num_rows, pattern.num_cols), check_invariants=False
        )
