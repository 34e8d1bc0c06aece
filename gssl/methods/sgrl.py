"""SGRL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import Fraction, Positive, PositiveInt
from gssl.common.space import Choice, Float, Int, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.cut import before_last
from gssl.method import MAIN, Method, Player
from gssl.models.ema import EMATarget
from gssl.models.encoder import Encoder
from gssl.models.heads import mlp_head
from gssl.models.ops import gcn_aggregate
from gssl.objectives.bootstrap import bootstrap_cosine
from gssl.objectives.scattering import scattering
from gssl.samplers.base import Sampler
from gssl.samplers.pair import PairSampler


class SGRL(Method):
    """Scattering graph representation learning (He et al., NeurIPS 2024, openreview:R8SolCx62K).

    There is one view, the graph itself, and two networks that are trained against each other. The target pushes its
    embeddings away from their centre on the unit sphere. The online network predicts them from its own embedding plus
    what that becomes after some steps of GCN's propagation, so that neighbors stay together. After each step the target
    moves a little towards the online encoder. The embedding is the online sum. No pairs of nodes are compared, so a
    step is linear in the number of nodes.

    The authors' code (hedongxiao-tju/SGRL) draws the first weights of the target anew; here it starts as a copy. There
    both encoders share the slope of one PReLU, which both optimizers move; here each has its own. The code keeps the
    weights of the epoch with the lowest alignment loss, here those of the last one count. It has heads on both encoders
    that nothing reads, which are left out, and keeps the target with the lowest loss by a comparison that always holds.

    Sampled batches need the blocks of the propagation on top of the encoder's.

    Args:
        encoder: the online encoder; the target starts as a copy of it.
        hops: steps of propagation.
        momentum: share of the target that survives each update; it stays the same.
        target_lr: learning rate of the target; null for that of the training.
        predictor_dim: width of the two-layer PReLU predictor; null is that of the embedding.
    """

    least_items: ClassVar[int] = 2
    card: ClassVar[Card] = Card(
        family="bootstrap",
        views="the graph itself",
        encoders="online encoder with a predictor; target encoder, its moving average, with an optimizer of its own",
        objective="target: squared distance from the mean direction; online: cosine to the target after propagation",
        time="k m d + n d²  (k: steps of propagation)",
        memory="n d",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "hops": Int(1, 4),
        "momentum": Float(0.9, 0.999),
        "encoder.hidden_dim": Choice((256, 512, 1024)),
        "train.lr": Float(1e-5, 1e-2, log=True),
        "train.epochs": Int(20, 1000, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        hops: PositiveInt = 1,
        momentum: Fraction = 0.99,
        target_lr: Positive | None = None,
        predictor_dim: PositiveInt | None = None,
    ) -> None:
        super().__init__(encoder)
        self.hops, self.target_lr = hops, target_lr
        self.target = EMATarget(encoder, momentum=momentum)
        self.target.requires_grad_(True)
        dim = encoder.out_dim
        self.predictor = mlp_head(dim, predictor_dim or dim, dim, activation="prelu")

    @property
    def num_layers(self) -> int:
        return super().num_layers + self.hops

    def check_embedding(self, sampler: Sampler) -> None:
        super().check_embedding(sampler)
        if isinstance(sampler, PairSampler) and sampler.store is not None:
            raise InputError(
                "SGRL propagates embeddings once more, which a history does not have of the neighbors; use a "
                "propagation without history, for example --sampler graphsage"
            )

    def players(self) -> Mapping[str, Player]:
        """The target, which scatters, then encoder and predictor, which follow it."""
        learners = (*self.encoder.parameters(), *self.predictor.parameters())
        return {
            "target": Player(tuple(self.target.parameters()), lr=self.target_lr, loss=self.scatter),
            MAIN: Player(learners, loss=self.align),
        }

    def loss(self, batch: MiniBatch) -> Tensor:
        """The sum of what both lower; no parameter gets a gradient from the part of the other."""
        return self.scatter(batch) + self.align(batch)

    def scatter(self, batch: MiniBatch) -> Tensor:
        """What the target lowers, a scalar."""
        return scattering(self.target.encoder(batch), weight=batch.weight)

    def align(self, batch: MiniBatch) -> Tensor:
        """What the online network lowers, a scalar: twice the authors' and 2."""
        return bootstrap_cosine(self.predictor(self.embed(batch)), self.target(batch), weight=batch.weight)

    def embed(self, batch: MiniBatch) -> Tensor:
        own: Tensor = self.encoder(before_last(batch, self.hops))
        near = own
        for hop in range(self.hops):
            near = gcn_aggregate(batch.blocks[max(hop - self.hops, -len(batch.blocks))], near)
        return own[: batch.num_targets] + near[: batch.num_targets]

    def after_step(self, progress: float) -> None:
        self.target.update(self.encoder, 0)  # the schedule of the momentum stays at its start
