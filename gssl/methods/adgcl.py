"""AD-GCL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch_geometric.utils import segment

from gssl.augment.base import Identity
from gssl.augment.graphwise import graph_offsets
from gssl.augment.learned_drop import LearnedDropEdge
from gssl.common.card import Card
from gssl.common.options import NonNegative, Positive, PositiveInt
from gssl.common.space import Choice, Float, Int, Space
from gssl.datasets.types import Level
from gssl.graph.batch import MiniBatch
from gssl.method import MAIN, ContrastiveMethod, Player
from gssl.models.encoder import Encoder
from gssl.models.gin import GIN
from gssl.models.heads import mlp_head
from gssl.objectives.nt_xent import nt_xent


class ADGCL(ContrastiveMethod):
    """Adversarial graph augmentation (Suresh et al., 2021, arXiv:2106.05819).

    Each graph of a batch agrees with a view of it whose edges a second network weighs, against the other graphs of the
    batch (NT-Xent). With each batch that network first raises the loss, less ``regularization`` times the share of
    edges that it drops; then encoder and head lower the loss of a view drawn anew. Whoever stands still is in
    evaluation mode, as in the authors' code. The share is that of the relaxed draws, as in that code; the paper writes
    it with their probabilities.

    The authors' code sees no node features on TU sets; here both networks see those of the data. Its encoder puts batch
    norm before the activation and leaves the last layer without one.

    Args:
        encoder: shared by both views; it must take edge weights.
        regularization: lambda, what dropping all edges of a graph costs the augmenter.
        augmenter_lr: learning rate of the augmenter; the encoder has that of the training.
        augmenter_dim: dimension of the augmenter's own GIN.
        augmenter_layers: layers of that GIN.
        augmenter_hidden: width of the head that turns the ends of an edge into its logit.
        relaxation: temperature of the relaxed draws.
        temperature: of the cosine similarity.
        symmetric: whether graphs of both views are anchors.
    """

    title: ClassVar[str] = "AD-GCL"
    least_items: ClassVar[int] = 2
    needs_edges: ClassVar[bool] = True
    levels: ClassVar[tuple[Level, ...]] = ("graph",)
    default_encoder: ClassVar[str] = "GIN"
    card: ClassVar[Card] = Card(
        family="cross-view",
        views="the graph, and a view whose edges an adversary weighs",
        encoders="one for both views, with a projection head; a GIN for the logits of edges",
        objective="NT-Xent, which the adversary raises, less a price for edges that it drops",
        time="n² d + m h (h: width of the adversary's head), both twice: each player has a pass of all",
        memory="n² + m h",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "regularization": Float(0.1, 10.0, log=True),
        "augmenter_lr": Float(1e-4, 1e-2, log=True),
        "temperature": Float(0.1, 1.0),
        "encoder.num_layers": Int(2, 5),
        "train.batch_size": Choice((32, 64, 128)),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.epochs": Int(10, 150, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        regularization: NonNegative = 5.0,
        augmenter_lr: Positive = 1e-3,
        augmenter_dim: PositiveInt = 32,
        augmenter_layers: PositiveInt = 5,
        augmenter_hidden: PositiveInt = 64,
        relaxation: Positive = 1.0,
        temperature: Positive = 0.2,
        symmetric: bool = True,
    ) -> None:
        encoder.require_edge_weight()
        nodes = GIN(encoder.in_dim, hidden_dim=augmenter_dim, num_layers=augmenter_layers, jk="last")
        augmenter = LearnedDropEdge(nodes, hidden_dim=augmenter_hidden, temperature=relaxation)
        super().__init__(encoder, [Identity(), augmenter])
        self.regularization, self.augmenter_lr = regularization, augmenter_lr
        self.temperature, self.symmetric = temperature, symmetric
        self.head = mlp_head(encoder.out_dim, encoder.out_dim, encoder.out_dim, glorot=True)

    @property
    def augmenter(self) -> LearnedDropEdge:
        """The adversary; it is stored with the learned views."""
        return cast("LearnedDropEdge", self.views[1])

    def players(self) -> Mapping[str, Player]:
        """The augmenter, then encoder and head."""
        adversary = tuple(self.augmenter.parameters())
        learners = tuple(p for part in (self.encoder, self.head) for p in part.parameters() if p.requires_grad)
        return {
            "augmenter": Player(adversary, lr=self.augmenter_lr, loss=self.adversary_loss),
            MAIN: Player(learners),
        }

    def project(self, embedding: Tensor) -> Tensor:
        projection: Tensor = self.head(embedding)
        return projection

    def contrast(self, batch: MiniBatch, *projections: Tensor) -> Tensor:
        first, second = projections
        return nt_xent(first, second, temperature=self.temperature, symmetric=self.symmetric, weight=batch.weight)

    def loss(self, batch: MiniBatch) -> Tensor:
        with standing_still(self.augmenter):
            return super().loss(batch)

    def adversary_loss(self, batch: MiniBatch) -> Tensor:
        """What the augmenter lowers: ``regularization * share of dropped edges - loss``, a scalar."""
        with standing_still(self.encoder), standing_still(self.head):
            view, kept = self.augmenter.weigh(batch, self.rng)
            agreement = self.contrast(batch, *(self.project(self.embed(each)) for each in (batch, view)))
        return self.regularization * dropped_share(batch, kept) - agreement


def dropped_share(batch: MiniBatch, kept: Tensor) -> Tensor:
    """Mean, over the graphs that have edges, of the share of its edges that a graph loses.

    Args:
        batch: with one block; its weights count.
        kept: how much of each edge stays, shape (num_edges,), float.

    Returns:
        Scalar in [0, 1]; 0 where no graph has edges.
    """
    edges = batch.blocks[0].pattern.rowptr.long()[graph_offsets(batch)]  # rows are sorted by graph, so edges are too
    share: Tensor = segment(1 - kept, edges, reduce="mean")
    weight = (edges.diff() > 0).to(share.dtype)
    if batch.graph_ptr is not None and batch.weight is not None:
        weight = weight * batch.weight
    return (weight * share).sum() / weight.sum().clamp(min=torch.finfo(share.dtype).tiny)


@contextmanager
def standing_still(module: nn.Module) -> Iterator[None]:
    """While entered, the module is in evaluation mode: its statistics of batches are used and not renewed."""
    before = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(before)
