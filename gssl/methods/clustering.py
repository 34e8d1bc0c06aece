"""Clustering."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from gssl.augment.clusters import k_means
from gssl.common.card import Card
from gssl.common.options import PositiveInt
from gssl.common.space import Choice, Float, Int, Space
from gssl.graph.storage import Graph
from gssl.methods.properties import Made, PartPrediction
from gssl.models.encoder import Encoder

_STEPS, _STARTS = 300, 10  # of k-means, as scikit-learn had them when the authors' code was written


class Clustering(PartPrediction):
    """Node clustering, the first task of SS-GCNs (You et al., 2020, arXiv:2006.09136).

    K-means groups the features of the nodes once, and a linear head predicts from the embedding of each node which
    cluster it is in, by cross-entropy.

    The authors' code (Shen-Lab/SS-GCNs), which trains beside labels, makes 200 clusters and then gives each the class
    whose labelled nodes have the nearest mean. Without labels clusters are predicted as they are, as in AutoSSL
    (ChandlerBang/AutoSSL, ``Clu``), from which is the number of them.

    Args:
        encoder: under the head.
        clusters: of the features.
    """

    reads_features: ClassVar[bool] = True
    card: ClassVar[Card] = Card(
        family="property prediction",
        views="the graph",
        encoders="one, with a linear head",
        objective="cross-entropy of clusters of the features",
        time="n d c (c clusters); once, k-means of the features",
        memory="n c",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "clusters": Int(5, 200, log=True),
        "encoder.hidden_dim": Choice((128, 256, 512)),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    def __init__(self, encoder: Encoder, *, clusters: PositiveInt = 10) -> None:
        super().__init__(encoder, clusters)

    def make(self, graph: Graph) -> Made:
        return (k_means(graph.x, self.count, steps=_STEPS, seed=0, starts=_STARTS).labels,)
