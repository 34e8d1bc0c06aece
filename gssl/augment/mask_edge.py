"""Edge masking, the corruption of masked graph autoencoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from gssl.augment.base import Corruption
from gssl.augment.hidden import BatchPairs, HiddenEdges
from gssl.common.options import Fraction, PositiveInt, Probability
from gssl.graph.batch import MiniBatch
from gssl.graph.pairs import Pairs


@dataclass(frozen=True, kw_only=True)
class MaskEdges(Corruption[HiddenEdges]):
    """Hide each edge independently (MaskGAE, Li et al., 2023, arXiv:2205.10053, sec. 4.1).

    A batch that was sampled layer by layer loses an edge in every block.

    Attributes:
        p: probability of hiding an edge.
        undirected: whether both directions, and copies, are hidden together; else each direction by itself, which is
            the directed masking of S2GAE (Tan et al., WSDM 2023), where the opposite edge usually stays.
    """

    # MaskGAE's code draws each direction by itself and then gives every edge back whose other direction stayed, so
    # that an edge is invisible with probability p^2 only, and many of those to be predicted are visible:
    # https://github.com/EdisonLeeeee/MaskGAE/blob/343ced7028681f052b7e9ea47945be7fc5166213/maskgae/mask.py
    p: Probability = 0.7
    undirected: bool = True

    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> tuple[MiniBatch, HiddenEdges]:
        found = BatchPairs.of(batch)
        shape = (1 if self.undirected else 2, found.pairs.num_pairs)
        gone = torch.rand(shape, generator=rng, device=rng.device) < self.p
        if self.undirected:
            return found.hide(batch, gone[0], 1 - self.p)
        return found.hide_directed(batch, gone, 1 - self.p)


@dataclass(frozen=True, kw_only=True)
class MaskPaths(Corruption[HiddenEdges]):
    """Hide the edges that random walks take, in both directions (MaskGAE, Li et al., 2023, arXiv:2205.10053, sec. 4.1).

    A walk steps to a uniform neighbor, whatever the direction of the edge, and may turn back. In a batch that was
    sampled layer by layer it walks on the edges of all blocks.

    Attributes:
        p: share of the nodes, or of the edges, that walks begin at.
        start: ``node``: at ``round(p * num_nodes)`` distinct nodes, all equally likely, as in the code's node
            classification; ``edge``: at an end of each edge with probability p, independently for both ends, so that
            roots follow the degrees, as in its link prediction.
        walks: from each root.
        length: edges of a walk.
    """

    # The paper draws roots without replacement "following the degrees"; the two ways are those of its code.
    p: Fraction = 0.7
    start: Literal["node", "edge"] = "node"
    walks: PositiveInt = 1
    length: PositiveInt = 3

    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> tuple[MiniBatch, HiddenEdges]:
        found = BatchPairs.of(batch)
        roots = self._roots(found.pairs, rng)
        gone = walked_pairs(found.pairs, roots.repeat(self.walks), self.length, rng)
        guessed = any(block.full_degree is not None for block in found.blocks)
        share = int(gone.sum()) / max(1, found.pairs.num_joined) if guessed else 0.0
        return found.hide(batch, gone, 1 - share)

    def _roots(self, pairs: Pairs, rng: torch.Generator) -> Tensor:
        if self.start == "node":
            order = torch.randperm(pairs.num_nodes, generator=rng, device=rng.device)
            return order[: round(self.p * pairs.num_nodes)]
        offsets, neighbors, _ = pairs.neighbors
        nodes = torch.arange(pairs.num_nodes, device=rng.device).repeat_interleave(offsets.diff())
        return nodes[torch.rand(neighbors.numel(), generator=rng, device=rng.device) < self.p]


def walked_pairs(pairs: Pairs, roots: Tensor, length: int, rng: torch.Generator) -> Tensor:
    """The pairs that simple random walks take.

    Args:
        pairs: of the graph; self-loops are not walked.
        roots: where each walk begins, shape (num_walks,), int64; without neighbors there is none.
        length: steps of each walk.
        rng: on the device of ``roots``.

    Returns:
        Shape (num_pairs,), bool.
    """
    offsets, neighbors, pair = pairs.neighbors
    degree = offsets.diff()
    here = roots[degree[roots] > 0] if pairs.some_alone else roots
    taken = torch.zeros(pairs.num_pairs, dtype=torch.bool, device=roots.device)
    for _ in range(length):
        draw = torch.rand(here.numel(), generator=rng, device=rng.device, dtype=torch.float64)
        step = offsets[here] + (draw * degree[here]).long()
        taken[pair[step]] = True
        here = neighbors[step]
    return taken
