"""GAE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from gssl.common.card import Card
from gssl.common.space import Choice, Float, Space
from gssl.graph.batch import MiniBatch
from gssl.methods.edges import EdgePrediction, EdgeTarget, among_targets
from gssl.objectives.edges import edge_reconstruction


class GAE(EdgePrediction[EdgeTarget]):
    """Graph auto-encoder (Kipf and Welling, 2016, arXiv:1611.07308).

    The inner products of the embeddings predict the edges of the batch against uniform non-edges. The paper sums
    over all pairs of nodes; sampled non-edges estimate its re-weighted loss in O(edges), but for two things. In the
    authors' code (tkipf/gae) every node has an edge to itself, and here a node and itself are no pair; and the loss
    there is half of this one, which is the sum of the two means. On sampled batches the pairs are those of targets,
    each with the product of their weights: clusters have many edges, uniform draws few.

    Args:
        encoder: gives the embeddings.
        negatives_per_edge: non-edges drawn for every edge, anew at each step.
    """

    card: ClassVar[Card] = Card(
        family="reconstruction",
        views="the graph",
        encoders="one; inner products decode",
        objective="cross-entropy of edges against uniform non-edges",
        time="m d",
        memory="m",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "negatives_per_edge": Choice((1.0, 2.0, 5.0)),
        "encoder.out_dim": Choice((16, 32, 64, 128, 256)),
        "train.lr": Float(1e-4, 5e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    def pretext(self, batch: MiniBatch) -> tuple[MiniBatch, EdgeTarget]:
        pattern = among_targets(batch)
        edges = torch.stack([pattern.col.long(), pattern.row.long()])
        return batch, EdgeTarget(edges, self.negatives(pattern, edges.shape[1]))

    def error(self, embedding: Tensor, view: MiniBatch, target: EdgeTarget) -> Tensor:
        positive_weight, negative_weight = target.weights(view.weight)
        return edge_reconstruction(
            embedding,
            target.positive,
            target.negative,
            positive_weight=positive_weight,
            negative_weight=negative_weight,
        )
