"""GRACE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from gssl.augment.base import Compose
from gssl.augment.drop_edge import DropEdge
from gssl.augment.mask_feature import MaskFeature
from gssl.common.card import Card
from gssl.common.options import Neutral, Positive, PositiveInt, Probability
from gssl.common.space import Float, Int, Space
from gssl.methods.pairwise import PairwiseMethod, pair_objective
from gssl.models.encoder import Encoder
from gssl.models.heads import mlp_head


class GRACE(PairwiseMethod):
    """Deep graph contrastive representation learning (Zhu et al., 2020, arXiv:2006.04131).

    Two views by edge dropping and feature masking; InfoNCE between the views with the other nodes of both
    views as negatives.

    With ``encoder.activation=prelu`` each layer has a slope of its own; in the authors' code, and in DGL's example, all
    layers share one.

    Args:
        encoder: shared by both views.
        drop_edge: edge-drop probability of each view.
        mask_feature: feature-mask probability of each view.
        temperature: of the cosine similarity.
        projector_dim: width of the two-layer ELU projection head.
        intra: whether nodes of the same view are negatives too (they are in the paper).
        objective: InfoNCE, or another objective of two views by its name; it gets the temperature and ``intra`` if it
            has them.
    """

    card: ClassVar[Card] = Card(
        family="cross-view",
        views="edges dropped, columns of features masked; two draws",
        encoders="one for both views, with a projection head",
        objective="InfoNCE of a node in both views, all other nodes of both views as negatives",
        time="n² d",
        memory="n d (similarities are made piece by piece)",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "drop_edge.0": Float(0.0, 0.6),
        "drop_edge.1": Float(0.0, 0.6),
        "mask_feature.0": Float(0.0, 0.6),
        "mask_feature.1": Float(0.0, 0.6),
        "temperature": Float(0.1, 1.0),
        "projector_dim": Int(32, 512, log=True),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        drop_edge: tuple[Probability, Probability] = (0.2, 0.4),
        mask_feature: tuple[Probability, Probability] = (0.3, 0.4),
        temperature: Positive = 0.4,
        projector_dim: PositiveInt = 128,
        intra: bool = True,
        objective: Annotated[str, Neutral("info_nce")] = "info_nce",
        objective_options: Annotated[Mapping[str, Any] | None, Neutral(None)] = None,
    ) -> None:
        super().__init__(
            encoder,
            [Compose(DropEdge(p=e), MaskFeature(p=f)) for e, f in zip(drop_edge, mask_feature, strict=True)],
            head=mlp_head(encoder.out_dim, projector_dim, encoder.out_dim, activation="elu"),
            objective=pair_objective(objective, objective_options, temperature=temperature, intra=intra),
        )
