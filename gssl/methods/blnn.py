"""BLNN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from gssl.augment.positives import pattern_among
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import Positive
from gssl.common.space import Float, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import Pattern
from gssl.graph.storage import Graph
from gssl.methods.bgrl import BGRL
from gssl.models.encoder import Encoder
from gssl.objectives.pairs import bootstrap_neighbors, neighbor_attention


class BLNN(BGRL):
    """Bootstrap latents of nodes and neighbors (Liu et al., 2024, arXiv:2408.05087).

    BGRL whose online network predicts, besides a node's own target embedding, those of its neighbors in the graph. Each
    counts by how much it supports the node: a softmax, over the neighbors, of the cosine of both target embeddings in
    the two views.

    The authors' code (Cloudy1225/BLNN, train.py) differs from what its README says, and from BGRL, in what look like
    slips: the prediction from the first view stands in the place of that from the second too, so nothing is predicted
    from the second view; the weights add up to 1 over the nodes that have a neighbor in common and not over the
    neighbors of a node; and one set of weights serves both directions. Its loss is half of this one and a constant.

    In sampled batches neighbors that are no targets of the batch are left out, and those that are count by their
    weight; clusters hold more of them.

    Args:
        encoder: the online encoder; the target starts as a copy of it.
        temperature: of the softmax over neighbors; high values weigh them alike.
    """

    card: ClassVar[Card] = Card(
        family="bootstrap",
        views="edges dropped, columns of features masked; two draws",
        encoders="online encoder with a predictor; target encoder, its moving average",
        objective="cosine to the target of the other view, of the node and, by attention, of its neighbors",
        time="n d² + m d",
        memory="n d + m",
    )
    search_space: ClassVar[Mapping[str, Space]] = {**BGRL.search_space, "temperature": Float(0.1, 2.0)}

    rowptr: Tensor
    col: Tensor

    def __init__(self, encoder: Encoder, *, temperature: Positive = 1.0, **inherited: Any) -> None:
        super().__init__(encoder, **inherited)
        self.temperature = temperature

    def prepare(self, graph: Graph, seed: int) -> None:
        """Neighbors are those of the graph, also where a view or a sampler drops the edge."""
        self.register_buffer("rowptr", graph.block.pattern.rowptr, persistent=False)
        self.register_buffer("col", graph.block.pattern.col, persistent=False)

    @property
    def separable(self) -> bool:
        return False  # neighbors in the batch are positives

    def contrast(self, batch: MiniBatch, *projections: Tensor) -> Tensor:
        online_1, online_2, target_1, target_2 = projections
        pattern = self._neighbors(batch)
        return (
            super().contrast(batch, *projections)
            + self._of_neighbors(batch, pattern, online_1, target_1, target_2)
            + self._of_neighbors(batch, pattern, online_2, target_2, target_1)
        )

    def _of_neighbors(
        self, batch: MiniBatch, pattern: Pattern, prediction: Tensor, own: Tensor, target: Tensor
    ) -> Tensor:
        weight = batch.weight
        attention = neighbor_attention(pattern, own, target, temperature=self.temperature, weight=weight)
        return bootstrap_neighbors(prediction, target, pattern, attention, weight=weight)

    def _neighbors(self, batch: MiniBatch) -> Pattern:
        if not hasattr(self, "rowptr"):
            raise InputError("BLNN knows no neighbors yet; call prepare(graph, seed) first")
        whole = Pattern(self.rowptr, self.col, self.rowptr.numel() - 1)
        return pattern_among(whole, batch.node_ids[: batch.num_targets])
