"""SUGRL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import NonNegative, PositiveInt, Probability
from gssl.common.space import Choice, Float, Int, Space
from gssl.graph.batch import MiniBatch
from gssl.method import Method
from gssl.methods.neighbors import drawn_neighbors, mean_rows, require_neighbor_features
from gssl.models.encoder import Encoder
from gssl.models.mlp import MLPEncoder, require_mlp
from gssl.models.ops import gcn_aggregate
from gssl.objectives.margin import multi_margin_triplet
from gssl.samplers.base import Sampler


class SUGRL(Method):
    """Simple unsupervised graph representation learning (Mo et al., AAAI 2022, doi:10.1609/aaai.v36i7.20748).

    No augmentation and no discriminator: the anchor of a node is what a perceptron makes of its features. One positive
    is the aggregate of GCN over the anchors, the other the mean of some neighbors' anchors, and negatives are anchors
    of other nodes. A triplet loss has a margin for each kind of positive, and an upper bound for the distance of
    negatives. The embedding is the aggregate, scaled to length 1.

    It follows the authors' code (YujieMo/SUGRL), but for two things. The code adds the margin terms up over the
    negatives of a node and the bound over the nodes, where everything else is a mean; here all are means, so that
    batches and graphs of any size weigh alike, and the presets hold its weights times those numbers. Its neighbors
    come from a list that is walked through in a fixed order; here they are drawn. Its graphs of OGB aggregate by row
    means, here every graph as GCN does.

    Args:
        encoder: the perceptron, without an activation behind its last layer in the paper.
        negatives: for each anchor.
        neighbors: that the second positive is a mean of, the node itself among those that may be drawn.
        margin: by which negatives shall be farther away than positives.
        width: by which they may be farther away still.
        positive_weight: of the triplets with the aggregate.
        near_weight: of the triplets with the neighbors.
        bound_weight: of the upper bound.
        dropout: dropout probability of the anchors before the aggregation.
    """

    least_items: ClassVar[int] = 2
    default_encoder: ClassVar[str] = "MLP"
    card: ClassVar[Card] = Card(
        family="margin",
        views="the graph as it is",
        encoders="a perceptron, and the aggregate of GCN over what it gives",
        objective="triplets: a node's own row is nearer to its aggregate and its neighbors than to other rows, by a "
        "margin and within a bound",
        time="(k n + m) d, k negatives of a node",
        memory="(k n + m) d",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "negatives": Int(1, 8),
        "margin": Float(0.1, 1.0),
        "width": Float(0.1, 1.0),
        "positive_weight": Float(1.0, 200.0, log=True),
        "near_weight": Float(1.0, 200.0, log=True),
        "bound_weight": Float(1.0, 20000.0, log=True),
        "encoder.in_dropout": Float(0.0, 0.6),
        "encoder.out_dim": Choice((64, 128, 256)),
        "train.lr": Float(1e-3, 2e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        negatives: PositiveInt = 4,
        neighbors: PositiveInt = 5,
        margin: NonNegative = 0.8,
        width: NonNegative = 0.2,
        positive_weight: NonNegative = 40.0,
        near_weight: NonNegative = 40.0,
        bound_weight: NonNegative = 2708.0,
        dropout: Probability = 0.2,
    ) -> None:
        super().__init__(encoder)
        require_mlp(encoder, "SUGRL")
        if not (positive_weight or near_weight or bound_weight):
            raise InputError("SUGRL has nothing to learn: give positive_weight, near_weight or bound_weight above 0")
        self.negatives, self.neighbors, self.dropout = negatives, neighbors, dropout
        self.margin, self.width = margin, width
        self.positive_weight, self.near_weight, self.bound_weight = positive_weight, near_weight, bound_weight
        self.anchors = nn.Identity()

    @property
    def num_layers(self) -> int:
        return 1  # the perceptron hears from nobody; the aggregate is one layer

    @property
    def measured(self) -> nn.Module:
        return self.anchors  # the encoder gives rows of neighbors, too

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        require_neighbor_features(self, sampler)

    def loss(self, batch: MiniBatch) -> Tensor:
        rows, block, count = self._rows(batch), batch.blocks[-1], batch.num_targets
        anchor = self.anchors(rows[:count])
        dropped = F.dropout(rows[: block.num_src], self.dropout, self.training)
        near = drawn_neighbors(block, count, self.neighbors, self.rng)
        order = torch.rand(self.negatives, count, generator=self.rng, device=rows.device).argsort(1)
        return multi_margin_triplet(
            anchor,
            gcn_aggregate(block, dropped)[:count],
            mean_rows(near, rows[: block.num_src]),
            anchor[order],
            margin=self.margin,
            width=self.width,
            positive_weight=self.positive_weight,
            near_weight=self.near_weight,
            bound_weight=self.bound_weight,
            weight=None if batch.weight is None else batch.weight * batch.weight[order],
        )

    @property
    def embedding_dim(self) -> int:
        return self.encoder.out_dim

    def embed(self, batch: MiniBatch) -> Tensor:
        block = batch.blocks[-1]
        spread = gcn_aggregate(block, self._rows(batch)[: block.num_src])
        return F.normalize(spread[: batch.num_targets], dim=1)

    def _rows(self, batch: MiniBatch) -> Tensor:
        """What the perceptron makes of all rows of a batch, shape (num_nodes, out_dim)."""
        assert isinstance(self.encoder, MLPEncoder)
        return self.encoder.of_rows(batch)
