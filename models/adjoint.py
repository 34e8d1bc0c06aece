"""Adjoint history: an estimator that is unbiased in every layer where the history is exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.models.first import first_layer
from gssl.models.layers import dropout_features
from gssl.models.ops import Aggregation, head_product, turned_product
from gssl.models.row_weight import row_weighted, scale_gradient
from gssl.samplers.batch import Block, MiniBatch
from gssl.samplers.history import BatchHistory, Place

if TYPE_CHECKING:
    from gssl.models.stack import StackedEncoder


def adjoint_layers(encoder: StackedEncoder, batch: MiniBatch, history: BatchHistory, slot: int) -> list[Tensor]:
    """Fresh rows for the batch, stored embeddings and stored adjoints for its neighbours.

    With ``S_l`` the aggregate that layer ``l`` takes and ``D_l`` the adjoint of its output, the full gradient is
    ``sum over all nodes j of S_l[j] (outer) D_l[j]``. Each row of the batch enters it with its own weight, at the
    parameters; activations and adjoints flow unweighted. What is stored of the adjoints is the gradient of ``S_l``.

    Returns:
        The output of each layer, shape (num_targets, dim); the gradient that arrives at them may be that of a loss
        weighted by ``batch.weight``.
    """
    fresh = history.num_fresh
    weight = torch.ones(fresh, device=batch.device) if batch.weight is None else batch.weight
    outputs: list[Tensor] = []
    h = _first(encoder, batch, history, weight)
    for index in range(encoder.num_layers):
        if index:
            (kind, layer), block = encoder.separable_layer(index), batch.block(index)
            dropped = encoder.training and encoder.dropout > 0
            h = F.dropout(h, encoder.dropout, encoder.training)
            places = Place("embedding", slot, index - 1), Place("adjoint", slot, index)
            aggregated = _aggregate(h, block, kind, history, places, written=not dropped)
            norms = history.listener(aggregated, h)
            h = row_weighted(layer.update, list(layer.parameters()), weight, aggregated, h, tell=norms)
        if index < len(encoder.activations):
            h = _finish(encoder, index, batch, weight, h)
        outputs.append(h)
        if index < encoder.num_layers - 1:
            history.push(Place("embedding", slot, index), h)
    inverse = weight.reciprocal()
    return [scale_gradient(h, inverse) for h in outputs]


def _first(encoder: StackedEncoder, batch: MiniBatch, history: BatchHistory, weight: Tensor) -> Tensor:
    """The first layer, which nothing flows through: its weights are put on the gradient of its output."""
    if batch.first is not None:
        out, aggregated = first_layer(encoder, batch, batch.first)
        return scale_gradient(out, weight, history.listener(aggregated))
    block = batch.block(0).head(history.num_fresh)
    x = dropout_features(batch.x, encoder.in_dropout, encoder.training)
    out = encoder.layers[0](block, x)
    return scale_gradient(out, weight, history.listener())


def _finish(encoder: StackedEncoder, index: int, batch: MiniBatch, weight: Tensor, h: Tensor) -> Tensor:
    def call(rows: Tensor) -> Tensor:
        return encoder.finish(index, rows, batch)

    parameters = encoder.finish_parameters(index)
    return row_weighted(call, parameters, weight, h) if parameters else call(h)


def _aggregate(
    h: Tensor, block: Block, kind: Aggregation, history: BatchHistory, places: tuple[Place, Place], *, written: bool
) -> Tensor:
    out: Tensor = _AdjointAggregate.apply(  # type: ignore[no-untyped-call]  # of torch
        h, block, kind, history, places, written
    )
    return out


class _AdjointAggregate(torch.autograd.Function):
    """Aggregates fresh and stored rows; the way back adds the stored adjoints of the destinations outside.

    ``places`` are those of the embeddings that it takes and of the adjoints that it stores; ``written`` says that the
    embeddings ``h`` stand in the history already.
    """

    @staticmethod
    def forward(
        ctx: Any,
        h: Tensor,
        block: Block,
        kind: Aggregation,
        history: BatchHistory,
        places: tuple[Place, Place],
        written: bool,
    ) -> Tensor:
        taken, place = places
        ctx.rest = (block, kind, history, place)
        return head_product(kind, block, h, history.row_table(taken, h, block.num_src, written=written))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, None, None, None, None, None]:
        (grad,) = grad_outputs
        block, kind, history, place = ctx.rest
        history.push(place, grad)
        grad_h = None
        if ctx.needs_input_grad[0]:
            grad_h = turned_product(kind, block, grad, history.row_table(place, grad, block.num_src, written=True))
        return grad_h, None, None, None, None, None
