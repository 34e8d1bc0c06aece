"""The training step that grace-step compares: one input and one model size for every library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch_geometric.utils import to_undirected

from gssl.datasets.features import compact_features
from gssl.datasets.load import load_dataset
from gssl.datasets.store import Store
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph

Data = Literal["Cora", "random"]


@dataclass(frozen=True)
class GraceSetup:
    """GRACE's step on one graph with the hyperparameters of its authors for Cora, except the width.

    Attributes:
        data: the real Cora, or a random graph.
        nodes, features: size of a random graph; its number of edges and density of features are those of Cora.
        hidden, out: widths of the two GCN layers; the projection head has ``out`` units in both layers.
        drop_edge, mask_feature: probabilities for the two views.
        temperature: of InfoNCE.
    """

    data: Data = "random"
    nodes: int = 2_708
    features: int = 1_433
    hidden: int = 256
    out: int = 128
    drop_edge: tuple[float, float] = (0.2, 0.4)
    mask_feature: tuple[float, float] = (0.3, 0.4)
    temperature: float = 0.4

    def graph(self) -> Graph:
        """The input, with sparse features as the program stores them."""
        return load_dataset("Cora").graph if self.data == "Cora" else self._random()

    def plain(self) -> tuple[Tensor, Tensor]:
        """The input as PyG has it: edge_index (2, num_edges) int64 and dense features (num_nodes, dim)."""
        graph = self.graph()
        return graph.block.edge_index, dense_features(graph.x)

    def _random(self) -> Graph:
        rng = torch.Generator().manual_seed(0)
        edges = to_undirected(torch.randint(self.nodes, (2, round(1.95 * self.nodes)), generator=rng))
        words = torch.rand(self.nodes, self.features, generator=rng) < 0.0127
        return Graph.from_edge_index(edges, compact_features(words.float()))


def available_data() -> Data:
    """Cora where its files lie in the data root or the mirror; nothing is downloaded for a benchmark."""
    here = any((place / "Planetoid" / "Cora").is_dir() for place in Store.locate().places)
    return "Cora" if here else "random"
