"""Distance2Clusters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from gssl.augment.node_targets import nearness, part_centers
from gssl.common.card import Card
from gssl.common.options import PositiveInt
from gssl.common.space import Choice, Float, Int, Space
from gssl.graph.storage import Graph
from gssl.methods.properties import Made, PartPrediction
from gssl.models.encoder import Encoder
from gssl.samplers.selection.cluster import cut_by_metis


class Distance2Clusters(PartPrediction):
    """Prediction of distances to parts of the graph (Jin et al., 2020, arXiv:2006.10141, sec. 3.1.1).

    METIS cuts the graph into clusters; the center of each is the node with the most neighbors within it. A linear head
    predicts one over the distance of a node from each center, 0 where there is no path, by squared error.

    One over the distance is what the authors' code (ChandlerBang/SelfTask-GNN, DistanceCluster) predicts; the paper has
    the distance. The code takes the number of a center within its cluster for its number in the graph, so that its
    distances are those from arbitrary nodes, and gives the center itself 0; here a center is one, and has 1 as its
    neighbors have.

    Args:
        encoder: under the head.
        clusters: parts of the graph; the code has 10 for Cora and CiteSeer and 30 for PubMed.
    """

    reads_edges: ClassVar[bool] = True
    card: ClassVar[Card] = Card(
        family="property prediction",
        views="the graph",
        encoders="one, with a linear head",
        objective="squared error of one over the distances to the centers of METIS clusters",
        time="n d c (c clusters); once, METIS and c breadth-first searches",
        memory="n c",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "clusters": Int(5, 100, log=True),
        "encoder.hidden_dim": Choice((128, 256, 512)),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    def __init__(self, encoder: Encoder, *, clusters: PositiveInt = 10) -> None:
        super().__init__(encoder, clusters)

    def make(self, graph: Graph) -> Made:
        pattern = graph.block.pattern
        parts = cut_by_metis(pattern, self.count, seed=0)
        return (nearness(pattern, part_centers(pattern, parts, self.count)),)
