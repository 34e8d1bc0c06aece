"""Bandwidths of edges: continuous masks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch_geometric.utils import segment, softmax

from gssl.augment.base import Augmenter
from gssl.common.options import Positive
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block


@dataclass(frozen=True, kw_only=True)
class Bandwidth(Augmenter):
    """Share a bandwidth of one among the edges into each node (Bandana, Zhao et al., 2024, arXiv:2402.03814, sec. 4.1).

    The shares are a softmax of normal noise, so that no message is lost, but most are muffled. The weight of an edge
    multiplies its share, before the shares are divided by their sum; both directions of an edge draw for themselves.
    Each block of a batch that was sampled layer by layer draws for itself.

    Attributes:
        temperature: of the softmax; the lower, the closer to one edge a node.
    """

    temperature: Positive = 1.0

    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        return batch.map_blocks(lambda block: self.shared(block, rng))

    def shared(self, block: Block, rng: torch.Generator) -> Block:
        """The block with shares for weights."""
        rowptr = block.pattern.rowptr.long()
        noise = torch.randn(block.num_edges, generator=rng, device=rng.device)
        share = softmax(noise / self.temperature, ptr=rowptr)
        if block.weight is not None:
            share = share * block.weight
            total = segment(share, rowptr, reduce="sum").clamp(min=torch.finfo(share.dtype).tiny)
            share = share / total[block.pattern.row.long()]
        # Every node that has edges in the whole graph receives a bandwidth of one there.
        full = None if block.full_degree is None else (block.full_degree > 0).to(block.full_degree.dtype)
        return replace(block, weight=share, full_degree=full)


def layerwise(view: Augmenter, batch: MiniBatch, num_layers: int, rng: torch.Generator) -> MiniBatch:
    """A view that is drawn for each layer by itself.

    Args:
        view: changes nothing but weights of edges.
        batch: with one block for all layers, or one for each.
        num_layers: of the encoder.
        rng: on the device of the batch.

    Returns:
        A batch with ``num_layers`` blocks.
    """
    blocks = tuple(replace(batch.block(layer)) for layer in range(num_layers))
    return view(replace(batch, blocks=blocks), rng)
