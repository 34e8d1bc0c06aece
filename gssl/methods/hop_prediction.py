"""What methods share that predict how far apart two nodes are."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from gssl.augment.hops import UNREACHED, hop_classes
from gssl.common.options import PositiveInt
from gssl.graph.batch import MiniBatch
from gssl.graph.kept import true_places
from gssl.graph.storage import Graph
from gssl.methods.properties import Made, PropertyPrediction, Told
from gssl.models.encoder import Encoder

Hops = Annotated[int, Field(ge=2, le=127)]


@dataclass(frozen=True, eq=False)
class Around:
    """Distances from some targets of a batch to all of them.

    Attributes:
        anchors: rows of the batch, shape (a,), int64.
        hops: shape (a, num_targets), int8, as :func:`~gssl.augment.hops.hop_classes` gives them.
    """

    anchors: Tensor
    hops: Tensor


class HopPrediction(PropertyPrediction):
    """Thin base: exact hop distances, made once -> some anchors of the batch -> pairs of every distance.

    Distances are those in the whole graph, for sampled batches too, in which a pair weighs the product of its nodes'
    weights. A table of 64 MiB holds them: those from all nodes of a graph of 8,192, from fewer of larger ones, so that
    a pair has one end among these.

    Args:
        encoder: under the head.
        hops: distances that are told apart, the last of them with all greater ones.
        anchors: nodes of a step from which distances are looked at, drawn anew at each.
    """

    reads_edges: ClassVar[bool] = True

    def __init__(self, encoder: Encoder, *, hops: Hops = 4, anchors: PositiveInt = 256) -> None:
        super().__init__(encoder, hops)
        self.hops, self.anchors = hops, anchors

    @property
    def settings(self) -> str:
        return f"of {self.hops} hops"

    def make(self, graph: Graph) -> Made:
        return hop_classes(graph.block.pattern, self.hops)

    def pretext(self, batch: MiniBatch) -> tuple[MiniBatch, Told]:
        row, table = self.made(batch.device)
        ids = batch.node_ids[: batch.num_targets]
        told = row[ids] != UNREACHED
        same = torch.zeros_like(told[:1]) if len(ids) != len(row) else ids == torch.arange(len(row), device=ids.device)
        count, whole = torch.stack([told.sum(), same.all()]).tolist()
        known = true_places(told, count)
        order = torch.randperm(len(known), generator=self.rng, device=ids.device)[: self.anchors]
        anchors = known[order]
        hops = table[row[ids[anchors]]]
        found, classes = self.draw(Around(anchors, hops if whole else hops[:, ids]))
        return batch, Told(found, classes)

    @abstractmethod
    def draw(self, around: Around) -> tuple[Tensor, Tensor]:
        """Pairs of rows, shape (2, p), int64, and the class of each, shape (p,), int64, from 0 for neighbors."""
