"""Encoders on batches whose neighbours outside the batch are read from the history."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.history import BatchHistory, Place
from gssl.models.adjoint import adjoint_layers
from gssl.models.compensated import compensated_layers
from gssl.models.control import controlled_layers
from gssl.models.layered import LayeredEncoder
from gssl.models.stored_rows import aggregate_with_stored


def layers_with_history(encoder: LayeredEncoder, batch: MiniBatch, history: BatchHistory) -> list[Tensor]:
    """The output of every layer, shape (rows, dim), targets first.

    Raises:
        InputError: the view has other nodes than the batch, so that stored rows cannot be matched to it; its edge
            weights are learned, but the mode stores gradients, which are those of nodes only.
    """
    if batch.num_nodes != (len(history.ids) if batch.plan.first is None else history.num_fresh):
        raise InputError(
            "a view that removes nodes cannot be completed from history; use an augmenter that keeps them, or a "
            "propagation without history"
        )
    stores_gradients = history.mode == "compensated" or (history.mode == "adjoint" and encoder.separable)
    if stores_gradients and any(block.learned for block in batch.blocks):
        raise InputError(
            "edge weights are learned, but a history with stored gradients (adjoint, lmc) knows only those of nodes; "
            "use a propagation such as neighbor, exact or history"
        )
    slot = history.open()
    if history.mode == "adjoint" and not encoder.separable:
        warnings.warn(
            f"{type(encoder).__name__} has layers that are not linear in their neighbours: adjoints cannot be stored "
            "for them, so the backward pass stops at the history",
            stacklevel=2,
        )
        return truncated_layers(encoder, batch.map_blocks(lambda b: b.head(history.num_fresh)), history, slot)
    if history.mode == "adjoint":
        return adjoint_layers(encoder, batch, history, slot)
    if history.mode == "compensated":
        return compensated_layers(encoder, batch, history, slot)
    if history.mode == "control":
        return controlled_layers(encoder, batch, history, slot)
    return truncated_layers(encoder, batch, history, slot)


def truncated_layers(encoder: LayeredEncoder, batch: MiniBatch, history: BatchHistory, slot: int) -> list[Tensor]:
    """One-shot propagation: fresh rows for the batch, stored rows (without gradient) for its neighbours.

    This is the forward pass of MVS (Cong et al., 2020, arXiv:2006.13866, algorithm 1) and of GNNAutoScale (Fey et
    al., 2021, arXiv:2106.05609, eq. 2). A batch that brings all rows itself, as an exact checkpoint does, reads
    nothing and refreshes what it computes.
    """
    outputs: list[Tensor] = []
    x = batch.x
    for index in range(encoder.num_layers):
        if index and isinstance(x, Tensor) and x.shape[0] < batch.block(index).num_src:
            x = _completed(encoder, index, batch, x, history, Place("embedding", slot, index - 1))
        else:
            x = encoder.step(index, batch.block(index), x, batch)
        outputs.append(x)
        if index < encoder.num_layers - 1:
            history.push(Place("embedding", slot, index), x)
    return outputs


def _completed(
    encoder: LayeredEncoder, index: int, batch: MiniBatch, x: Tensor, history: BatchHistory, place: Place
) -> Tensor:
    """A layer, its norm and activation; ``x`` are the fresh rows, the others are stored at ``place``."""
    block, dropped = batch.block(index), encoder.training and encoder.dropout > 0
    if encoder.separable and not dropped and not block.learned:
        kind, layer = encoder.separable_layer(index)
        aggregated = aggregate_with_stored(x, block, kind, history, place, written=True)
        return encoder.finished(index, layer.update(aggregated, x), batch)
    stored = history.pull(place, slice(x.shape[0], block.num_src), x)
    return encoder.step(index, block, torch.cat([x, stored]), batch)
