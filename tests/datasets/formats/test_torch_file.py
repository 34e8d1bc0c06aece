"""Files of ``torch.save``: every form in which PyG keeps graphs is read, and nothing in them is run."""

import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from torch_geometric.data import Batch, Data, HeteroData, InMemoryDataset

from gssl.common.errors import InputError
from gssl.datasets.declared import NOTHING
from gssl.datasets.formats.torch_file import read
from gssl.datasets.types import Dataset
from gssl.graph.sparse import dense_features


def _graph(nodes: int, **more: Any) -> Data:
    path = torch.arange(nodes)
    edges = torch.stack([path[:-1], path[1:]])
    x = torch.full((nodes, 2), float(nodes)) + path[:, None] / 10
    return Data(x=x, edge_index=torch.cat([edges, edges.flip(0)], 1), y=torch.tensor([nodes % 2]), **more)


def _saved(path: Path, content: Any) -> Dataset:
    torch.save(content, path / "mine.pt")
    return read(path / "mine.pt", NOTHING)


def _same(found: Dataset, wanted: Dataset) -> bool:
    assert found.graph.ptr is not None
    assert wanted.graph.ptr is not None
    return found.checksum == wanted.checksum and found.graph.ptr.tolist() == wanted.graph.ptr.tolist()


GRAPHS = [_graph(nodes) for nodes in (3, 1, 5, 4)]


@pytest.fixture
def wanted(tmp_path: Path) -> Dataset:
    return _saved(tmp_path, GRAPHS)


def test_what_an_in_memory_dataset_saves(tmp_path: Path, wanted: Dataset) -> None:
    InMemoryDataset.save(GRAPHS, str(tmp_path / "data.pt"))
    assert _same(read(tmp_path / "data.pt", NOTHING), wanted)
    data, slices = InMemoryDataset.collate(GRAPHS)
    assert _same(_saved(tmp_path, (data, slices)), wanted)  # as versions before 2.4 have it
    assert _same(_saved(tmp_path, (data.to_dict(), slices, {"num_node_labels": 2}, Data)), wanted)  # TU sets


def test_a_batch(tmp_path: Path, wanted: Dataset) -> None:
    assert _same(_saved(tmp_path, Batch.from_data_list(GRAPHS)), wanted)
    with pytest.raises(InputError, match="not made by Batch"):
        _saved(tmp_path, Batch(x=torch.ones(2, 1), edge_index=torch.tensor([[0], [1]]), batch=torch.zeros(2)))


def test_graphs_without_features_keep_their_sizes(tmp_path: Path) -> None:
    plain = [Data(edge_index=graph.edge_index, num_nodes=graph.num_nodes + 1) for graph in GRAPHS]
    InMemoryDataset.save(plain, str(tmp_path / "data.pt"))
    found = read(tmp_path / "data.pt", NOTHING)
    assert found.graph.ptr is not None
    assert found.graph.ptr.tolist() == [0, 4, 6, 12, 17]
    assert _same(found, _saved(tmp_path, Batch.from_data_list(plain)))


