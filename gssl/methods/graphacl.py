"""GraphACL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from torch_geometric.nn import MLP

from gssl.augment.positives import closed_neighborhoods, pattern_among
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import Fraction, Positive, PositiveInt
from gssl.common.space import Choice, Float, Int, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import Pattern
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.models.ema import EMATarget
from gssl.models.encoder import Encoder
from gssl.objectives.neighbors import neighbor_info_nce


class GraphACL(Method):
    """Simple and asymmetric graph contrastive learning without augmentations (Xiao et al., 2023, arXiv:2310.18884).

    From its own embedding a node predicts what the target network (a moving average of the encoder) makes of each of
    its neighbors, while its embedding is told from those of all other nodes. Prediction and target are different
    spaces, so that neighbors need not be alike; nodes with the same neighbors become so, in heterophilous graphs too.
    No view is augmented.

    This is the authors' code for homophilous graphs (tengxiao1/GraphACL, ``homo``): each node is a positive of its own,
    too, and the momentum of the target stays as it is. Their code for heterophilous graphs has no such positives, an
    encoder without activations and self-loops, and a few sampled neighbors and negatives for each node.

    In sampled batches positives are the neighbors among the targets, however they were sampled; a pair weighs the
    product of the weights of its nodes over the number of neighbors in the graph. Batches of few targets hold few
    pairs of neighbors; clusters hold more.

    Args:
        encoder: the online encoder; the target starts as a copy of it.
        temperature: of the cosine similarity.
        momentum: share of the target that survives each update.
        predictor_layers: linear layers of the predictor, with ReLU in between.
    """

    least_items: ClassVar[int] = 2
    card: ClassVar[Card] = Card(
        family="cross-view",
        views="the graph as it is",
        encoders="an online encoder with a predictor, and its moving average as target",
        objective="InfoNCE of a node's prediction with the target embeddings of its neighbors, all embeddings as "
        "negatives",
        time="n² d + m d",
        memory="n d (similarities are made piece by piece)",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "temperature": Float(0.2, 1.0),
        "momentum": Float(0.9, 0.999),
        "predictor_layers": Int(1, 2),
        "encoder.hidden_dim": Choice((512, 1024, 2048)),
        "encoder.num_layers": Int(1, 2),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    rowptr: Tensor
    col: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        temperature: Positive = 1.0,
        momentum: Fraction = 0.97,
        predictor_layers: PositiveInt = 1,
    ) -> None:
        super().__init__(encoder)
        self.temperature = temperature
        self.target = EMATarget(encoder, momentum=momentum, rises=False)
        self.predictor = MLP([encoder.out_dim] * (predictor_layers + 1), norm=None)

    def prepare(self, graph: Graph, seed: int) -> None:
        closed = graph.derived("closed neighborhoods", lambda: closed_neighborhoods(graph.block.pattern))
        self.register_buffer("rowptr", closed.rowptr, persistent=False)
        self.register_buffer("col", closed.col, persistent=False)

    def loss(self, batch: MiniBatch) -> Tensor:
        embedding = self.encoder(batch)
        return self.agreement(batch, self.predictor(embedding), self.target(batch), embedding)

    def agreement(self, batch: MiniBatch, prediction: Tensor, target: Tensor, embedding: Tensor) -> Tensor:
        """The objective, a scalar, from three matrices of shape (num_targets, out_dim)."""
        if not hasattr(self, "rowptr"):
            raise InputError("GraphACL knows no neighbors yet; call prepare(graph, seed) first")
        ids, weight = batch.node_ids[: batch.num_targets], batch.weight
        pairs = pattern_among(Pattern(self.rowptr, self.col, len(self.rowptr) - 1), ids)
        # A mean over the neighbors of each node, then over nodes.
        share = 1 / self.rowptr.diff()[ids].to(prediction.dtype)[pairs.row.long()]
        if weight is not None:
            row, col = pairs.row.long(), pairs.col.long()
            share = share * weight[row] * torch.where(row == col, 1, weight[col])
        return neighbor_info_nce(
            prediction, target, embedding, pairs, temperature=self.temperature, weight=weight, pair_weight=share
        )

    def after_step(self, progress: float) -> None:
        self.target.update(self.encoder, progress)
