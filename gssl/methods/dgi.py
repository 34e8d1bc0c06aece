"""DGI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from gssl.augment.base import Identity
from gssl.augment.shuffle import Shuffle
from gssl.common.card import Card
from gssl.common.space import Choice, Float, Space
from gssl.graph.batch import MiniBatch
from gssl.method import ContrastiveMethod
from gssl.models.encoder import Encoder
from gssl.objectives.jsd import binary_agreement
from gssl.objectives.weights import weighted_rows


class DGI(ContrastiveMethod):
    """Deep graph infomax (Velickovic et al., 2019, arXiv:1809.10341).

    A bilinear discriminator tells nodes of the graph from nodes of a graph with shuffled features, given the
    summary of the graph.

    The discriminator starts as a Glorot matrix and has no bias. In the authors' code (PetarV-/DGI) it is a tensor of
    (1, dim, dim), of which torch takes all but the first dimension for inputs, so that its values start 16 times
    smaller for 512 dimensions, and has one bias, which moves all logits alike. With ``train.patience`` the weights that
    are returned are those after the update of the best epoch; the code keeps those before it.
    """

    least_items: ClassVar[int] = 2
    takes_types: ClassVar[bool] = True
    card: ClassVar[Card] = Card(
        family="cross-scale",
        views="the graph itself; the graph with features shuffled among nodes, for negatives",
        encoders="one for both views, with a bilinear discriminator",
        objective="Jensen-Shannon: nodes agree with the summary of their graph, those with shuffled features do not",
        time="n d + d²",
        memory="n d",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "encoder.hidden_dim": Choice((256, 512, 1024)),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder, [Identity(), Shuffle()])
        self.discriminator = nn.Parameter(nn.init.xavier_uniform_(torch.empty(encoder.out_dim, encoder.out_dim)))

    def contrast(self, batch: MiniBatch, *projections: Tensor) -> Tensor:
        real, corrupted = projections
        # The paper's readout: the sigmoid of the mean node embedding.
        summary = self.discriminator @ torch.sigmoid(weighted_rows(real, batch.weight))
        return binary_agreement(real @ summary, corrupted @ summary, weight=batch.weight)
