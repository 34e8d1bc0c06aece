"""Adjoint history: an estimator that is unbiased in every layer where the history is exact."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.graph.history import BatchHistory, Place
from gssl.models.layered import LayeredEncoder
from gssl.models.row_weight import row_weighted, scale_gradient
from gssl.models.stored_rows import aggregate_with_stored


def adjoint_layers(encoder: LayeredEncoder, batch: MiniBatch, history: BatchHistory, slot: int) -> list[Tensor]:
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
            embedding, adjoint = Place("embedding", slot, index - 1), Place("adjoint", slot, index)
            aggregated = aggregate_with_stored(h, block, kind, history, embedding, adjoint, written=not dropped)
            norms = history.listener(aggregated, h)
            h = row_weighted(layer.update, list(layer.parameters()), weight, aggregated, h, tell=norms)
        if index < len(encoder.activations):
            h = _finish(encoder, index, batch, weight, h)
        outputs.append(h)
        if index < encoder.num_layers - 1:
            history.push(Place("embedding", slot, index), h)
    inverse = weight.reciprocal()
    return [scale_gradient(h, inverse) for h in outputs]


def _first(encoder: LayeredEncoder, batch: MiniBatch, history: BatchHistory, weight: Tensor) -> Tensor:
    """The first layer, which nothing flows through: its weights are put on the gradient of its output."""
    if batch.plan.first is not None:
        out, aggregated = encoder.first_layer(batch, batch.plan.first)
        return scale_gradient(out, weight, history.listener(aggregated))
    block = batch.block(0).head(history.num_fresh)
    out = encoder.feature_layer(block, batch.x)
    return scale_gradient(out, weight, history.listener())


def _finish(encoder: LayeredEncoder, index: int, batch: MiniBatch, weight: Tensor, h: Tensor) -> Tensor:
    def call(rows: Tensor) -> Tensor:
        return encoder.finish(index, rows, batch)

    parameters = encoder.finish_parameters(index)
    return row_weighted(call, parameters, weight, h) if parameters else call(h)
