"""What a training step is measured on: one input and one model size for every library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch_geometric.data import Batch
from torch_geometric.data import Data as PyGData
from torch_geometric.utils import to_undirected

from gssl.datasets.features import compact_features
from gssl.datasets.load import load_dataset
from gssl.datasets.store import Store
from gssl.graph.hetero import HeteroParts
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.testing.toy import toy_hetero_graph

Data = Literal["Cora", "random"]
GraphData = Literal["MUTAG", "random"]
HeteroData = Literal["HeCo/acm", "toy"]

# What both sides of a method have in common beside their sizes.
ADVERSARY = (16, 64)  # widths of ARGA's discriminator
MOMENTUM = 0.99  # share of BGRL's target that stays
NORM_MOMENTUM = 0.01  # of BGRL's batch norm
NEGATIVES = 5  # of a node, for GMI
CENTERS, SUBGRAPH = 500, 20  # subgraphs of a step of SUBG-CON, and nodes of each
SKETCH = 0.5  # rows of COSTA's projection for each node
MASKED_EDGES, DROPOUT = 0.7, 0.5  # of MaskGAE and S2GAE
ORDER = 10  # of PolyGCL's polynomials
STARS = 100  # leaves of a star of E2Neg
TRIPLET_NEGATIVES = 4  # of a node, for SUGRL
AFGRL_SEARCH = (4, 100, 5, 20)  # neighbors, clusters, runs of k-means and steps of a run


@dataclass(frozen=True)
class NodeSetup:
    """A step on one graph; the defaults are GRACE's hyperparameters of its authors for Cora, except the width.

    Attributes:
        data: the real Cora, or a random graph.
        nodes, features: size of a random graph; its number of edges and density of features are those of Cora.
        hidden, out: widths of the first and the last GCN layer.
        head: width of the hidden layer of a projection head, predictor or decoder.
        drop_edge, mask_feature: probabilities for the two views.
        temperature: of InfoNCE.
        sources: folder with clones of official repositories, each called owner+name; empty if there is none.
    """

    data: Data = "random"
    nodes: int = 2_708
    features: int = 1_433
    hidden: int = 256
    out: int = 128
    head: int = 128
    drop_edge: tuple[float, float] = (0.2, 0.4)
    mask_feature: tuple[float, float] = (0.3, 0.4)
    temperature: float = 0.4
    sources: str = ""

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


@dataclass(frozen=True)
class GraphSetup:
    """A step on one batch of graphs, which is ready on every side: no loader is measured.

    Attributes:
        data: graphs of the real MUTAG, or random trees with a ring or two, as molecules are.
        graphs: of the batch.
        features: kinds of nodes of random graphs.
        hidden: width of every layer.
        layers: of the encoder.
        head: width of the hidden layer of what is beside the encoder, such as a generator of views.
        ratio: share of nodes or edges that a view changes.
        temperature: of NT-Xent.
        sources: folder with clones of official repositories, each called owner+name; empty if there is none.
    """

    data: GraphData = "random"
    graphs: int = 128
    features: int = 7
    hidden: int = 32
    layers: int = 3
    head: int = 32
    ratio: float = 0.2
    temperature: float = 0.2
    sources: str = ""

    def graph(self) -> Graph:
        """The graphs of the batch as a collection of their own."""
        return self._random() if self.data == "random" else _cut(load_dataset("MUTAG").graph, self.graphs)

    def plain(self) -> list[PyGData]:
        """The graphs as PyG has them, each with dense features ``x`` and ``edge_index`` in both directions."""
        graph = self.graph()
        assert graph.ptr is not None
        x, edge_index = dense_features(graph.x), graph.block.edge_index
        found = []
        for start, end in zip(graph.ptr[:-1].tolist(), graph.ptr[1:].tolist(), strict=True):
            inside = (edge_index[1] >= start) & (edge_index[1] < end)
            found.append(PyGData(x=x[start:end], edge_index=edge_index[:, inside] - start))
        return found

    def batch(self) -> Batch:
        """The same side by side."""
        return Batch.from_data_list(self.plain())

    def _random(self) -> Graph:
        rng = torch.Generator().manual_seed(0)
        sizes = torch.randint(10, 27, (self.graphs,), generator=rng)
        ptr = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
        edges = torch.cat([_molecule(int(size), rng) + start for size, start in zip(sizes, ptr[:-1], strict=True)], 1)
        kinds = torch.randint(self.features, (int(ptr[-1]),), generator=rng)
        return Graph.from_edge_index(edges, torch.eye(self.features)[kinds], ptr=ptr)


@dataclass(frozen=True)
class HeteroSetup:
    """A step on a graph with several types of nodes.

    Attributes:
        data: papers of ACM with their authors and subjects, or a toy graph of these.
        hidden: width of every layer.
        temperature: of InfoNCE.
        neighbors: drawn for each paper, by type.
        sources: folder with clones of official repositories, each called owner+name; empty if there is none.
    """

    data: HeteroData = "toy"
    hidden: int = 64
    temperature: float = 0.8
    neighbors: tuple[tuple[str, int], ...] = (("author", 7), ("subject", 1))
    sources: str = ""

    def graph(self) -> Graph:
        """The graph of the papers, with what lies around it."""
        return toy_hetero_graph() if self.data == "toy" else load_dataset(self.data).graph

    def paths(self) -> list[Tensor]:
        """Which papers each meta-path joins, as PyG has it: (2, num_pairs) int64."""
        return [
            torch.stack([path.pattern.col.long(), path.pattern.row.long()])
            for path in parts_of(self.graph()).meta_paths
        ]


def parts_of(graph: Graph) -> HeteroParts:
    """The types of a graph that has some."""
    assert graph.hetero is not None
    return graph.hetero


def clusters_of(nodes: int) -> int:
    """How many clusters E2Neg makes of so many nodes: 50, and fewer where these would be very small."""
    return max(min(50, nodes // 10), 1)


def available_data() -> Data:
    """Cora where its files lie in the data root or the mirror; nothing is downloaded for a benchmark."""
    return "Cora" if _is_here("Planetoid", "Cora") else "random"


def available_graphs() -> GraphData:
    """MUTAG where its files lie in the data root or the mirror."""
    return "MUTAG" if _is_here("TUDataset", "MUTAG") else "random"


def available_types() -> HeteroData:
    """ACM where HeCo's repository lies in the data root or the mirror."""
    return "HeCo/acm" if _is_here("HeCo", "acm") else "toy"


def _is_here(family: str, name: str) -> bool:
    folders = [place / family for place in Store.locate().places]
    return any((folder / name).is_dir() or (folder / f"{name}.zip").is_file() for folder in folders)


def _molecule(size: int, rng: torch.Generator) -> Tensor:
    """A random tree with a tenth more edges, in both directions, shape (2, num_edges), int64."""
    later = torch.arange(1, size)
    earlier = (torch.rand(size - 1, generator=rng) * later).long()
    more = torch.randint(size, (2, size // 10), generator=rng)
    tree = torch.cat([torch.stack([earlier, later]), more[:, more[0] != more[1]]], dim=1)
    edges: Tensor = to_undirected(tree, num_nodes=size)
    return edges


def _cut(graph: Graph, graphs: int) -> Graph:
    """Some graphs of a collection, drawn with a fixed seed, as a collection of their own."""
    order = torch.randperm(graph.num_graphs, generator=torch.Generator().manual_seed(0))
    batch = graph.graph_batch(order[:graphs])
    return Graph(batch.blocks[0], dense_features(batch.x), batch.graph_ptr)
