"""Node dropping."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gssl.augment.graphwise import GraphwiseAugmenter, graph_offsets, induced, random_rank, segment_index, share
from gssl.common.options import Probability
from gssl.graph.batch import MiniBatch


@dataclass(frozen=True, kw_only=True)
class DropNode(GraphwiseAugmenter):
    """Remove a random share of the nodes of each graph, with their edges (GraphCL, You et al., 2020).

    Attributes:
        ratio: ``floor(ratio * size)`` nodes of each graph go.
    """

    # The first version of GraphCL's unsupervised code kept the edges among the dropped nodes instead of those among the
    # kept ones; its authors have mended that (Shen-Lab/GraphCL, commit 5003879).
    ratio: Probability = 0.2

    def transform(self, batch: MiniBatch, rng: torch.Generator, chosen: Tensor) -> MiniBatch:
        offsets = graph_offsets(batch)
        dropped = share(offsets.diff(), self.ratio) * chosen
        return induced(
            batch, random_rank(offsets, rng, batch.num_nodes) >= dropped[segment_index(offsets, batch.num_nodes)]
        )
