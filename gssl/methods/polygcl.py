"""PolyGCL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.augment.shuffle import Shuffle
from gssl.augment.spectral import SpectralFilter, terms_of
from gssl.common.card import Card
from gssl.common.options import NonNegative, Positive, PositiveInt, Probability
from gssl.common.space import Choice, Float, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import SparseMatrix, dense_features
from gssl.method import ContrastiveMethod, ParameterGroup, Player
from gssl.methods.subgraphs import require_subgraphs_only
from gssl.models.encoder import Encoder
from gssl.models.layers import BatchNorm, dropout_features
from gssl.objectives.jsd import binary_agreement
from gssl.objectives.weights import weighted_rows
from gssl.samplers.base import Sampler


class PolyGCL(ContrastiveMethod):
    """Contrastive learning via learnable spectral filters (Chen et al., 2024, openreview:y21ZO6M86t).

    The views are the features after a low-pass and after a high-pass filter, each a learned polynomial of the
    Laplacian that falls, or rises, by construction. One encoder without edges serves both. A bilinear discriminator
    tells nodes of either view from nodes with shuffled features, given a summary of the graph; summary and embedding
    are a learned linear combination of both views.

    As in the authors' code (ChenJY-Count/PolyGCL), whose two filters drop features independently while here one draw
    serves both, so that powers of the Laplacian are computed once. The weights of the encoder are drawn as Glorot does,
    those of the code uniformly by the number of inputs.

    Args:
        encoder: shared by both views; the paper's is one linear layer. One that reads edges smooths once more what was
            filtered.
        order: degree of the polynomials.
        drop_features: dropout probability of the features before the filters.
        drop_filtered: dropout probability of the filtered features.
        norm: whether batch norm follows, before the encoder.
        filter_rate: learning rate of the filters and of the combination, in units of ``train.lr``.
        filter_decay: weight decay of the same; null for ``train.weight_decay``.
    """

    least_items: ClassVar[int] = 2
    card: ClassVar[Card] = Card(
        family="cross-view",
        views="features after a low-pass and a high-pass polynomial of the Laplacian, both learned; shuffled features",
        encoders="one without edges for both views, with a bilinear discriminator",
        objective="cross-entropy of nodes against nodes with shuffled features, given the summary of both views",
        time="k m f + n f d for polynomials of degree k",
        memory="k n f",
    )
    default_encoder: ClassVar[str] = "MLP"
    search_space: ClassVar[Mapping[str, Space]] = {
        "order": Choice((3, 5, 10)),
        "drop_features": Float(0.0, 0.8),
        "drop_filtered": Float(0.0, 0.8),
        "norm": Choice((False, True)),
        "filter_rate": Float(0.1, 10.0, log=True),
        "encoder.hidden_dim": Choice((256, 512, 1024)),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        order: PositiveInt = 10,
        drop_features: Probability = 0.5,
        drop_filtered: Probability = 0.5,
        norm: bool = False,
        filter_rate: Positive = 1.0,
        filter_decay: NonNegative | None = None,
    ) -> None:
        filters = SpectralFilter(kind="low", order=order), SpectralFilter(kind="high", order=order)
        super().__init__(encoder, filters)
        self.filters = filters
        self.order, self.drop_features, self.drop_filtered = order, drop_features, drop_filtered
        self.filter_rate, self.filter_decay = filter_rate, filter_decay
        self.norm = BatchNorm(encoder.in_dim, momentum=0.01) if norm else nn.Identity()
        self.share = nn.Parameter(torch.full((2,), 0.5))
        self.shuffle = Shuffle()
        bound = encoder.out_dim**-0.5  # as for a bilinear layer of torch
        self.discriminator = nn.Parameter(torch.empty(encoder.out_dim, encoder.out_dim).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(()).uniform_(-bound, bound))

    def check_embedding(self, sampler: Sampler) -> None:
        super().check_embedding(sampler)
        require_subgraphs_only(sampler, "PolyGCL filters the features of the nodes of a batch")

    def players(self) -> Mapping[str, Player]:
        (name, player), *_ = super().players().items()
        filters = ParameterGroup((*self.learned_views.parameters(), self.share), self.filter_rate, self.filter_decay)
        return {name: replace(player, groups=(filters,))}

    def loss(self, batch: MiniBatch) -> Tensor:
        return self.contrast(batch, *self._seen(batch), *self._seen(self.shuffle(batch, self.rng)))

    def _seen(self, batch: MiniBatch) -> list[Tensor]:
        """The nodes after the low-pass and after the high-pass filter, each of shape (num_targets, out_dim)."""
        x = batch.x if isinstance(batch.x, SparseMatrix) else dense_features(batch.x)
        x = dense_features(dropout_features(x, self.drop_features, self.training))
        terms = terms_of(batch, x, self.order)
        mixed = (view.mix(terms) for view in self.filters)
        dropped = (self.norm(F.dropout(x, self.drop_filtered, self.training)) for x in mixed)
        return [self.encoder(batch.with_x(x)) for x in dropped]

    def contrast(self, batch: MiniBatch, *projections: Tensor) -> Tensor:
        """The objective, a scalar, from real nodes in both views, then nodes with shuffled features."""
        real, fake = projections[:2], projections[2:]
        summary = self.discriminator @ weighted_rows(self._combined(real), batch.weight).relu()
        terms = [
            binary_agreement(good @ summary + self.bias, bad @ summary + self.bias, weight=batch.weight)
            for good, bad in zip(real, fake, strict=True)
        ]
        return torch.stack(terms).mean()

    def embed(self, batch: MiniBatch) -> Tensor:
        return self._combined(self._seen(batch))

    def _combined(self, views: Sequence[Tensor]) -> Tensor:
        return self.share[0] * views[0] + self.share[1] * views[1]
