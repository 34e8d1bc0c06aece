"""History with forward and backward compensation (LMC)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.history import BatchHistory, Place
from gssl.graph.sparse import BatchFeatures
from gssl.models.layered import LayeredEncoder
from gssl.models.row_weight import row_weighted, scale_gradient


def compensated_layers(encoder: LayeredEncoder, batch: MiniBatch, history: BatchHistory, slot: int) -> list[Tensor]:
    """Local message compensation (Shi et al., 2023, arXiv:2302.00924, eqs. 8-13).

    Rows in the halo hold ``(1 - beta) * stored + beta * computed``, where the computed value knows only the part of
    their neighbourhood that is in the batch; their adjoints are mixed alike on the way back. Only rows of the batch
    give gradient to parameters, each with its own weight.
    """
    weight = _parameter_weight(batch, history)
    outputs: list[Tensor] = []
    x: BatchFeatures = batch.x
    for index in range(encoder.num_layers):
        x = _step(encoder, index, batch, x, weight)
        x = _Compensate.apply(x, history, slot, index)  # type: ignore[no-untyped-call]  # of torch
        assert isinstance(x, Tensor)
        outputs.append(x)
    fresh = slice(0, history.num_fresh)
    inverse = weight[fresh].reciprocal()
    return [scale_gradient(h[fresh], inverse) for h in outputs]


def _step(encoder: LayeredEncoder, index: int, batch: MiniBatch, x: BatchFeatures, weight: Tensor) -> Tensor:
    block: Block = batch.block(index)
    if index == 0:
        out = scale_gradient(encoder.feature_layer(block, x), weight)
    else:
        assert isinstance(x, Tensor)
        layer = encoder.layers[index]
        x = F.dropout(x, encoder.dropout, encoder.training)
        out = row_weighted(lambda h: layer(block, h), list(layer.parameters()), weight, x)
    if index >= len(encoder.activations):
        return out
    return row_weighted(lambda h: encoder.finish(index, h, batch), encoder.finish_parameters(index), weight, out)


def _parameter_weight(batch: MiniBatch, history: BatchHistory) -> Tensor:
    """Weight of each row where parameters collect their gradient: that of the target, zero in the halo."""
    weight = torch.zeros(batch.num_nodes, device=batch.device)
    weight[: history.num_fresh] = 1.0 if batch.weight is None else batch.weight
    return weight


class _Compensate(torch.autograd.Function):
    """Mixes halo rows with the stored ones, forward and backward, and stores the fresh rows of both."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, history: BatchHistory, slot: int, layer: int) -> Tensor:
        ctx.history, ctx.place = history, Place("adjoint", slot, layer)
        place = Place("embedding", slot, layer)
        out = _mixed(x, history, place)
        history.push(place, x[: history.num_fresh])
        return out

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None]:
        (grad,) = grad_outputs
        history: BatchHistory = ctx.history
        out = _mixed(grad, history, ctx.place)
        history.push(ctx.place, grad[: history.num_fresh])
        return out, None, None, None


def _mixed(x: Tensor, history: BatchHistory, place: Place) -> Tensor:
    fresh = history.num_fresh
    halo = slice(fresh, len(x))
    stored = history.pull(place, halo, x)
    assert history.beta is not None
    beta = history.beta[halo].to(x).unsqueeze(1)
    return torch.cat([x[:fresh], torch.lerp(stored, x[halo], beta)])
