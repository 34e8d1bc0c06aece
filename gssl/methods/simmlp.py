"""SimMLP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.augment.base import Compose
from gssl.augment.drop_edge import DropEdge
from gssl.augment.mask_entry import MaskEntry
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import NonNegative, Positive, PositiveInt, Probability
from gssl.common.space import Choice, Float, Int, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import dense_features, select_features
from gssl.method import Method
from gssl.models.encoder import Encoder
from gssl.models.heads import mlp_head
from gssl.models.layers import BatchNorm
from gssl.models.mlp import MLPEncoder, require_mlp
from gssl.models.ops import gcn_aggregate
from gssl.objectives.scaled_cosine import scaled_cosine_error
from gssl.objectives.weights import weighted_mean
from gssl.samplers.base import Sampler
from gssl.samplers.pair import PairSampler


class SimMLP(Method):
    """Training MLPs on graphs without supervision (Wang et al., 2024, arXiv:2412.03864).

    A perceptron learns to embed a node as a graph network would, which is that perceptron with aggregations of the
    neighbors on top: a predictor leads from what the perceptron gives to what the network gives, and the features are
    reconstructed from the latter, which keeps it from collapsing. What is trained embeds nodes by their features alone,
    without edges, and so in the time of a perceptron.

    It follows the authors' code (Zehong-Wang/SimMLP): the network has no weights but those of batch norm, its target
    has no gradient from the agreement, and reconstructed rows have length 1. The code reconstructs the features as they
    were before the mask, and so does this.

    Args:
        encoder: the perceptron; its rows are scaled to length 1.
        mask_feature: probability with which each entry of the features is masked.
        drop_edge: edge-drop probability.
        aggregations: of neighbors, each with a PReLU that all share and a batch norm of its own.
        predictor_dim: width of the predictor of two layers, with batch norm behind both and a PReLU between.
        gamma: exponent of the agreement, ``(1 - cos)^gamma``.
        reconstruction: weight of the mean squared error of the features.
    """

    default_encoder: ClassVar[str] = "MLP"
    card: ClassVar[Card] = Card(
        family="distillation",
        views="edges dropped, entries of features masked; once",
        encoders="a perceptron, and aggregations over what it gives; the perceptron alone embeds",
        objective="cosine between a prediction from a node's own row and its aggregate; reconstructed features",
        time="n d² + n d f + l m d, l aggregations",
        memory="n f + l n d",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "mask_feature": Float(0.0, 0.75),
        "drop_edge": Float(0.0, 0.75),
        "aggregations": Int(1, 3),
        "gamma": Choice((1.0, 2.0, 3.0)),
        "reconstruction": Float(1.0, 200.0, log=True),
        "train.lr": Float(1e-4, 5e-3, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        mask_feature: Probability = 0.5,
        drop_edge: Probability = 0.25,
        aggregations: PositiveInt = 2,
        predictor_dim: PositiveInt = 512,
        gamma: Positive = 1.0,
        reconstruction: NonNegative = 10.0,
    ) -> None:
        super().__init__(encoder)
        require_mlp(encoder, "SimMLP")
        self.view = Compose(DropEdge(p=drop_edge), MaskEntry(p=mask_feature))
        self.gamma, self.reconstruction = gamma, reconstruction
        dim = encoder.out_dim
        self.own = nn.Identity()
        self.activation = nn.PReLU()
        self.norms = nn.ModuleList(BatchNorm(dim) for _ in range(aggregations))
        head = mlp_head(dim, predictor_dim, dim, activation="prelu", norm="batch")
        self.predictor = nn.Sequential(head, BatchNorm(dim))
        self.decoder = mlp_head(dim, dim, encoder.in_dim, activation="prelu")
        # Without a reconstruction nothing trains what follows the perceptron in the network.
        for module in (self.decoder, self.norms, self.activation):
            module.requires_grad_(reconstruction > 0)

    @property
    def num_layers(self) -> int:
        return len(self.norms)  # the perceptron hears from nobody

    @property
    def measured(self) -> nn.Module:
        return self.own  # the encoder gives rows of neighbors, too

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        if isinstance(sampler, PairSampler) and sampler.store is not None:
            raise InputError(
                "SimMLP aggregates what its perceptron gives over neighbors of neighbors, which a history does not "
                "have; use a propagation without history, for example --sampler graphsage"
            )

    def loss(self, batch: MiniBatch) -> Tensor:
        view = self.view(batch, self.rng)
        rows = F.normalize(self._perceptron.of_rows(view), dim=1)
        target = self.aggregate(rows, view)
        prediction = self.predictor(self.own(rows[: batch.num_targets]))
        loss = scaled_cosine_error(prediction, target.detach(), gamma=self.gamma, weight=batch.weight)
        return loss + self.reconstruction * self.error(target, batch) if self.reconstruction else loss

    def aggregate(self, rows: Tensor, batch: MiniBatch) -> Tensor:
        """What the network makes of the rows of all nodes, shape (num_targets, dim)."""
        for layer, norm in enumerate(self.norms):
            block = batch.block(layer)
            rows = norm(self.activation(gcn_aggregate(block, rows[: block.num_src])))
        return rows[: batch.num_targets]

    def error(self, target: Tensor, batch: MiniBatch) -> Tensor:
        """Mean squared error of the features that are reconstructed from rows (num_targets, dim)."""
        ids = torch.arange(batch.num_targets, device=batch.device)
        features = dense_features(select_features(batch.x, ids))
        reconstructed = F.normalize(self.decoder(target), dim=1)
        return weighted_mean((reconstructed - features).square().mean(1), batch.weight)

    def embed(self, batch: MiniBatch) -> Tensor:
        return F.normalize(self._perceptron.of_rows(batch, batch.num_targets), dim=1)

    @property
    def _perceptron(self) -> MLPEncoder:
        assert isinstance(self.encoder, MLPEncoder)
        return self.encoder
