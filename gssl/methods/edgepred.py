"""Edge prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from gssl.common.card import Card
from gssl.common.options import PositiveInt
from gssl.common.space import Choice, Float, Int, Space
from gssl.datasets.types import Level
from gssl.graph.batch import MiniBatch
from gssl.method import PredictiveMethod
from gssl.methods.edges import EdgeTarget
from gssl.models.encoder import Encoder
from gssl.objectives.edges import edge_reconstruction, negatives_within


class EdgePred(PredictiveMethod[EdgeTarget]):
    """Edge prediction on sets of graphs (Hu et al., 2020, arXiv:1905.12265, as one of its baselines).

    The inner products of the embeddings of two nodes tell the edges of each graph from pairs of nodes of the same graph
    that are not joined. It serves molecules, whose bonds the encoder sees, and any other set of graphs. On a single
    graph it is :class:`~gssl.methods.gae.GAE`.

    Every edge counts once, and means are those of the batch, so that a graph counts by its edges, as in the authors'
    code (chem/pretrain_edgepred.py). For every edge the code takes one of ten random pairs of the graph that is neither
    an edge nor taken already; here those that hit an edge are dropped, so that small and dense graphs have fewer
    non-edges than edges. A complete graph has none in both.

    Args:
        encoder: gives the embeddings.
        negatives: pairs that are drawn for every edge, anew at each step.
    """

    needs_edges: ClassVar[bool] = True
    levels: ClassVar[tuple[Level, ...]] = ("graph",)
    default_encoder: ClassVar[str] = "GINE"
    card: ClassVar[Card] = Card(
        family="reconstruction",
        views="the graphs",
        encoders="one; inner products decode",
        objective="cross-entropy of edges against uniform pairs of the same graph that are not joined",
        time="m d",
        memory="m",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "negatives": Int(1, 5),
        "encoder.num_layers": Int(2, 5),
        "encoder.hidden_dim": Choice((64, 128, 300)),
        "train.lr": Float(1e-4, 1e-2, log=True),
    }

    def __init__(self, encoder: Encoder, *, negatives: PositiveInt = 1) -> None:
        super().__init__(encoder)
        self.negatives = negatives

    def pretext(self, batch: MiniBatch) -> tuple[MiniBatch, EdgeTarget]:
        pattern, offsets = batch.blocks[0].pattern, batch.graph_ptr
        assert offsets is not None
        pairs = pattern.pairs
        edges = pairs.ends[:, ~pairs.is_loop]
        graphs = batch.graph_index()[edges[0]].repeat_interleave(self.negatives)
        return batch, EdgeTarget(edges, negatives_within(pattern, offsets, graphs, self.rng, undirected=True))

    def error(self, embedding: Tensor, view: MiniBatch, target: EdgeTarget) -> Tensor:
        if not target.positive.numel():  # no graph has an edge, and pairs are drawn for edges
            return embedding.sum() * 0.0
        positive, negative = (_weight_of(pairs, view) for pairs in (target.positive, target.negative))
        return edge_reconstruction(
            embedding, target.positive, target.negative, positive_weight=positive, negative_weight=negative
        )


def _weight_of(pairs: Tensor, view: MiniBatch) -> Tensor | None:
    """Weight of the graph of each pair, shape (n,), float."""
    return None if view.weight is None else view.weight[view.graph_index()[pairs[0]]]
