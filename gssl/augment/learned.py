"""What learned views share: an augmenter with parameters of its own, through whose edge weights a gradient flows."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import nn

from gssl.augment.base import Augmenter
from gssl.graph.batch import MiniBatch


class LearnedAugmenter(nn.Module, Augmenter):
    """A view transformation with parameters; a contrastive method that is given one trains and stores them.

    It weighs edges (:class:`~gssl.graph.block.Block`, ``weight``) rather than choosing them, or filters features, so
    that the loss has a gradient with respect to its parameters.
    """

    @abstractmethod
    def forward(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        """A view of ``batch``; ``rng`` lives on the device of the batch."""

    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        view: MiniBatch = nn.Module.__call__(self, batch, rng)
        return view
