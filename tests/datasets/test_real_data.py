"""Real raw files load with the figures of their publishers."""

from pathlib import Path

import pytest
import torch

from gssl.datasets.load import load_dataset
from gssl.datasets.types import Dataset
from gssl.graph.sparse import SparseMatrix, dense_features


def _check_arrays(data: Dataset) -> None:
    pattern = data.graph.block.pattern
    row, col = pattern.row.long(), pattern.col.long()
    assert (row != col).all()
    assert torch.unique(row * data.graph.num_nodes + col).numel() == pattern.nnz
    assert dense_features(data.graph.x).dtype == torch.float32
    if data.labels is not None and data.labels.kind == "multiclass":
        assert data.labels.y.dtype == torch.int64
        assert data.labels.y.unique().numel() == data.labels.num_classes


@pytest.mark.parametrize(
    ("name", "nodes", "edges", "features", "classes"),
    [
        ("Cora", 2708, 10556, 1433, 7),
        ("Photo", 7650, 238162, 745, 8),
        ("DBLP", 17716, 105734, 1639, 4),
        ("CS", 18333, 163788, 6805, 15),
        ("Tolokers", 11758, 1038000, 10, 2),
        ("ogbn-wordnet", 117659, 1443124, 128, 45),
    ],
)
def test_node_sets(
    mirror: Path, processed: Path, name: str, nodes: int, edges: int, features: int, classes: int
) -> None:
    data = load_dataset(name, root=processed)
    assert data.level == "node"
    assert (data.graph.num_nodes, data.graph.num_edges, data.graph.in_dim) == (nodes, edges, features)
    assert data.labels is not None
    assert data.labels.num_classes == classes
    _check_arrays(data)
    if name != "Tolokers":
        turned, _ = data.graph.block.pattern.transposed
        assert torch.equal(turned.col, data.graph.block.pattern.col)  # undirected


def test_cora_is_the_graph_of_the_papers(mirror: Path, processed: Path) -> None:
    data = load_dataset("cora", root=processed)
    (split,) = data.splits
    assert data.labels is not None
    assert (split.name, len(split.train), len(split.val), len(split.test)) == ("public", 140, 500, 1000)
    assert torch.equal(data.labels.y[split.train].bincount(), torch.full((7,), 20))
    assert torch.equal(split.train, torch.arange(140))
    assert torch.equal(split.test, torch.arange(1708, 2708))
    assert data.labels.y.bincount().tolist() == [351, 217, 418, 818, 426, 298, 180]
    assert isinstance(data.graph.x, SparseMatrix)
    rows = data.graph.x.to_dense().sum(dim=1)
    assert torch.allclose(rows, torch.ones(2708), atol=1e-5)  # every paper has words
    assert int(data.graph.block.pattern.counts.max()) == 168


def test_cora_features_equal_pygs_own_normalisation(mirror: Path, processed: Path) -> None:
    from torch_geometric.datasets import Planetoid
    from torch_geometric.transforms import NormalizeFeatures

    data = load_dataset("Cora", root=processed)
    theirs = Planetoid(str(processed / "Planetoid"), "Cora", transform=NormalizeFeatures())[0]
    assert torch.allclose(dense_features(data.graph.x), theirs.x)
    ours = {tuple(edge) for edge in data.graph.block.edge_index.T.tolist()}
    assert ours == {tuple(edge) for edge in theirs.edge_index.T.tolist()}


def test_tolokers_has_ten_splits(mirror: Path, processed: Path) -> None:
    data = load_dataset("Tolokers", root=processed)
    assert data.metric == "roc_auc"
    assert [split.name for split in data.splits] == [f"preset-{i}" for i in range(10)]
    assert len({split.hash for split in data.splits}) == 10
    for split in data.splits:
        assert torch.cat([split.train, split.val, split.test]).unique().numel() == 11758


def test_wordnet_comes_with_its_split(mirror: Path, processed: Path) -> None:
    data = load_dataset("ogbn-wordnet", root=processed)
    (split,) = data.splits
    assert data.labels is not None
    sizes = [len(part) for part in (split.train, split.val, split.test)]
    assert sum(sizes) == 117659
    assert sizes[0] == pytest.approx(0.6 * 117659, abs=1)
    share = data.labels.y.bincount().max() / 117659
    assert float(share) == pytest.approx(0.123, abs=5e-4)
    by_path = load_dataset(mirror / "ogb" / "ogbn_wordnet", root=processed)
    assert (by_path.checksum, by_path.splits[0].hash) == (data.checksum, split.hash)


