"""Control variates (VR-GCN)."""

from __future__ import annotations

from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.history import BatchHistory, Place
from gssl.models.layered import LayeredEncoder
from gssl.models.ops import linear_aggregate


def controlled_layers(encoder: LayeredEncoder, batch: MiniBatch, history: BatchHistory, slot: int) -> list[Tensor]:
    """The aggregate of each layer is ``sampled(H - stored H) + full(stored H)``.

    Chen, Zhu and Song, 2018, arXiv:1710.10568, eq. 5. The first layer aggregates the features in full.

    Raises:
        InputError: an encoder whose aggregation is not linear.
    """
    outputs: list[Tensor] = []
    x = batch.x
    for index in range(encoder.num_layers):
        (kind, layer), block = encoder.separable_layer(index), batch.block(index)
        if index == 0 and batch.plan.first is not None:
            out, _ = encoder.first_layer(batch, batch.plan.first)
        elif index == 0:
            out = encoder.feature_layer(block, batch.x)
        else:
            assert isinstance(x, Tensor)
            x = F.dropout(x, encoder.dropout, encoder.training)
            stored = history.pull_sources(Place("embedding", slot, index - 1), index, x)
            fresh = len(x)
            rest = linear_aggregate(kind, block, stored)
            aggregated = linear_aggregate(kind, _sampled(block, fresh), x - stored[:fresh]) + rest
            out = layer.update(aggregated, x[: block.num_dst])
        x = encoder.finish(index, out, batch) if index < len(encoder.activations) else out
        outputs.append(x)
        if index < encoder.num_layers - 1:
            history.push(Place("embedding", slot, index), x)
    return outputs


def _sampled(block: Block, num_fresh: int) -> Block:
    """The drawn edges of a block with their Horvitz-Thompson weights; their sources are the fresh rows."""
    drawn = block.left_by(block.drawn)
    factor = drawn.sample_weight
    assert factor is not None
    weight = factor if drawn.weight is None else drawn.weight * factor
    pattern = replace(drawn.pattern, num_cols=num_fresh)
    degree = None if block.full_degree is None else block.full_degree[:num_fresh]
    return replace(drawn, pattern=pattern, weight=weight, full_degree=degree, sample_weight=None)
