"""Aggregation of a batch's own rows together with stored ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gssl.graph.block import Block
from gssl.graph.history import BatchHistory, Place, RowTable
from gssl.models.ops import Aggregation, head_product, turned_product


def aggregate_with_stored(
    h: Tensor,
    block: Block,
    kind: Aggregation,
    history: BatchHistory,
    embedding: Place,
    adjoint: Place | None = None,
    *,
    written: bool,
) -> Tensor:
    """Aggregates fresh and stored rows. Nothing flows back into stored rows, so their gradient is not computed.

    Args:
        h: fresh rows, the first ones of the batch, shape (num_fresh, dim).
        block: its first ``num_fresh`` destinations hold all their edges.
        kind: which aggregation.
        history: where the rows of the other sources are.
        embedding: their place.
        adjoint: where the gradient of the aggregate is kept. That of the destinations outside the batch is read from
            there and flows back with the others; None stops at the batch.
        written: whether ``h`` was pushed to ``embedding``; then nothing needs to be copied.

    Returns:
        Shape (num_fresh, dim).
    """
    out: Tensor = _Aggregate.apply(  # type: ignore[no-untyped-call]  # of torch
        h, block, kind, history, embedding, adjoint, written
    )
    return out


class _Aggregate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        h: Tensor,
        block: Block,
        kind: Aggregation,
        history: BatchHistory,
        embedding: Place,
        adjoint: Place | None,
        written: bool,
    ) -> Tensor:
        ctx.rest = (block, kind, history, adjoint)
        return head_product(kind, block, h, history.row_table(embedding, h, block.num_src, written=written))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, None, None, None, None, None, None]:
        (grad,) = grad_outputs
        block, kind, history, adjoint = ctx.rest
        if adjoint is not None:
            history.push(adjoint, grad)
        grad_h = None
        if ctx.needs_input_grad[0]:
            rows = RowTable(grad)
            if adjoint is not None:
                rows = history.row_table(adjoint, grad, block.num_src, written=True)
            grad_h = turned_product(kind, block, grad, rows)
        return grad_h, None, None, None, None, None, None
