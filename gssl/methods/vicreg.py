"""VICReg."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

from torch import nn

from gssl.augment.base import Compose
from gssl.augment.drop_edge import DropEdge
from gssl.augment.mask_feature import MaskFeature
from gssl.common.card import Card
from gssl.common.options import NonNegative, NonNegativeInt, Probability
from gssl.common.space import Float, Int, Space
from gssl.methods.pairwise import PairwiseMethod
from gssl.models.encoder import Encoder
from gssl.models.heads import mlp_head
from gssl.objectives.decorrelation import vicreg


class VICReg(PairwiseMethod):
    """Variance-invariance-covariance regularization (Bardes et al., 2022, arXiv:2105.04906), on nodes.

    The paper is about images; here its views are those of GRACE, edges dropped and features masked. The views are
    close, each column of each view varies over the nodes, and different columns do not vary together. There are no
    negatives and no second network, so a step is linear in the number of nodes.

    The expander is that of the paper, three linear maps with batch norm and ReLU between them, but as wide as small
    graphs need and not 8192. For sets of graphs there is ``gssl run GraphCL MUTAG --set objective=vicreg``.

    Args:
        encoder: shared by both views.
        drop_edge: edge-drop probability of each view.
        mask_feature: feature-mask probability of each view.
        expander_dim: width of the three-layer expander; 0 leaves it out.
        invariance: weight of the squared distance of the views.
        variance: weight of the hinge on standard deviations.
        covariance: weight of the squared covariances.
    """

    card: ClassVar[Card] = Card(
        family="redundancy reduction",
        views="edges dropped, columns of features masked; two draws",
        encoders="one for both views, with an expander",
        objective="distance of the views, a hinge on the deviation of each column, covariances of different columns",
        time="n e² (e: width of the expander)",
        memory="n e + e²",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "drop_edge.0": Float(0.0, 0.6),
        "drop_edge.1": Float(0.0, 0.6),
        "mask_feature.0": Float(0.0, 0.6),
        "mask_feature.1": Float(0.0, 0.6),
        "expander_dim": Int(64, 1024, log=True),
        "covariance": Float(0.1, 25.0, log=True),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.epochs": Int(20, 500, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        drop_edge: tuple[Probability, Probability] = (0.3, 0.4),
        mask_feature: tuple[Probability, Probability] = (0.3, 0.4),
        expander_dim: NonNegativeInt = 512,
        invariance: NonNegative = 25.0,
        variance: NonNegative = 25.0,
        covariance: NonNegative = 1.0,
    ) -> None:
        dims = encoder.out_dim, expander_dim, expander_dim
        super().__init__(
            encoder,
            [Compose(DropEdge(p=e), MaskFeature(p=f)) for e, f in zip(drop_edge, mask_feature, strict=True)],
            head=mlp_head(*dims, norm="batch", hidden_layers=2) if expander_dim else nn.Identity(),
            objective=partial(vicreg, invariance=invariance, variance=variance, covariance=covariance),
        )
