"""A pretrained method whose encoder goes on learning, from labels."""

from __future__ import annotations

from torch import Tensor, nn

from gssl.graph.batch import MiniBatch
from gssl.method import Method
from gssl.methods.labelled import Labelled
from gssl.samplers.base import Sampler


class FineTuned(Labelled):
    """A linear head on what a pretrained method embeds; both are trained.

    What pretraining alone needed (heads, decoders, targets) is not in the way of the labels and stands still.

    Args:
        pretrained: its embedding is continued.
        dropout: dropout probability between embedding and head.
    """

    def __init__(self, pretrained: Method, *, dropout: float) -> None:
        super().__init__(pretrained.encoder, dropout=dropout)
        self.pretrained = pretrained

    @property
    def embedding_dim(self) -> int:
        return self.pretrained.embedding_dim

    @property
    def num_layers(self) -> int:
        return self.pretrained.num_layers

    @property
    def measured(self) -> nn.Module:
        return self.head

    def check_sampler(self, sampler: Sampler) -> None:
        self.pretrained.check_embedding(sampler)

    def embed(self, batch: MiniBatch) -> Tensor:
        return self.pretrained.embed(batch)

    def loss(self, batch: MiniBatch) -> Tensor:
        return self.label_loss(batch)

    def mass(self, batch: MiniBatch) -> Tensor | float:
        return self.label_mass(batch)
