"""Scaled sums over neighbors as one Triton kernel, which reads rows of features where they lie."""

from __future__ import annotations

import torch
from torch import Tensor

from gssl.graph.gpu.support import INTERPRETED, Number, Values, constexpr, jit, language, launch
from gssl.graph.gpu.trial import obstacle
from gssl.graph.sparse import Pattern

tl = language()
_EDGES = 8  # rows of the matrix that a program has under way at once
_MOST_COLUMNS = 128  # of a program
_TYPES = (torch.float32, torch.bfloat16, torch.float16)


def is_fused(x: Tensor) -> bool:
    """Whether sums of rows of ``x`` are made by :func:`aggregated` here."""
    return x.is_cuda and x.dtype in _TYPES and not INTERPRETED and obstacle(x.device, checked) is None


def unfused(device: torch.device) -> str | None:
    """Why sums on a CUDA device are not made by :func:`aggregated`; None where they are, and on other devices."""
    return obstacle(device, checked) if device.type == "cuda" and not INTERPRETED else None


@jit
def _sum_rows(
    rowptr: Values,
    col: Values,
    order: Values,
    weight: Values,
    dst_scale: Values,
    src_scale: Values,
    place: Values,
    table: Values,
    out: Values,
    dim: Number,
    loops: Number,
    HAS_ORDER: constexpr,
    HAS_WEIGHT: constexpr,
    HAS_DST: constexpr,
    HAS_SRC: constexpr,
    HAS_PLACE: constexpr,
    EDGES: constexpr,
    COLUMNS: constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    there = column < dim
    lane = tl.arange(0, EDGES)
    total = tl.zeros((EDGES, COLUMNS), tl.float32)
    e = tl.load(rowptr + row).to(tl.int64)
    end = tl.load(rowptr + row + 1).to(tl.int64)
    while e < end:
        inside = e + lane < end
        source = tl.load(col + e + lane, mask=inside, other=0).to(tl.int64)
        factor = inside.to(tl.float32)
        if HAS_WEIGHT:
            edge = e + lane
            if HAS_ORDER:
                edge = tl.load(order + edge, mask=inside, other=0)
            factor *= tl.load(weight + edge, mask=inside, other=0.0).to(tl.float32)
        if HAS_SRC:
            factor *= tl.load(src_scale + source, mask=inside, other=0.0).to(tl.float32)
        if HAS_PLACE:
            source = tl.load(place + source, mask=inside, other=0).to(tl.int64)
        rows = table + source[:, None] * dim + column[None, :]
        read = tl.load(rows, mask=inside[:, None] & there[None, :], other=0.0)
        total += factor[:, None] * read.to(tl.float32)
        e += EDGES
    found = tl.sum(total, 0)
    if row < loops:
        own = row
        if HAS_PLACE:
            own = tl.load(place + row).to(tl.int64)
        part = tl.load(table + own * dim + column, mask=there, other=0.0).to(tl.float32)
        if HAS_SRC:
            part *= tl.load(src_scale + row).to(tl.float32)
        found += part
    if HAS_DST:
        found *= tl.load(dst_scale + row).to(tl.float32)
    tl.store(out + row * dim + column, found.to(out.dtype.element_ty), mask=there)


def aggregated(
    pattern: Pattern,
    table: Tensor,
    *,
    weight: Tensor | None = None,
    order: Tensor | None = None,
    dst_scale: Tensor | None = None,
    src_scale: Tensor | None = None,
    place: Tensor | None = None,
    loops: int = 0,
) -> Tensor:
    """``diag(dst_scale) (A + I_loops) diag(src_scale) x``, by sums in float32 whose order is always the same.

    Nothing of the size of the edges is made, and no copy of the rows. A backward pass is the same with the transposed
    pattern, both scales exchanged and the order in which the transpose has the edges.

    Args:
        pattern: positions of A, shape (num_dst, num_src).
        table: ``x``, shape (num_src, dim), float32, bfloat16 or float16; with ``place``, what its rows are of.
        weight: values of A, shape (nnz,), float; None means ones.
        order: where the weight of each non-zero stands, shape (nnz,), int64; None for its own place.
        dst_scale: shape (num_dst,), float, or None for ones.
        src_scale: shape (num_src,), float, or None for ones.
        place: row of ``table`` that each source is, shape (num_src,), int32 or int64; None for its own number.
        loops: how many of the first destinations also receive themselves, as destination i is source i.

    Returns:
        Shape (num_dst, dim), dtype of ``table``.
    """
    table = table.detach().contiguous()
    out = table.new_empty(pattern.num_rows, table.shape[1])
    if not out.numel():
        return out
    columns = min(_MOST_COLUMNS, 1 << (table.shape[1] - 1).bit_length())
    given = (order, weight, dst_scale, src_scale, place)
    has = [values is not None for values in given]
    pointers = [table if values is None else values.detach().contiguous() for values in given]
    grid = pattern.num_rows, -(-table.shape[1] // columns)
    launch(
        _sum_rows,
        grid,
        pattern.rowptr,
        pattern.col,
        *pointers,
        table,
        out,
        table.shape[1],
        loops,
        *has,
        _EDGES,
        columns,
    )
    return out


def checked(device: torch.device) -> bool:
    """Whether the kernel, compiled with all that it can be given, has the numbers of the CPU on a device."""
    rowptr, col = torch.tensor([0, 3, 3, 5], dtype=torch.int32), torch.tensor([1, 2, 3, 0, 2], dtype=torch.int32)
    table = torch.arange(5.0 * _MOST_COLUMNS).view(5, _MOST_COLUMNS).remainder(7)
    weight, order = torch.tensor([0.5, 1.0, 2.0, 3.0, 4.0]), torch.tensor([4, 3, 2, 1, 0])
    dst_scale, src_scale = torch.tensor([1.0, 2.0, 0.5]), torch.tensor([1.0, 0.5, 2.0, 4.0])
    place = torch.tensor([4, 0, 3, 1])
    matrix = torch.zeros(3, 4)
    matrix[torch.tensor([0, 0, 0, 2, 2]), col.long()] = weight[order]
    matrix[:2, :2] += torch.eye(2)
    expected = dst_scale[:, None] * matrix @ (src_scale[:, None] * table[place])
    found = aggregated(
        Pattern(rowptr.to(device), col.to(device), 4),
        table.to(device),
        weight=weight.to(device),
        order=order.to(device),
        dst_scale=dst_scale.to(device),
        src_scale=src_scale.to(device),
        place=place.to(device),
        loops=2,
    )
    return torch.allclose(found.cpu(), expected, rtol=1e-5, atol=1e-5)
