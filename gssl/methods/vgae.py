"""VGAE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import NonNegative, Positive
from gssl.common.space import Float, Space
from gssl.graph.batch import MiniBatch
from gssl.methods.edges import EdgeTarget
from gssl.methods.gae import GAE
from gssl.models.encoder import Encoder
from gssl.objectives.kl import gaussian_kl


class VGAE(GAE):
    """Variational graph auto-encoder (Kipf and Welling, 2016, arXiv:1611.07308).

    The first half of the encoder's output is the mean of the posterior, the second half the logarithm of its
    standard deviation: with a GCN this is the paper's pair of output layers over a shared first layer. The
    embedding is the mean.

    Args:
        encoder: ``out_dim`` is twice the latent dimension.
        negatives_per_edge: non-edges drawn for every edge, anew at each step.
        kl_weight: weight of the divergence; None means 1 / num_nodes, also where batches are sampled. The authors' code
            has that weight beside half of this reconstruction loss (see :class:`~gssl.methods.gae.GAE`), so that the
            divergence weighs twice as much there: 2 / num_nodes.
    """

    card: ClassVar[Card] = Card(
        family="reconstruction",
        views="the graph",
        encoders="one, whose two halves are mean and deviation of a posterior; inner products decode",
        objective="that of GAE on a draw from the posterior, plus the divergence of that from the prior",
        time="m d + n d",
        memory="m + n d",
    )
    search_space: ClassVar[Mapping[str, Space]] = {**GAE.search_space, "kl_weight": Float(1e-6, 1e-1, log=True)}

    def __init__(
        self,
        encoder: Encoder,
        *,
        negatives_per_edge: Positive = 1.0,
        kl_weight: NonNegative | None = None,
        **inherited: Any,
    ) -> None:
        super().__init__(encoder, negatives_per_edge=negatives_per_edge, **inherited)
        if encoder.out_dim % 2:
            raise InputError(f"VGAE splits encoder.out_dim in two halves, so {encoder.out_dim} must be even")
        self.kl_weight = kl_weight

    @property
    def embedding_dim(self) -> int:
        return self.encoder.out_dim // 2

    def embed(self, batch: MiniBatch) -> Tensor:
        return super().embed(batch).chunk(2, dim=1)[0]

    def sample(self, embedding: Tensor) -> Tensor:
        """A draw from the posterior of each node, shape (num_targets, out_dim / 2)."""
        mean, log_std = _moments(embedding)
        noise = torch.randn(mean.shape, generator=self.rng, device=mean.device, dtype=mean.dtype)
        return mean + noise * log_std.exp()

    def error(self, embedding: Tensor, view: MiniBatch, target: EdgeTarget) -> Tensor:
        z = self.sample(embedding)
        mean, log_std = _moments(embedding)
        kl_weight = 1 / _population(view) if self.kl_weight is None else self.kl_weight
        return super().error(z, view, target) + kl_weight * gaussian_kl(mean, log_std, weight=view.weight)


def _moments(embedding: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and logarithm of the standard deviation of each node's posterior."""
    mean, log_std = embedding.chunk(2, dim=1)
    return mean, log_std.clamp(max=10)


def _population(batch: MiniBatch) -> float:
    """Nodes that the targets stand for."""
    if batch.plan.population is not None:
        return float(batch.plan.population)
    return float(batch.num_targets if batch.weight is None else batch.weight.sum())
