"""Subgraphs of the nodes that a random walk with restarts visits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gssl.augment.ego_net import random_nodes
from gssl.augment.graphwise import GraphwiseAugmenter, graph_offsets, induced, segment_index
from gssl.common.options import Fraction, PositiveInt
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import Pattern


@dataclass(frozen=True, kw_only=True)
class RestartWalk(GraphwiseAugmenter):
    """Keep the nodes that a walk with restarts from a random node visits (GCC, Qiu et al., 2020, arXiv:2006.09963).

    Each graph has a walk of its own. Edge directions are ignored, and edges count the same.

    Attributes:
        steps: of each walk, restarts included; at most one node more is kept.
        restart: probability of a return to the first node in each step.
    """

    steps: PositiveInt = 64
    restart: Fraction = 0.2

    def transform(self, batch: MiniBatch, rng: torch.Generator, chosen: Tensor) -> MiniBatch:
        offsets = graph_offsets(batch)
        visited = ~chosen[segment_index(offsets, batch.num_nodes)]
        first = here = random_nodes(offsets, rng)
        visited[first] = True
        pattern = batch.blocks[0].pattern
        for _ in range(self.steps):
            draws = torch.rand(2, len(first), dtype=torch.float64, generator=rng, device=offsets.device)
            here = torch.where(draws[0] < self.restart, first, neighbors(pattern, here, draws[1]))
            visited[here] = True
        return induced(batch, visited)


def neighbors(pattern: Pattern, nodes: Tensor, draws: Tensor) -> Tensor:
    """For each node the other end of one of its edges, whichever way it points; the node itself if it has none.

    Args:
        pattern: square.
        nodes: shape (n,), int64.
        draws: which edge, uniform in [0, 1), shape (n,), float64.

    Returns:
        Shape (n,), int64.
    """
    turned, _ = pattern.transposed
    begin, back = pattern.rowptr[nodes].long(), turned.rowptr[nodes].long()
    inward, outward = pattern.rowptr[nodes + 1].long() - begin, turned.rowptr[nodes + 1].long() - back
    total = inward + outward
    if not pattern.nnz:
        return nodes
    place = (draws * total).long().clamp(max=total - 1)
    is_inward, last = place < inward, pattern.nnz - 1
    other = torch.where(
        is_inward,
        pattern.col[(begin + place).clamp(0, last)].long(),
        turned.col[(back + place - inward).clamp(0, last)].long(),
    )
    return torch.where(total > 0, other, nodes)
