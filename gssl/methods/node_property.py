"""NodeProperty."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, ClassVar

import torch
from pydantic import Field

from gssl.augment.node_targets import neighbor_counts
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import NonNegativeInt
from gssl.common.space import Choice, Float, Space
from gssl.graph.storage import Graph
from gssl.methods.properties import Made, NodePrediction
from gssl.models.encoder import Encoder


class NodeProperty(NodePrediction):
    """Prediction of the degree (Jin et al., 2020, arXiv:2006.10141, sec. 3.1.1).

    A linear head predicts from the embedding of each node how many neighbors it has: one of three classes, as in the
    authors' code (ChandlerBang/SelfTask-GNN), or the number itself by squared error, as in the paper. That number is
    standardised here: else embeddings first grow along one direction, until the head gives the mean degree.

    Args:
        encoder: under the head.
        bounds: greatest degree of each class but the last, rising; the code's are 2 and 7 for every dataset. Null
            predicts the degree itself.
    """

    reads_edges: ClassVar[bool] = True
    card: ClassVar[Card] = Card(
        family="property prediction",
        views="the graph",
        encoders="one, with a linear head",
        objective="cross-entropy of the class of the degree, or squared error of the degree",
        time="n d c (c: classes)",
        memory="n c",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "encoder.hidden_dim": Choice((128, 256, 512)),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        bounds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)] | None = (2, 7),
    ) -> None:
        if bounds is not None and any(low >= high for low, high in pairwise(bounds)):
            raise InputError(f"option 'bounds' of NodeProperty: degrees must rise, as in [2, 7] (got {list(bounds)})")
        super().__init__(encoder, 1 if bounds is None else len(bounds) + 1)
        self.bounds = bounds

    @property
    def settings(self) -> str:
        return str(self.bounds)

    def make(self, graph: Graph) -> Made:
        degree = neighbor_counts(graph.block.pattern)
        if self.bounds is None:
            number = degree.float() - degree.float().mean()
            spread = number.square().mean().sqrt()
            return (number / torch.where(spread > 0, spread, 1.0),)
        return (torch.bucketize(degree, torch.tensor(self.bounds)),)
