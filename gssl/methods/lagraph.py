"""LaGraph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from gssl.augment.noise_node import NoiseNode
from gssl.common.card import Card
from gssl.common.options import Fraction, NonNegative, Positive, PositiveInt
from gssl.common.space import Choice, Float, Int, Space
from gssl.datasets.types import Level
from gssl.graph.batch import MiniBatch
from gssl.method import Method
from gssl.methods.features import own_features, refuse_negative_features
from gssl.models.encoder import Encoder
from gssl.models.layers import BatchNorm
from gssl.objectives.invariance import root_mean_square
from gssl.objectives.weights import weighted_mean
from gssl.samplers.base import Sampler


class LaGraph(Method):
    """Self-supervised representation learning via latent graph prediction (Xie et al., 2022, arXiv:2202.08333).

    A decoder gives the features of all nodes back from the embeddings of the graph. Some nodes get noise for features,
    and embeddings must not change by that: those of these nodes, or, of sets of graphs, those of all graphs. The sum is
    an upper bound of the error of predicting a graph without noise, which nobody has seen. Only the decoder keeps
    embeddings apart, so that an encoder without a norm may shrink them.

    The authors' encoders put batch norm behind the activation, as GIN does here; the norm of GCN comes before it. On
    sets of graphs their code adds a self-loop to every node but the last (a slip of a range) and reports the epoch with
    the best test score, here there is neither.

    Args:
        encoder: of the graph and of the view. The last layer's output is decoded; where ``jk=cat`` joins all layers,
            the decoder sees the last columns only, as in the code.
        mask_ratio: share of the nodes whose features are noise.
        mask_std: standard deviation of the noise.
        alpha: weight of the invariance term.
        decoder_layers: linear layers of the decoder, with ReLU and batch norm between them.
        rectified: whether the decoder ends in a ReLU, as in the code; false for features below zero.
        features: whether the embedding has the features of the nodes beside it, as in the code for most sets of nodes.
    """

    levels: ClassVar[tuple[Level, ...]] = ("node", "graph")
    card: ClassVar[Card] = Card(
        family="invariance",
        views="the graph; the graph with noise for the features of some nodes",
        encoders="one for both, with a perceptron that decodes",
        objective="squared error of features, plus the root of the mean squared change of embeddings by the noise",
        time="n d f (of nodes also where items are graphs)",
        memory="n f",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "mask_ratio": Float(0.01, 0.3),
        "mask_std": Float(0.005, 2.0, log=True),
        "alpha": Float(0.5, 20.0, log=True),
        "decoder_layers": Int(1, 3),
        "encoder.hidden_dim": Choice((32, 128, 512)),
        "train.lr": Float(1e-6, 1e-2, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        mask_ratio: Fraction = 0.05,
        mask_std: Positive = 0.5,
        alpha: NonNegative = 2.0,
        decoder_layers: PositiveInt = 1,
        rectified: bool = True,
        features: bool = False,
    ) -> None:
        super().__init__(encoder)
        self.noise = NoiseNode(ratio=mask_ratio, std=mask_std)
        self.alpha, self.rectified, self.features = alpha, rectified, features
        self.decoded = encoder.layer_dims[-1]
        parts: list[nn.Module] = []
        for _ in range(decoder_layers - 1):
            parts += [nn.Linear(self.decoded, self.decoded), nn.ReLU(), BatchNorm(self.decoded)]
        parts += [nn.Linear(self.decoded, encoder.in_dim), *([nn.ReLU()] if rectified else [])]
        self.decoder = nn.Sequential(*parts)

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        if self.rectified:
            refuse_negative_features(sampler.graph)

    @property
    def embedding_dim(self) -> int:
        return self.encoder.out_dim + self.features * self.encoder.in_dim

    def embed(self, batch: MiniBatch) -> Tensor:
        nodes: Tensor = self.encoder(batch)
        if self.features:
            nodes = torch.cat([nodes, own_features(batch)], dim=1)
        return nodes if batch.graph_ptr is None else self.encoder.pool(nodes, batch)

    def loss(self, batch: MiniBatch) -> Tensor:
        view, hidden = self.noise.hide(batch, self.rng)
        nodes, seen = self.encoder(batch), self.encoder(view)
        return self.reconstruction(nodes, batch) + self.alpha * self.invariance(nodes, seen, hidden, batch)

    def reconstruction(self, nodes: Tensor, batch: MiniBatch) -> Tensor:
        """Mean squared error of the features of the targets, a scalar, given their embeddings."""
        missed = self.decoder(nodes[:, -self.decoded :]) - own_features(batch)
        weight = batch.weight
        if weight is not None and batch.graph_ptr is not None:
            weight = weight[batch.graph_index()]
        return weighted_mean(missed.square().mean(1), weight)

    def invariance(self, nodes: Tensor, seen: Tensor, hidden: Tensor, batch: MiniBatch) -> Tensor:
        """How much the noise changed, a scalar.

        Args:
            nodes: embeddings of the targets, shape (num_targets, out_dim).
            seen: the same with noise.
            hidden: rows whose features are noise, shape (num_hidden,), int64.
            batch: without noise.
        """
        if batch.graph_ptr is not None:
            pooled = (self.encoder.pool(rows, batch) for rows in (nodes, seen))
            return root_mean_square(*pooled, weight=batch.weight)
        if batch.num_targets < batch.num_nodes:
            hidden = hidden[hidden < batch.num_targets]
        weight = None if batch.weight is None else batch.weight[hidden]
        return root_mean_square(nodes[hidden], seen[hidden], weight=weight)
