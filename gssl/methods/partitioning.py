"""Partitioning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from gssl.common.card import Card
from gssl.common.options import PositiveInt
from gssl.common.space import Choice, Float, Int, Space
from gssl.graph.storage import Graph
from gssl.methods.properties import Made, PartPrediction
from gssl.models.encoder import Encoder
from gssl.samplers.selection.cluster import cut_by_metis


class Partitioning(PartPrediction):
    """Graph partitioning, the second task of SS-GCNs (You et al., 2020, arXiv:2006.09136).

    METIS cuts the graph into parts of about equal size with few edges between them, and a linear head predicts from the
    embedding of each node which part it is in, by cross-entropy.

    The authors' code (Shen-Lab/SS-GCNs), which trains beside labels, has 8 to 16 parts. The default is that of AutoSSL
    (ChandlerBang/AutoSSL, ``Par``), which trains without.

    Args:
        encoder: under the head.
        parts: of the graph.
    """

    counted: ClassVar[str] = "parts"
    reads_edges: ClassVar[bool] = True
    card: ClassVar[Card] = Card(
        family="property prediction",
        views="the graph",
        encoders="one, with a linear head",
        objective="cross-entropy of parts of the graph by METIS",
        time="n d c (c parts); once, METIS",
        memory="n c",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "parts": Int(8, 1000, log=True),
        "encoder.hidden_dim": Choice((128, 256, 512)),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    def __init__(self, encoder: Encoder, *, parts: PositiveInt = 400) -> None:
        super().__init__(encoder, parts)

    def make(self, graph: Graph) -> Made:
        return (cut_by_metis(graph.block.pattern, self.count, seed=0),)
