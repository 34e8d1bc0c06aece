"""CCA-SSG."""

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
from gssl.common.space import Float, Int, Space
from gssl.methods.pairwise import PairwiseMethod
from gssl.models.encoder import Encoder
from gssl.objectives.decorrelation import cca_ssg


class CCASSG(PairwiseMethod):
    """From canonical correlation analysis to self-supervised GNNs (Zhang et al., 2021, arXiv:2106.12484).

    Two views by edge dropping and feature masking, drawn alike. Their embeddings, with columns of mean 0 and norm 1,
    are equal, and different columns are uncorrelated. There are no negatives, no projection head and no second network,
    so a step is linear in the number of nodes.

    The authors' code (hengruizhang98/CCA-SSG) maximises the trace of the cross-correlation in place of minimising the
    distance, which is half of that and a constant; so its ``lambd``, the lambda of the paper's table of
    hyperparameters, is half of ``decorrelation`` here, which is that of the paper's equation 5. Its standard deviations
    are those with one degree of freedom less, and are divided by as they are: a column that is the same everywhere,
    as in a batch without edges and features, gives it no number.

    Args:
        encoder: shared by both views.
        drop_edge: edge-drop probability of both views.
        mask_feature: feature-mask probability of both views.
        decorrelation: weight of the decorrelation of columns against the distance of the views.
    """

    title: ClassVar[str] = "CCA-SSG"
    card: ClassVar[Card] = Card(
        family="redundancy reduction",
        views="edges dropped, columns of features masked; two draws of one distribution",
        encoders="one for both views, without a head",
        objective="distance of the standardised views, and correlations of different columns within each",
        time="n d²",
        memory="n d + d²",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "drop_edge": Float(0.0, 0.8),
        "mask_feature": Float(0.0, 0.8),
        "decorrelation": Float(1e-4, 1e-2, log=True),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.epochs": Int(10, 200, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        drop_edge: Probability = 0.4,
        mask_feature: Probability = 0.1,
        decorrelation: NonNegative = 2e-3,
    ) -> None:
        view = Compose(DropEdge(p=drop_edge), MaskFeature(p=mask_feature))
        super().__init__(
            encoder, [view, view], head=nn.Identity(), objective=partial(cca_ssg, decorrelation=decorrelation)
        )
