"""GMI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import NonNegative, Positive, PositiveInt
from gssl.common.space import Choice, Float, Int, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import SparseMatrix
from gssl.method import Method
from gssl.methods.edges import among_targets, require_edges_among_targets
from gssl.methods.neighbors import first_rows, require_neighbor_features
from gssl.models.encoder import Encoder
from gssl.models.gcn import GCN, GCNLayer
from gssl.models.inner_products import inner_products
from gssl.models.ops import matmul, mean_aggregate
from gssl.objectives.edges import edge_cross_entropy, uniform_negatives
from gssl.objectives.jsd import jsd
from gssl.samplers.base import Sampler


class GMI(Method):
    """Graphical mutual information maximization (Peng et al., 2020, arXiv:2002.01169).

    An embedding keeps the information of the features that it was made of, and embeddings of two ends tell the edge
    between them. There is one view, and three terms: a node's embedding against its own features; against the mean of
    its neighbors' features after the first linear map (both by bilinear discriminators and the Jensen-Shannon estimate,
    with other nodes as negatives); and the inner products of embeddings against the edges.

    This is GMI-mean in the form of the authors' code (zpeng27/GMI), in which neighbors count together instead of one by
    one. The scores of a discriminator go through a sigmoid before the estimate, as they do there. The code tells all
    pairs of nodes as edges or not, in time and memory quadratic in the nodes; here uniform non-edges estimate that sum,
    in which a node and itself are an edge, and edges count twice. The code chooses how long its classifier learns on
    test labels, so published numbers are too good by as much as that is worth.

    In sampled batches pairs are those of targets and weigh the product of their weights. Without the third term
    (``edge_weight=0``) any sampler will do.

    Args:
        encoder: a GCN.
        negatives: other nodes that each node is told from, drawn anew at each step.
        own_weight: of the term of a node's own features.
        near_weight: of the term of its neighbors' features.
        edge_weight: of the term of the edges.
        negatives_per_edge: non-edges drawn for every edge.
    """

    least_items: ClassVar[int] = 2
    card: ClassVar[Card] = Card(
        family="cross-scale",
        views="the graph as it is",
        encoders="one, and the linear map of its first layer for the features of neighbors",
        objective="Jensen-Shannon estimate of embedding and features, own and neighbors', against other nodes; inner "
        "products against edges",
        time="n f d + (k n + m) d, k negatives of a node",
        memory="(k n + m) d",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "negatives": Int(1, 10),
        "own_weight": Float(0.0, 2.0),
        "near_weight": Float(0.0, 2.0),
        "edge_weight": Float(0.0, 2.0),
        "encoder.hidden_dim": Choice((256, 512, 1024)),
        "encoder.num_layers": Int(1, 2),
        "train.lr": Float(1e-4, 1e-2, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        negatives: PositiveInt = 5,
        own_weight: NonNegative = 0.8,
        near_weight: NonNegative = 1.0,
        edge_weight: NonNegative = 1.0,
        negatives_per_edge: Positive = 1.0,
    ) -> None:
        super().__init__(encoder)
        if not (own_weight or near_weight or edge_weight):
            raise InputError("GMI has nothing to learn: give own_weight, near_weight or edge_weight above 0")
        self.negatives, self.negatives_per_edge = negatives, negatives_per_edge
        self.own_weight, self.near_weight, self.edge_weight = own_weight, near_weight, edge_weight
        self.own_discriminator = Discriminator(encoder.in_dim, encoder.out_dim)
        self.near_discriminator = Discriminator(encoder.out_dim, _first_map(encoder).shape[1])
        self.activation = nn.PReLU()

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        require_neighbor_features(self, sampler)
        if self.edge_weight:
            require_edges_among_targets(self, sampler)

    def loss(self, batch: MiniBatch) -> Tensor:
        hidden = self.encoder(batch)
        own = self.own_discriminator.rows(first_rows(batch.x, batch.num_targets))
        loss = self.own_weight * self.information(own, hidden, self.own_discriminator.bias, batch.weight)
        rows = self.near_discriminator.rows(hidden)
        bias = self.near_discriminator.bias
        loss = loss + self.near_weight * self.information(rows, self.near(batch), bias, batch.weight)
        return loss + self.edge_weight * self.edge_term(hidden, batch) if self.edge_weight else loss

    def near(self, batch: MiniBatch) -> Tensor:
        """What the neighbors' features are on average after the first map, shape (num_targets, dim)."""
        block = batch.blocks[-1]
        mapped = matmul(first_rows(batch.x, block.num_src), _first_map(self.encoder))
        near: Tensor = self.activation(mean_aggregate(block, mapped)[: batch.num_targets])
        return near

    def information(self, rows: Tensor, anchors: Tensor, bias: Tensor, weight: Tensor | None) -> Tensor:
        """Negative estimate of the mutual information of two sides of the same nodes.

        Args:
            rows: one side, through the discriminator, shape (n, dim).
            anchors: the other side, shape (n, dim).
            bias: of the discriminator.
            weight: of the nodes, shape (n,), or None for 1 each.
        """
        others = self._others(len(rows))
        positive = torch.sigmoid(torch.linalg.vecdot(rows, anchors) + bias)
        against = rows.index_select(0, others.flatten()).view(*others.shape, rows.shape[1])
        negative = torch.sigmoid(torch.linalg.vecdot(against, anchors) + bias).flatten()
        if not negative.numel():  # a single node
            return jsd(positive, positive.new_zeros(1), positive_weight=weight)
        of_pairs = None if weight is None else (weight[others] * weight).flatten()
        return jsd(positive, negative, positive_weight=weight, negative_weight=of_pairs)

    def _others(self, count: int) -> Tensor:
        """For each node some uniform others, shape (negatives, count), int64; none where there is no other."""
        if count < 2:
            return torch.empty(0, count, dtype=torch.int64, device=self.rng.device)
        shape, device = (self.negatives, count), self.rng.device
        steps = torch.randint(1, count, shape, generator=self.rng, device=device)
        return (torch.arange(count, device=device) + steps) % count

    def edge_term(self, hidden: Tensor, batch: MiniBatch) -> Tensor:
        """Cross-entropy of inner products: edges and a node with itself, counted twice, against non-edges."""
        pattern = among_targets(batch)
        loops = torch.arange(batch.num_targets, device=hidden.device)
        source = torch.cat([pattern.col.long(), loops])
        target = torch.cat([pattern.row.long(), loops])
        away = uniform_negatives(pattern, round(self.negatives_per_edge * len(source)), self.rng)
        weight = batch.weight
        near_weight = away_weight = None
        if weight is not None:
            near_weight = torch.where(source == target, weight[source], weight[source] * weight[target])
            away_weight = weight[away[0]] * weight[away[1]]
        near = inner_products(hidden, torch.stack([source, target]))
        edges = edge_cross_entropy(near, near[:0], positive_weight=near_weight)
        return 2 * edges + edge_cross_entropy(near[:0], inner_products(hidden, away), negative_weight=away_weight)


class Discriminator(nn.Module):
    """A bilinear form ``x W y + b`` in two halves, so that ``x W`` is made once for all its partners.

    Args:
        first_dim: of x.
        second_dim: of y.
    """

    def __init__(self, first_dim: int, second_dim: int) -> None:
        super().__init__()
        # Glorot's bound as for the three-dimensional weight of a bilinear layer: it is far below that of a matrix.
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(1, first_dim, second_dim))[0])
        self.bias = nn.Parameter(torch.zeros(1))

    def rows(self, x: Tensor | SparseMatrix) -> Tensor:
        """``x W``, shape (n, second_dim)."""
        return matmul(x, self.weight)


def _first_map(encoder: Encoder) -> Tensor:
    """The weight of the first layer, shape (in_dim, dim).

    Raises:
        InputError: the encoder is no GCN.
    """
    layer = encoder.layer(0) if isinstance(encoder, GCN) else None
    if not isinstance(layer, GCNLayer):
        raise InputError(
            "GMI compares embeddings with what the first graph convolution makes of the neighbors' features, but the "
            f"encoder {encoder.title} has none; use --encoder GCN"
        )
    return layer.weight
