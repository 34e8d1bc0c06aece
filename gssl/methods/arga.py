"""ARGA and ARGVA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.nn import MLP

from gssl.common.card import Card
from gssl.common.options import NonNegative, Positive, PositiveInt
from gssl.common.space import Float, Space
from gssl.graph.batch import MiniBatch
from gssl.method import MAIN, Player
from gssl.methods.edges import EdgeTarget
from gssl.methods.gae import GAE
from gssl.methods.vgae import VGAE
from gssl.models.encoder import Encoder
from gssl.objectives.edges import edge_cross_entropy
from gssl.objectives.weights import weighted_mean


class ARGA(GAE):
    """Adversarially regularized graph autoencoder (Pan et al., 2018, arXiv:1802.04407).

    A graph auto-encoder whose embeddings a discriminator cannot tell from draws of a standard normal distribution.
    With each batch first the discriminator is updated, then the encoder, which lowers the reconstruction error and
    what its embeddings give away.

    The paper updates the discriminator K times for one update of the encoder, the authors' code the encoder six times
    for one of the discriminator (five without the adversarial term); here each has one, at a rate of its own. Their
    code adds noise to the hidden layer, which the paper does not.

    Args:
        encoder: gives the embeddings.
        negatives_per_edge: non-edges drawn for every edge, anew at each step.
        adversarial_weight: of the encoder's adversarial term, beside the sum of the means over edges and non-edges.
        discriminator_lr: learning rate of the discriminator; the encoder has that of the training.
        discriminator_dims: widths of the discriminator's hidden layers.
    """

    card: ClassVar[Card] = Card(
        family="reconstruction",
        views="the graph",
        encoders="one; inner products decode; a discriminator",
        objective="that of GAE, plus what embeddings give away to a discriminator of them and normal draws",
        time="m d + n d h (h: width of the discriminator); a second pass of the encoder, without gradients",
        memory="m + n h",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        **GAE.search_space,
        "adversarial_weight": Float(0.1, 10.0, log=True),
        "discriminator_lr": Float(1e-4, 1e-2, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        negatives_per_edge: Positive = 1.0,
        adversarial_weight: NonNegative = 1.0,
        discriminator_lr: Positive = 1e-3,
        discriminator_dims: tuple[PositiveInt, ...] = (16, 64),
        **inherited: Any,
    ) -> None:
        super().__init__(encoder, negatives_per_edge=negatives_per_edge, **inherited)
        self.adversarial_weight, self.discriminator_lr = adversarial_weight, discriminator_lr
        self.discriminator = MLP([self.embedding_dim, *discriminator_dims, 1], norm=None)

    def players(self) -> Mapping[str, Player]:
        """The discriminator, then the encoder."""
        learners = tuple(p for p in self.encoder.parameters() if p.requires_grad)
        judges = tuple(self.discriminator.parameters())
        return {
            "discriminator": Player(judges, lr=self.discriminator_lr, weight_decay=0.0, loss=self.discriminator_loss),
            MAIN: Player(learners),
        }

    def codes(self, embedding: Tensor) -> Tensor:
        """What is decoded and judged, shape (num_targets, embedding_dim), of what the encoder gives."""
        return embedding

    def discriminator_loss(self, batch: MiniBatch) -> Tensor:
        """Cross-entropy of telling embeddings from draws of the prior, a scalar."""
        with torch.no_grad():
            codes = self.codes(self.encoder(only_reading(batch)))
        prior = torch.randn(codes.shape, generator=self.rng, device=codes.device, dtype=codes.dtype)
        return edge_cross_entropy(self.judged(prior), self.judged(codes), negative_weight=batch.weight)

    def judged(self, codes: Tensor) -> Tensor:
        """The discriminator's logit of each row for being a draw of the prior, shape (n,)."""
        logits: Tensor = self.discriminator(codes)
        return logits.squeeze(1)

    def error(self, embedding: Tensor, view: MiniBatch, target: EdgeTarget) -> Tensor:
        told = weighted_mean(F.softplus(-self.judged(embedding)), view.weight)
        return super().error(embedding, view, target) + self.adversarial_weight * told


class ARGVA(VGAE, ARGA):
    """Adversarially regularized variational graph autoencoder (Pan et al., 2018, arXiv:1802.04407).

    As ARGA, on draws from the posterior of VGAE, whose divergence stays in the loss. The embedding is the mean. The
    paper writes ARVGA, PyG and most others ARGVA.

    Args:
        encoder: ``out_dim`` is twice the latent dimension.
        negatives_per_edge: non-edges drawn for every edge, anew at each step.
        kl_weight: weight of the divergence; None means 1 / num_nodes, as in the authors' code of VGAE, also where
            batches are sampled.
        adversarial_weight: of the encoder's adversarial term, beside the sum of the means over edges and non-edges.
        discriminator_lr: learning rate of the discriminator; the encoder has that of the training.
        discriminator_dims: widths of the discriminator's hidden layers.
    """

    card: ClassVar[Card] = Card(
        family="reconstruction",
        views="the graph",
        encoders="one, whose two halves are mean and deviation of a posterior; inner products decode; a discriminator",
        objective="that of VGAE, plus what its draws give away to a discriminator of them and normal draws",
        time="m d + n d h (h: width of the discriminator); a second pass of the encoder, without gradients",
        memory="m + n (d + h)",
    )
    search_space: ClassVar[Mapping[str, Space]] = {**ARGA.search_space, **VGAE.search_space}

    def codes(self, embedding: Tensor) -> Tensor:
        return self.sample(embedding)


def only_reading(batch: MiniBatch) -> MiniBatch:
    """The batch for an encoder call beside the one of the loss: a history serves it and is not written."""
    if batch.plan.history is None:
        return batch
    return batch.planned(history=replace(batch.plan.history, frozen=True))
