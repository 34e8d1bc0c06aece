"""What learned views share: an augmenter with parameters of its own, through whose edge weights a gradient flows."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import nn

from gssl.augment.base import Augmenter
from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.models.encoder import Encoder


class LearnedAugmenter(nn.Module, Augmenter):
    """A view transformation with parameters; a contrastive method that is given one trains and stores them.

    It weighs edges (:class:`~gssl.graph.block.Block`, ``weight``) rather than choosing them, so that the loss has a
    gradient with respect to its parameters.
    """

    @abstractmethod
    def forward(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        """A view of ``batch``; ``rng`` lives on the device of the batch."""

    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        view: MiniBatch = nn.Module.__call__(self, batch, rng)
        return view


def require_edge_weights(encoder: Encoder, method: str) -> None:
    """Whether the edge weights of a learned view reach the embeddings of an encoder.

    Raises:
        InputError: the encoder does not take edge weights.
    """
    if not encoder.takes_edge_weight:
        raise InputError(
            f"{method} learns weights of edges, which {type(encoder).__name__} does not take; use --encoder GCN, SAGE, "
            "GIN or ResGCN"
        )
