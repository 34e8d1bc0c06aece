"""Reference rows that learn nothing: raw features and an untrained encoder."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from gssl.common.card import Card
from gssl.datasets.types import Level
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import dense_features
from gssl.method import Method
from gssl.models.readout import readout


class Untrained(Method):
    """The encoder as it was initialised; what a method adds is its distance from this row."""

    title: ClassVar[str] = "untrained"
    card: ClassVar[Card] = Card(
        family="reference",
        views="the graph itself",
        encoders="one, as it was initialised",
        objective="none",
        time="0",
        memory="0",
    )
    levels: ClassVar[tuple[Level, ...]] = ("node", "graph")
    trains: ClassVar[bool] = False
    takes_types: ClassVar[bool] = True

    def loss(self, batch: MiniBatch) -> Tensor:
        """There is none.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"{self.title} is a reference row and has no loss")


class Raw(Untrained):
    """The input features themselves, summed over the nodes of each graph; the encoder is not used."""

    title: ClassVar[str] = "raw"
    card: ClassVar[Card] = Card(
        family="reference",
        views="the features themselves",
        encoders="none",
        objective="none",
        time="0",
        memory="0",
    )

    @property
    def embedding_dim(self) -> int:
        return self.encoder.in_dim

    def embed(self, batch: MiniBatch) -> Tensor:
        """Features of shape (num_targets, in_dim), or their sums of shape (num_graphs, in_dim)."""
        features = dense_features(batch.x)[: batch.num_targets]
        return features if batch.graph_ptr is None else readout(features, batch, "sum")