def test_a_split_over_the_graphs_is_read(tmp_path: Path) -> None:
    masks = {f"{part}_mask": torch.arange(4) % 3 == i for i, part in enumerate(("train", "val", "test"))}
    data, slices = InMemoryDataset.collate(GRAPHS)
    found = _saved(tmp_path, ({**data.to_dict(), **masks, "smiles": ["C"] * 4}, slices))
    assert found.splits[0].train.tolist() == [0, 3]
    assert "arrays that are not read: smiles" in found.notes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.tensor([0, 3, 4, 9])}, "there are 4 graphs, but x is of 3"),
        ({"x": torch.tensor([0, 3, 4, 9, 12])}, "x has 13 entries, but its graphs have 12"),
        ({"x": torch.tensor([0, 4, 3, 9, 13])}, "do not rise"),
        ({"x": torch.tensor([0.0, 13.0])}, "no list of whole numbers"),
    ],
)
def test_offsets_that_do_not_fit(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    data, slices = InMemoryDataset.collate(GRAPHS)
    with pytest.raises(InputError, match=message):
        _saved(tmp_path, (data.to_dict(), {**(slices or {}), **change}))


def test_the_only_graph_of_a_set(tmp_path: Path) -> None:
    InMemoryDataset.save(GRAPHS[:1], str(tmp_path / "data.pt"))
    found = read(tmp_path / "data.pt", NOTHING)
    assert (found.level, found.num_items, found.labels) == ("node", 3, None)
    assert "left out" in found.notes[0]
    graph = _graph(3)
    graph.y = torch.tensor([0, 1, 1])
    InMemoryDataset.save([graph], str(tmp_path / "data.pt"))
    of_nodes = read(tmp_path / "data.pt", NOTHING)
    assert of_nodes.labels is not None
    assert of_nodes.labels.y.tolist() == [0, 1, 1]


def test_a_data_of_before_version_2(tmp_path: Path) -> None:
    old = Data()
    old.__dict__.clear()
    old.__dict__.update(x=torch.eye(3), edge_index=torch.tensor([[0], [1]]), y=None, pos=None, __num_nodes__=3)
    found = _saved(tmp_path, old)
    assert (found.num_items, found.graph.num_edges) == (3, 1)


def test_hetero_data(tmp_path: Path) -> None:
    data = HeteroData()
    data["a"].x, data["b"].x = torch.rand(3, 2), torch.rand(2, 2)
    data["a", "to", "b"].edge_index = torch.tensor([[0, 2], [1, 0]])
    direct = _saved(tmp_path, data)
    InMemoryDataset.save([data], str(tmp_path / "data.pt"))
    assert direct.num_items == 5
    assert read(tmp_path / "data.pt", NOTHING).checksum == direct.checksum
    for several in ([data, data], Batch.from_data_list([data, data]), InMemoryDataset.collate([data, data])):
        with pytest.raises(InputError, match=r"to_homogeneous\(\)"):
            _saved(tmp_path, several)


class _Sparse:
    """Laid out as torch_sparse's class, which need not be installed."""


@pytest.mark.parametrize("kind", ["torch", "torch_sparse"])
def test_an_adjacency_matrix_in_place_of_edges(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Edges 0 -> 1 with weight 2 and 2 -> 1 with weight 1: in the transposed matrix both are in row 1.
    matrix: Any = torch.sparse_coo_tensor(torch.tensor([[1, 1], [0, 2]]), torch.tensor([2.0, 1.0]), (3, 3)).coalesce()
    if kind == "torch_sparse":
        monkeypatch.setitem(sys.modules, "torch_sparse", types.ModuleType("torch_sparse"))
        for name, place in (("SparseTensor", "torch_sparse.tensor"), ("SparseStorage", "torch_sparse.storage")):
            module = types.ModuleType(place)
            module.__dict__[name] = type(name, (_Sparse,), {"__module__": place})
            monkeypatch.setitem(sys.modules, place, module)
        storage = sys.modules["torch_sparse.storage"].SparseStorage()
        storage.__dict__.update(
            _row=None, _rowptr=torch.tensor([0, 0, 2, 2]), _col=torch.tensor([0, 2]),
            _value=torch.tensor([2.0, 1.0]), _sparse_sizes=(3, 3),
        )  # fmt: skip
        matrix = sys.modules["torch_sparse.tensor"].SparseTensor()
        matrix.storage = storage
    data = Data(x=torch.eye(3), adj_t=matrix)
    found = _saved(tmp_path, [data, data])
    assert found.graph.block.edge_index.tolist() == [[0, 2, 3, 5], [1, 1, 4, 4]]
    assert found.graph.block.weight is not None
    assert found.graph.block.weight.tolist() == [2, 1, 2, 1]
    assert torch.equal(dense_features(found.graph.x), torch.eye(3).repeat(2, 1))


class _Mine(Data):  # type: ignore[misc]
    pass


def test_classes_of_other_people_are_named_and_not_loaded(tmp_path: Path) -> None:
    torch.save(_Mine(x=torch.ones(2, 1)), tmp_path / "mine.pt")
    with pytest.raises(InputError, match=r"_Mine, which is not loaded.*nothing in it was run.*from_dict") as caught:
        read(tmp_path / "mine.pt", NOTHING)
    assert "damaged" not in str(caught.value)


def test_a_store_without_its_graph_is_damage(tmp_path: Path) -> None:
    data = HeteroData()
    data.__dict__.pop("_node_store_dict")
    with pytest.raises(InputError, match="damaged"):
        _saved(tmp_path, data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": torch.eye(3).to_sparse()}, "y is a sparse tensor"),
        ({"edge_attr": torch.tensor(3.0)}, r"edge_attr has shape \(\), but there are 4 edges"),
        ({"y": {"a": 1}}, "y holds a dict"),
        ({"edge_index": "0 1"}, "edge_index is a str"),
    ],
)
def test_attributes_that_are_none(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _saved(tmp_path, [_graph(3), {**_graph(3).to_dict(), **change}])


def test_what_only_some_types_have_is_named(tmp_path: Path) -> None:
    data = HeteroData()
    data["a"].x, data["b"].x, data["a"].pos = torch.rand(3, 2), torch.rand(2, 2), [1, 2, 3]
    data["a", "to", "b"].edge_index = data["b", "to", "a"].edge_index = torch.tensor([[0, 1], [1, 0]])
    data["a", "to", "b"].edge_attr = data["b", "to", "a"].edge_attr = torch.rand(2, 3)
    found = _saved(tmp_path, data)
    assert any(note.startswith("attributes of single types that are not read: edge_attr, pos") for note in found.notes)
