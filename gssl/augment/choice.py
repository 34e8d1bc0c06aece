"""A random augmenter for each graph."""

from __future__ import annotations

import torch
from torch import Tensor

from gssl.augment.graphwise import GraphwiseAugmenter
from gssl.graph.batch import MiniBatch


class RandomChoice(GraphwiseAugmenter):
    """Treat every graph with one of several augmenters, each equally likely.

    Args:
        options: the augmenters to draw from.
    """

    def __init__(self, *options: GraphwiseAugmenter) -> None:
        self.options = options

    def transform(self, batch: MiniBatch, rng: torch.Generator, chosen: Tensor) -> MiniBatch:
        drawn = torch.randint(len(self.options), chosen.shape, generator=rng, device=chosen.device)
        for step in [option.planned(batch, chosen & (drawn == number)) for number, option in enumerate(self.options)]:
            batch = step(batch, rng)
        return batch

    def __repr__(self) -> str:
        return f"RandomChoice({', '.join(map(repr, self.options))})"
