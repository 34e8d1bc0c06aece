"""The supervised reference row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from gssl.common.card import Card
from gssl.common.options import Probability
from gssl.common.space import Choice, Float, Space
from gssl.datasets.types import Level
from gssl.graph.batch import MiniBatch
from gssl.methods.labelled import Labelled
from gssl.models.encoder import Encoder


class Supervised(Labelled):
    """Encoder and linear head trained end to end on labels (Kipf and Welling, 2017, arXiv:1609.02907).

    Cross-entropy for classes, binary cross-entropy over the known labels for several tasks, squared error of
    standardised targets for regression. Weight decay applies to every layer; the paper's to the first alone.

    Args:
        encoder: trained together with the head.
        dropout: dropout probability between encoder and head.
    """

    title: ClassVar[str] = "supervised"
    card: ClassVar[Card] = Card(
        family="reference",
        views="the graph itself, with its training labels",
        encoders="one, with a linear head",
        objective="cross-entropy of classes, or squared error of targets, on training items",
        time="n d c (c: classes)",
        memory="n (d + c)",
    )
    levels: ClassVar[tuple[Level, ...]] = ("node", "graph")
    needs_labels: ClassVar[bool] = True
    takes_types: ClassVar[bool] = True
    search_space: ClassVar[Mapping[str, Space]] = {
        "dropout": Float(0.0, 0.8),
        "encoder.hidden_dim": Choice((16, 32, 64, 128, 256)),
        "train.lr": Float(1e-4, 1e-1, log=True),
        "train.weight_decay": Float(1e-6, 1e-2, log=True),
    }

    def __init__(self, encoder: Encoder, *, dropout: Probability = 0.5) -> None:
        super().__init__(encoder, dropout=dropout)

    def loss(self, batch: MiniBatch) -> Tensor:
        return self.label_loss(batch)

    def mass(self, batch: MiniBatch) -> Tensor | float:
        return self.label_mass(batch)

    @property
    def measured(self) -> nn.Module:
        return self.head
