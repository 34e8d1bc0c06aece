"""Ego networks: what is near a random node."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gssl.augment.graphwise import GraphwiseAugmenter, graph_offsets, induced, segment_index
from gssl.common.options import PositiveInt
from gssl.graph.batch import MiniBatch


@dataclass(frozen=True, kw_only=True)
class EgoNet(GraphwiseAugmenter):
    """Keep the nodes within some steps of a random node of each graph (ego nets of the survey, arXiv:2102.10757).

    Edge directions are ignored.

    Attributes:
        hops: steps.
    """

    hops: PositiveInt = 2

    def transform(self, batch: MiniBatch, rng: torch.Generator, chosen: Tensor) -> MiniBatch:
        offsets = graph_offsets(batch)
        reached = ~chosen[segment_index(offsets, batch.num_nodes)]
        reached[random_nodes(offsets, rng)] = True
        row, col = batch.blocks[0].pattern.row.long(), batch.blocks[0].pattern.col.long()
        for _ in range(self.hops):
            before = reached.clone()
            reached[row[before[col]]] = True
            reached[col[before[row]]] = True
        return induced(batch, reached)


def random_nodes(offsets: Tensor, rng: torch.Generator) -> Tensor:
    """A uniform item of every segment that has one, shape (num_segments with items,), int64.

    Args:
        offsets: of the segments, shape (num_segments + 1,), int64.
        rng: generator on the device of ``offsets``.
    """
    sizes = offsets.diff()
    drawn = torch.rand(len(sizes), dtype=torch.float64, generator=rng, device=offsets.device)
    place = (drawn * sizes).long().clamp(max=sizes - 1)
    return (offsets[:-1] + place)[sizes > 0]
