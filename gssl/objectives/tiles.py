"""Sums over all pairs of rows of a similarity matrix that is never stored: exact, in tiles of its upper half."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gssl.common.errors import InputError

# Largest factor of a cosine whose exponentials, their sums over millions of rows and the reciprocals of those sums are
# far from the ends of the number range, so that no running maximum is needed.
_MAX_INVERSE_FLOAT32 = 40.0
_MAX_INVERSE_FLOAT64 = 600.0

# Rows of a tile, and its columns for each row. On a CPU a tile and its scratch space stay in the last-level cache
# between the passes over them, and long tiles need few synchronisations of the threads; on a GPU they fill the device.
_CPU_ROWS = 512
_GPU_ROWS = 2048
_COLUMNS_PER_ROW = 8


def exponential_dtype(name: str, temperature: float, dtype: torch.dtype, *, power: float = 1.0) -> torch.dtype:
    """The floating-point type in which exponentials of cosines over a temperature can be added up.

    Args:
        name: how the message names the objective.
        temperature: of the cosines, t.
        dtype: of the projections.
        power: the largest that ``exp(cosine / t)`` is raised to.

    Raises:
        InputError: the temperature is not positive, or too small even for float64.
    """
    if not temperature * _MAX_INVERSE_FLOAT64 >= power:
        raise InputError(
            f"the {name} temperature must be at least {power / _MAX_INVERSE_FLOAT64:.4f} (got {temperature})"
        )
    wide = dtype == torch.float64 or temperature * _MAX_INVERSE_FLOAT32 < power
    return torch.float64 if wide else torch.float32


def exponential_sums(
    rows: Tensor,
    weight: Tensor,
    inverse: float,
    *,
    intra: bool = True,
    paired: bool = False,
    chunk: int | None = None,
) -> Tensor:
    """Weighted sum of ``exp(inverse * <row_a, row_b>)`` over all other rows b, for each row a.

    A row of weight w stands for w equal items, so that of itself it meets w - 1. Time is quadratic in the number of
    rows, memory linear.

    Args:
        rows: unit vectors, shape (n, dim), float32 or float64.
        weight: how often each row is there, a constant, shape (n,), not negative.
        inverse: factor of the products, for example one over a temperature.
        intra: whether all rows are compared; else the first half with the second only.
        paired: whether row i of the first half and row i of the second are one item, so that of each other they meet
            w - 1, too.
        chunk: rows of the tiles; chosen for the device by default.

    Returns:
        Shape (n,), dtype of ``rows``; zero where a row meets no other.
    """
    size = chunk or (_CPU_ROWS if rows.device.type == "cpu" else _GPU_ROWS)
    sums: Tensor = _ExponentialSums.apply(rows, weight, inverse, intra, paired, size)  # type: ignore[no-untyped-call]  # of torch
    return sums


class _ExponentialSums(torch.autograd.Function):
    """Only the tiles on and above the diagonal are computed: each stands for its mirror image too. Between the passes
    nothing is kept but the rows; the backward pass computes the tiles anew, which is cheaper than the memory traffic
    of a stored matrix.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, inverse: float, intra: bool, paired: bool, size: int) -> Tensor:
        total = torch.zeros_like(weight)
        for i, j, seen, tile, _ in _tiles(rows, weight, inverse, intra, paired, size):
            total[i].addmv_(tile, weight[j])
            total[j][seen:].addmv_(tile[:, seen:].T, weight[i])
        ctx.save_for_backward(rows, weight)
        ctx.options = inverse, intra, paired, size
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        (share,) = grads
        rows, weight = ctx.saved_tensors
        out = torch.zeros_like(rows)
        for i, j, seen, tile, scale in _tiles(rows, weight, *ctx.options):
            # Pair (a, b) enters the sum of row a with b's weight, and the sum of row b with a's.
            torch.mul(share[i, None], weight[j], out=scale).addcmul_(weight[i, None], share[j])
            tile.mul_(scale)
            out[i].addmm_(tile, rows[j])
            out[j][seen:].addmm_(tile[:, seen:].T, rows[i])
        return out.mul_(ctx.options[0]), None, None, None, None, None


def _tiles(
    rows: Tensor, weight: Tensor, inverse: float, intra: bool, paired: bool, size: int
) -> Iterator[tuple[slice, slice, int, Tensor, Tensor]]:
    """Tiles of exp(rows @ rows.T * inverse): rows, columns, first column with a mirror image, tile, scratch space.

    Both tensors are overwritten by the next tile. Where a row meets itself, or its other half, the entry is scaled so
    that its weighted sum counts the duplicates only.
    """
    width = size * _COLUMNS_PER_ROW
    others = (weight - 1).clamp(min=0) / weight.where(weight > 0, 1)
    storage, scratch = rows.new_empty(2, min(size, len(rows)) * min(width, len(rows)))
    for i, j in _tile_slices(len(rows), intra, size, width):
        shape = i.stop - i.start, j.stop - j.start
        tile, scale = (flat[: shape[0] * shape[1]].view(shape) for flat in (storage, scratch))
        # exp2 is the faster exponential of torch on a CPU; the change of base costs nothing in the product.
        torch.addmm(tile, rows[i], rows[j].T, beta=0, alpha=inverse / math.log(2), out=tile).exp2_()
        seen = 0
        if i.start == j.start:  # the block on the diagonal is its own mirror image
            tile.diagonal().mul_(others[i])
            seen = shape[0]
        if paired:
            _scale_partners(tile, others[i], i.start - j.start, len(rows) // 2)
        yield i, j, seen, tile, scale


def _scale_partners(tile: Tensor, others: Tensor, shift: int, half: int) -> None:
    """Scale the entries of a tile where a row meets the other half of its item, in place.

    Row r of the tile is row ``shift`` + r of the columns' numbering, so its partner is ``half`` columns on or back.
    """
    for offset in (shift + half, shift - half):
        if -tile.shape[0] < offset < tile.shape[1]:
            partners = tile.diagonal(offset)
            first = max(-offset, 0)
            partners.mul_(others[first : first + len(partners)])


def _tile_slices(num_rows: int, intra: bool, height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns on and above the diagonal, or above it between the halves if only they are compared."""
    half = num_rows // 2
    row_end, first_column = (num_rows, 0) if intra else (half, half)
    for start in range(0, row_end, height):
        for column in range(max(start, first_column), num_rows, width):
            yield slice(start, min(start + height, row_end)), slice(column, min(column + width, num_rows))
