"""BGRL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from gssl.augment.base import Compose
from gssl.augment.drop_edge import DropEdge
from gssl.augment.mask_feature import MaskFeature
from gssl.common.card import Card
from gssl.common.options import Fraction, PositiveInt, Probability
from gssl.common.space import Float, Int, Space
from gssl.graph.batch import MiniBatch
from gssl.method import ContrastiveMethod
from gssl.models.ema import EMATarget
from gssl.models.encoder import Encoder
from gssl.models.heads import mlp_head
from gssl.objectives.bootstrap import bootstrap_cosine


class BGRL(ContrastiveMethod):
    """Large-scale representation learning on graphs via bootstrapping (Thakoor et al., 2022, arXiv:2102.06514).

    The online network predicts, from one view, what the target network (its moving average) sees in the other.
    No negatives, so a step is linear in the number of nodes.

    The authors' code (nerdslab/bgrl) draws the first weights of the target anew; here it starts as a copy of the online
    encoder, so that one seed makes one encoder, and the target is worth something from the first step.

    Args:
        encoder: the online encoder; the target starts as a copy of it.
        drop_edge: edge-drop probability of each view.
        mask_feature: feature-mask probability of each view.
        momentum: share of the target that survives the first update; it rises to 1 along a cosine.
        predictor_dim: width of the two-layer PReLU predictor.
    """

    card: ClassVar[Card] = Card(
        family="bootstrap",
        views="edges dropped, columns of features masked; two draws",
        encoders="online encoder with a predictor; target encoder, its moving average",
        objective="cosine of the prediction from each view to the target of the other",
        time="n d p (p: width of the predictor)",
        memory="n (d + p)",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "drop_edge.0": Float(0.0, 0.6),
        "drop_edge.1": Float(0.0, 0.6),
        "mask_feature.0": Float(0.0, 0.6),
        "mask_feature.1": Float(0.0, 0.6),
        "momentum": Float(0.9, 0.999),
        "predictor_dim": Int(64, 1024, log=True),
        "train.lr": Float(1e-5, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        drop_edge: tuple[Probability, Probability] = (0.4, 0.1),
        mask_feature: tuple[Probability, Probability] = (0.1, 0.2),
        momentum: Fraction = 0.99,
        predictor_dim: PositiveInt = 512,
    ) -> None:
        super().__init__(
            encoder,
            [Compose(DropEdge(p=e), MaskFeature(p=f)) for e, f in zip(drop_edge, mask_feature, strict=True)],
        )
        self.target = EMATarget(encoder, momentum=momentum)
        self.predictor = mlp_head(encoder.out_dim, predictor_dim, encoder.out_dim, activation="prelu")

    @property
    def separable(self) -> bool:
        return True

    def loss(self, batch: MiniBatch) -> Tensor:
        online, target = zip(*(self._by_both(view) for view in self.drawn_views(batch)), strict=True)
        return self.contrast(batch, *online, *target)

    def _by_both(self, view: MiniBatch) -> tuple[Tensor, Tensor]:
        """What both networks make of a view, which may be a copy of all features: one at a time."""
        return self.predictor(self.encoder(view)), self.target(view)

    def contrast(self, batch: MiniBatch, *projections: Tensor) -> Tensor:
        online_1, online_2, target_1, target_2 = projections
        return bootstrap_cosine(online_1, target_2, weight=batch.weight) + bootstrap_cosine(
            online_2, target_1, weight=batch.weight
        )

    def after_step(self, progress: float) -> None:
        self.target.update(self.encoder, progress)
