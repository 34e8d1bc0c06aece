"""InfoNCE over all pairs of nodes: exact, in tiles of a symmetric matrix that is never stored."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import normalize

from gssl.common.errors import InputError
from gssl.objectives.weights import check_views, weighted_mean

# Largest 1/t whose exponentials, their sums over millions of rows and the reciprocals of those sums are far from
# the ends of the number range, so that no running maximum is needed.
_MAX_INVERSE_FLOAT32 = 40.0
_MAX_INVERSE_FLOAT64 = 600.0

# Rows of a tile, and its columns for each row. On a CPU a tile and its scratch space stay in the last-level cache
# between the passes over them, and long tiles need few synchronisations of the threads; on a GPU they fill the device.
_CPU_ROWS = 512
_GPU_ROWS = 2048
_COLUMNS_PER_ROW = 8


def info_nce(
    first: Tensor,
    second: Tensor,
    *,
    temperature: float = 0.5,
    intra: bool = True,
    weight: Tensor | None = None,
    chunk: int | None = None,
) -> Tensor:
    """GRACE's contrastive objective with all nodes of both views as negatives (arXiv:2006.04131, eq. 1 and 2).

    The mean over items of :func:`info_nce_terms`, weighted by ``weight``.

    Args:
        first: projections of the first view, not normalised, shape (num_items, dim), float.
        second: those of the second view, row i is the same item, shape (num_items, dim).
        temperature: t > 0.
        intra: whether items of the anchor's own view are negatives too.
        weight: importance weight of each item, a constant, shape (num_items,), float, not negative; None means
            1 each. A weight of 2 means what including the item twice means, as anchor and as negative.
        chunk: rows of the tiles in which similarities are computed; chosen for the device by default.

    Returns:
        A scalar, float32 (float64 for float64 input).

    Raises:
        InputError: the shapes do not match, or the temperature is out of range.
    """
    terms = info_nce_terms(first, second, temperature=temperature, intra=intra, weight=weight, chunk=chunk)
    return weighted_mean(terms, weight)


def info_nce_terms(
    first: Tensor,
    second: Tensor,
    *,
    temperature: float = 0.5,
    intra: bool = True,
    weight: Tensor | None = None,
    chunk: int | None = None,
) -> Tensor:
    """The loss of each item, averaged over its two anchors; arguments as in :func:`info_nce`.

    With s the cosine similarity, the loss of anchor u_i is
    ``-log(e^{s(u_i,v_i)/t} / (sum_j w_j e^{s(u_i,v_j)/t} + [intra] sum_j (w_j - 1[i=j]) e^{s(u_i,u_j)/t}))``.
    Time is O(num_items^2 dim); memory is O(num_items dim).

    Returns:
        Shape (num_items,), float32 (float64 for float64 input).
    """
    u, v, log_denominator = log_denominators(
        first, second, temperature=temperature, intra=intra, weight=weight, chunk=chunk
    )
    terms: Tensor = log_denominator.mean(0) - (u * v).sum(1) / temperature
    return terms if first.dtype == torch.float64 else terms.float()


def log_denominators(
    first: Tensor,
    second: Tensor,
    *,
    temperature: float,
    intra: bool,
    weight: Tensor | None,
    chunk: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """What the terms are made of; arguments as in :func:`info_nce`.

    Returns:
        Both views, normalised and in the precision that the temperature asks for, shape (num_items, dim); and the
        logarithm of the denominator of each anchor, those of the first view first, shape (2, num_items).
    """
    check_views("InfoNCE", first, second, weight)
    if not temperature * _MAX_INVERSE_FLOAT64 >= 1:
        raise InputError(f"the InfoNCE temperature must be at least {1 / _MAX_INVERSE_FLOAT64:.4f} (got {temperature})")
    needs_float64 = first.dtype == torch.float64 or temperature * _MAX_INVERSE_FLOAT32 < 1
    u, v = (normalize(z.to(torch.float64 if needs_float64 else torch.float32), dim=1) for z in (first, second))
    count = u.new_ones(len(u)) if weight is None else weight.detach().to(u)
    size = chunk or (_CPU_ROWS if u.device.type == "cpu" else _GPU_ROWS)
    options = 1 / temperature, intra, size
    found: Tensor = _LogDenominator.apply(torch.cat([u, v]), count.repeat(2), *options)  # type: ignore[no-untyped-call]  # of torch
    return u, v, found.view(2, -1)


class _LogDenominator(torch.autograd.Function):
    """Log of the weighted sum of exponentials in each row of the similarity matrix of both views.

    Only the tiles on and above the diagonal are computed: each stands for its mirror image too. Between the passes
    nothing is kept but the rows and their sums; the backward pass computes the tiles anew, which is cheaper than
    the memory traffic of a stored matrix.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, inverse: float, intra: bool, size: int) -> Tensor:
        total = torch.zeros_like(weight)
        for i, j, seen, tile, _ in _tiles(rows, weight, inverse, intra, size):
            total[i].addmv_(tile, weight[j])
            total[j][seen:].addmv_(tile[:, seen:].T, weight[i])
        ctx.save_for_backward(rows, weight, total)
        ctx.options = inverse, intra, size
        return total.log()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        rows, weight, total = ctx.saved_tensors
        share = grad / total
        out = torch.zeros_like(rows)
        for i, j, seen, tile, scale in _tiles(rows, weight, *ctx.options):
            # Pair (a, b) enters the sum of row a with b's weight, and the sum of row b with a's.
            torch.mul(share[i, None], weight[j], out=scale).addcmul_(weight[i, None], share[j])
            tile.mul_(scale)
            out[i].addmm_(tile, rows[j])
            out[j][seen:].addmm_(tile[:, seen:].T, rows[i])
        return out.mul_(ctx.options[0]), None, None, None, None


def _tiles(
    rows: Tensor, weight: Tensor, inverse: float, intra: bool, size: int
) -> Iterator[tuple[slice, slice, int, Tensor, Tensor]]:
    """Tiles of exp(rows @ rows.T * inverse): rows, columns, first column with a mirror image, tile, scratch space.

    Both tensors are overwritten by the next tile. An anchor is no negative of its own, but its duplicates are: an
    item of weight w stands for w - 1 of them, and the diagonal is scaled so that its weighted sum counts just these.
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
        yield i, j, seen, tile, scale


def _tile_slices(num_rows: int, intra: bool, height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns on and above the diagonal, or above it between the views if only they are compared."""
    half = num_rows // 2
    row_end, first_column = (num_rows, 0) if intra else (half, half)
    for start in range(0, row_end, height):
        for column in range(max(start, first_column), num_rows, width):
            yield slice(start, min(start + height, row_end)), slice(column, min(column + width, num_rows))
