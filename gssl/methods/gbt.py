"""G-BT."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

from torch import nn

from gssl.augment.base import Compose
from gssl.augment.drop_edge import DropEdge
from gssl.augment.mask_feature import MaskFeature
from gssl.common.card import Card
from gssl.common.options import NonNegative, Probability
from gssl.common.space import Choice, Float, Int, Space
from gssl.methods.pairwise import PairwiseMethod
from gssl.models.encoder import Encoder
from gssl.objectives.decorrelation import barlow_twins


class GBT(PairwiseMethod):
    """Graph Barlow twins (Bielak et al., 2021, arXiv:2106.02466).

    Two views by edge dropping and feature masking, drawn alike. The cross-correlation of their embeddings, over the
    nodes, is the identity: a column of one view is that of the other, and tells nothing of other columns. There are no
    negatives, no projection head and no second network, so a step is linear in the number of nodes.

    The authors' code (pbielak/graph-barlow-twins) takes standard deviations with one degree of freedom less and divides
    by the number of nodes all the same, so its correlations are (n - 1) / n of those here. It trains with AdamW and
    a rate that rises for a tenth of the epochs and then falls along a cosine, as the presets do.

    Args:
        encoder: shared by both views.
        drop_edge: edge-drop probability of both views.
        mask_feature: feature-mask probability of both views.
        redundancy: weight of what is off the diagonal; null is one over the width of the embedding.
    """

    title: ClassVar[str] = "G-BT"
    card: ClassVar[Card] = Card(
        family="redundancy reduction",
        views="edges dropped, columns of features masked; two draws of one distribution",
        encoders="one for both views, without a head",
        objective="cross-correlation of the views should be the identity",
        time="n d²",
        memory="n d + d²",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "drop_edge": Float(0.0, 0.6),
        "mask_feature": Float(0.0, 0.6),
        "encoder.out_dim": Choice((64, 128, 256, 512)),
        "train.lr": Float(1e-5, 1e-2, log=True),
        "train.epochs": Int(50, 1000, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        drop_edge: Probability = 0.1,
        mask_feature: Probability = 0.3,
        redundancy: NonNegative | None = None,
    ) -> None:
        view = Compose(DropEdge(p=drop_edge), MaskFeature(p=mask_feature))
        super().__init__(
            encoder, [view, view], head=nn.Identity(), objective=partial(barlow_twins, redundancy=redundancy)
        )
