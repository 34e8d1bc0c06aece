"""Random sketches: few random sums of the rows of a matrix, which keep its second moments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gssl.common.errors import InputError

_DRAWN_AT_ONCE = 1 << 22  # numbers of the projection that are in memory at a time


def gaussian_sketch(rows: Tensor, count: int, rng: torch.Generator, *, weight: Tensor | None = None) -> Tensor:
    """``P Z / sqrt(count)`` with standard normal P: the sketch S has ``E[S' S] = Z' Z`` (COSTA, arXiv:2206.04726, 4.3).

    The projection is drawn piece by piece, and again for the gradient, so that nothing is as large as it.

    Args:
        rows: Z, shape (n, dim), float. Views whose sketches must be the same sums go in side by side.
        count: rows of the sketch.
        rng: on the device of ``rows``.
        weight: importance weight of each row, shape (n,), not negative; None means 1 each. A weight of 2 has the
            distribution of the row twice. Weights are divided by their mean first, so that a batch of n rows that
            stand for more has the scale of n rows.

    Returns:
        Shape (count, dim).

    Raises:
        InputError: ``count`` is not positive.
    """
    if count < 1:
        raise InputError(f"a sketch has at least one row (got {count})")
    if weight is not None:
        rows = rows * (weight / weight.mean()).sqrt().to(rows.dtype)[:, None]
    out: Tensor = _Sketch.apply(rows, count, rng)  # type: ignore[no-untyped-call]  # of torch
    return out


class _Sketch(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, count: int, rng: torch.Generator) -> Tensor:
        ctx.state, ctx.num_rows = rng.get_state(), len(rows)
        out = rows.new_empty(count, rows.shape[1])
        for part, drawn in _projection(count, len(rows), rows, rng):
            torch.mm(drawn, rows, out=out[part])
        return out.div_(count**0.5)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (grad,) = grads
        rng = torch.Generator(grad.device)
        rng.set_state(ctx.state)
        out = grad.new_zeros(ctx.num_rows, grad.shape[1])
        for part, drawn in _projection(len(grad), ctx.num_rows, grad, rng):
            out.addmm_(drawn.T, grad[part])
        return out.div_(len(grad) ** 0.5), None, None


def _projection(count: int, num_rows: int, like: Tensor, rng: torch.Generator) -> Iterator[tuple[slice, Tensor]]:
    """Pieces of P and their rows."""
    step = max(1, _DRAWN_AT_ONCE // max(num_rows, 1))
    for start in range(0, count, step):
        part = slice(start, min(start + step, count))
        shape = part.stop - part.start, num_rows
        yield part, torch.randn(shape, generator=rng, device=like.device, dtype=like.dtype)
