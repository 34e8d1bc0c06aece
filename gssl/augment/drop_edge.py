"""Edge dropping."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from gssl.augment.base import Change, PartAugmenter
from gssl.common.options import Probability
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block


@dataclass(frozen=True, kw_only=True)
class DropEdge(PartAugmenter):
    """Drop each directed edge independently (GRACE, Zhu et al., 2020, arXiv:2006.04131, sec. 3.2.1).

    Attributes:
        p: probability of dropping an edge.
        undirected: whether both directions of an edge, and its copies, go together. Each block of a batch that was
            sampled layer by layer draws for itself.
    """

    part: ClassVar[Literal["edges"]] = "edges"
    p: Probability = 0.2
    undirected: bool = False

    def drawn(self, batch: MiniBatch, rng: torch.Generator) -> Change:
        if self.p == 0:
            return lambda changed: changed

        def stays(block: Block) -> Tensor:
            block.pattern.be_ready_to_turn()
            pairs = block.pattern.pairs if self.undirected else None
            draws = block.num_edges if pairs is None else pairs.num_pairs
            keep = torch.rand(draws, generator=rng, device=rng.device) >= self.p
            return keep if pairs is None else keep[pairs.index]

        def expected(block: Block) -> Block:
            if block.full_degree is None:
                return block
            # A sampled block does not hold all edges, so the degrees of the view are known in expectation only.
            return replace(block, full_degree=block.full_degree * (1 - self.p))

        filtered = batch.filtering(stays)
        return lambda changed: filtered(changed).map_blocks(expected)