@pytest.mark.parametrize(
    ("name", "graphs", "features", "bonds"),
    [
        ("MUTAG", 188, 7, 4),
        ("PTC_MR", 344, 18, 4),
        ("PROTEINS", 1113, 3, None),
        ("NCI1", 4110, 37, None),
        ("IMDB-BINARY", 1000, 136, None),
    ],
)
def test_tu_sets(mirror: Path, processed: Path, name: str, graphs: int, features: int, bonds: int | None) -> None:
    data = load_dataset(name, root=processed)
    assert data.level == "graph"
    assert (data.num_items, data.graph.in_dim) == (graphs, features)
    assert data.labels is not None
    assert (data.labels.num_classes, len(data.labels.y)) == (2, graphs)
    attr = data.graph.block.edge_attr
    assert (None if attr is None else attr.shape[1]) == bonds
    x = dense_features(data.graph.x)
    assert torch.equal(x.sum(dim=1), torch.ones(data.graph.num_nodes))  # one-hot
    _check_arrays(data)


def test_a_set_without_node_labels_says_that_degrees_serve(mirror: Path, processed: Path) -> None:
    data = load_dataset("IMDB-BINARY", root=processed)
    assert any("degree features" in note for note in data.notes)
    assert torch.equal(dense_features(data.graph.x).argmax(dim=1), data.graph.block.pattern.counts.long())


def test_mutag_graphs_are_those_of_pyg(mirror: Path, processed: Path) -> None:
    from torch_geometric.datasets import TUDataset

    data = load_dataset("MUTAG", root=processed)
    theirs = TUDataset(str(processed / "TUDataset"), "MUTAG")
    assert data.labels is not None
    for number in (0, 17, 187):
        batch = data.graph.graph_batch(torch.tensor([number]))
        graph = theirs[number]
        assert torch.equal(dense_features(batch.x), graph.x)
        ours = {tuple(edge) for edge in batch.blocks[0].edge_index.T.tolist()}
        assert ours == {tuple(edge) for edge in graph.edge_index.T.tolist()}
        assert int(data.labels.y[number]) == int(graph.y)


@pytest.mark.parametrize(("name", "graphs", "task"), [("ESOL", 1128, "regression"), ("BBBP", 2039, "multiclass")])
def test_molecule_sets(mirror: Path, processed: Path, name: str, graphs: int, task: str) -> None:
    pytest.importorskip("rdkit")
    data = load_dataset(name, root=processed)
    assert data.num_items == graphs
    assert data.labels is not None
    assert data.labels.kind == task
    x = dense_features(data.graph.x)
    assert torch.equal(x.sum(dim=1), torch.full((data.graph.num_nodes,), 9.0))  # nine categories an atom
    attr = data.graph.block.edge_attr
    assert attr is not None
    assert torch.equal(attr.sum(dim=1), torch.full((data.graph.num_edges,), 3.0))
    if name == "BBBP":
        assert "11 molecules left out that RDKit cannot read" in data.notes


def test_molhiv_has_the_counts_of_ogb(mirror: Path, processed: Path) -> None:
    data = load_dataset("ogbg-molhiv", root=processed)
    (split,) = data.splits
    assert data.labels is not None
    assert data.num_items == 41127
    assert data.graph.num_nodes / 41127 == pytest.approx(25.51, abs=0.005)
    assert data.graph.num_edges / 2 / 41127 == pytest.approx(27.47, abs=0.005)
    assert [len(part) for part in (split.train, split.val, split.test)] == [32901, 4113, 4113]
    positives = [int(data.labels.y[part].sum()) for part in (split.train, split.val, split.test)]
    assert positives == [1232, 81, 130]
    assert (data.metric, data.probe, split.name) == ("roc_auc", "OGB", "scaffold")
    assert any("rebuilt" in note for note in data.notes)
    assert isinstance(data.graph.x, SparseMatrix)
    assert data.graph.x.pattern.nnz == 9 * data.graph.num_nodes
