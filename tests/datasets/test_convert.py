"""Graphs of networkx and PyG as datasets."""

from typing import Any

import networkx as nx
import numpy as np
import pytest
import scipy.sparse
import torch
from torch_geometric.data import Batch, Data
from torch_geometric.utils import from_networkx as pyg_from_networkx

from gssl.common.errors import InputError
from gssl.datasets.convert import as_dataset, from_arrays, from_networkx, from_pyg
from gssl.datasets.types import Dataset
from gssl.graph.sparse import dense_features


def _edges(data: Dataset) -> set[tuple[int, int]]:
    return {(int(u), int(v)) for u, v in data.graph.block.edge_index.T}


def test_karate_club_equals_pygs_conversion() -> None:
    club = nx.karate_club_graph()
    data = from_networkx(club, y="club", name="karate")
    assert _edges(data) == {tuple(edge) for edge in pyg_from_networkx(club).edge_index.T.tolist()}
    assert data.labels is not None
    assert data.labels.y.bincount().tolist() == [17, 17]
    assert int(data.labels.y[0]) == 0  # "Mr. Hi" comes before "Officer"
    assert torch.equal(dense_features(data.graph.x).argmax(dim=1), torch.tensor([d for _, d in club.degree]))
    assert (data.name, data.level) == ("karate", "node")


def test_weights_and_directions_are_kept() -> None:
    graph = nx.DiGraph()
    graph.add_nodes_from("abc", size=1.0)
    graph.add_edge("a", "b", w=2.0)
    graph.add_edge("b", "c")
    data = from_networkx(graph, x="size", weight="w")
    assert _edges(data) == {(0, 1), (1, 2)}
    assert data.graph.block.weight is not None
    assert data.graph.block.weight.tolist() == [2.0, 1.0]
    assert "1 of 2 edges have no w: they weigh 1" in data.notes
    undirected = from_networkx(graph.to_undirected(), x="size", weight="w")
    assert _edges(undirected) == {(0, 1), (1, 0), (1, 2), (2, 1)}
    assert undirected.graph.block.weight is not None
    assert sorted(undirected.graph.block.weight.tolist()) == [1.0, 1.0, 2.0, 2.0]


def test_parallel_edges_and_several_attributes() -> None:
    graph = nx.MultiGraph()
    for node in range(3):
        graph.add_node(node, size=float(node), place=[1.0, 2.0], kind=node)
    graph.add_edges_from([(0, 1), (0, 1), (1, 2)])
    data = from_networkx(graph, x=["size", "place"], y="kind")
    assert data.graph.num_edges == 4
    assert dense_features(data.graph.x).tolist() == [[0, 1, 2], [1, 1, 2], [2, 1, 2]]
    assert data.labels is not None
    assert data.labels.num_classes == 3


def test_empty_graph_of_networkx() -> None:
    graph = nx.empty_graph(3)
    nx.set_node_attributes(graph, 1.0, "x")
    assert from_networkx(graph, x="x").graph.num_edges == 0


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({0: {"x": 1.0}, 1: {}}, "node 1 has no attribute 'x'"),
        ({0: {"x": [1.0, 2.0]}, 1: {"x": [1.0]}}, "different lengths"),
        ({0: {"x": "red"}, 1: {"x": "blue"}}, "objects or text"),
        ({0: {"x": float("nan")}, 1: {"x": 1.0}}, "NaN or infinite"),
    ],
)
def test_attributes_that_are_no_features(attributes: dict[int, dict[str, Any]], message: str) -> None:
    graph = nx.path_graph(2)
    nx.set_node_attributes(graph, attributes)
    with pytest.raises(InputError, match=message):
        from_networkx(graph, x="x")


def _data(**more: Any) -> Data:
    return Data(edge_index=torch.tensor([[0, 1, 2], [1, 2, 0]]), x=torch.eye(3), **more)


def test_a_pyg_graph_with_everything() -> None:
    mask = torch.tensor([True, False, False])
    data = from_pyg(
        _data(
            y=torch.tensor([0, 1, 1]),
            edge_attr=torch.arange(3.0),
            edge_weight=torch.tensor([1.0, 2.0, 3.0]),
            train_mask=mask,
            val_mask=mask.roll(1),
            test_mask=mask.roll(2),
        )
    )
    assert data.graph.block.edge_attr is not None
    assert data.graph.block.weight is not None
    order = [[0, 1], [1, 2], [2, 0]]
    for edge, attr, weight in zip(
        data.graph.block.edge_index.T.tolist(), data.graph.block.edge_attr, data.graph.block.weight, strict=True
    ):
        assert attr.tolist() == [order.index(edge)]
        assert float(weight) == order.index(edge) + 1
    assert [part.tolist() for part in (data.splits[0].train, data.splits[0].val, data.splits[0].test)] == [
        [0],
        [1],
        [2],
    ]


def test_no_labels_and_no_validation_mask_are_fine() -> None:
    mask = torch.tensor([True, False, False])
    data = from_pyg(_data(train_mask=mask, test_mask=~mask))
    assert data.labels is None
    assert data.splits[0].val.numel() == 0
    assert data.metric == "accuracy"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"train_mask": torch.ones(3).bool()}, "train_mask only"),
        ({"train_mask": torch.ones(2).bool(), "test_mask": torch.ones(3).bool()}, r"train_mask has shape \(2,\)"),
        ({"train_mask": torch.tensor([0, 1, 2]), "test_mask": torch.ones(3).bool()}, "true or false"),
        ({"y": torch.tensor([0, 1])}, "there are 3 items"),
    ],
)
def test_unusable_attributes(more: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_pyg(_data(**more))


def test_a_graph_without_features_needs_a_number_of_nodes() -> None:
    edges = torch.tensor([[0, 1], [1, 2]])
    assert from_pyg(Data(edge_index=edges, num_nodes=5)).graph.num_nodes == 5
    assert from_pyg(Data(edge_index=edges, y=torch.zeros(4).long())).graph.num_nodes == 4
    with pytest.raises(InputError, match="num_nodes"):
        from_pyg(Data(edge_index=edges))
    for wrong in (-1, 10**15, np.array([1, 2]), 2.5):
        with pytest.raises(InputError, match="num_nodes must be one whole number"):
            from_arrays({"edge_index": edges, "num_nodes": wrong}, name="wrong")


def test_labels_of_every_kind_choose_their_metric() -> None:
    assert from_pyg(_data(y=torch.rand(3))).metric == "rmse"
    assert from_pyg(_data(y=torch.tensor([[0, 1], [1, 1], [1, 0]]))).metric == "roc_auc"
    labels = from_arrays(
        {"edge_index": np.zeros((2, 0)), "x": np.eye(3), "y": np.array(["b", "a", "b"])}, name="n"
    ).labels
    assert labels is not None
    assert labels.y.tolist() == [1, 0, 1]


def test_a_list_of_graphs_is_a_graph_level_dataset() -> None:
    small = Data(
        edge_index=torch.tensor([[0], [1]]), x=torch.ones(2, 3), y=torch.tensor([1]), edge_attr=torch.ones(1, 2)
    )
    large = Data(
        edge_index=torch.tensor([[0, 2], [1, 1]]), x=torch.zeros(3, 3), y=torch.tensor(0), edge_attr=torch.zeros(2, 2)
    )
    data = from_pyg([small, large, small])
    assert (data.level, data.num_items, data.graph.num_nodes) == ("graph", 3, 7)
    assert _edges(data) == {(0, 1), (2, 3), (4, 3), (5, 6)}
    assert data.labels is not None
    assert data.labels.y.tolist() == [1, 0, 1]
    batch = data.graph.graph_batch(torch.tensor([1]))
    assert {(int(u), int(v)) for u, v in batch.blocks[0].edge_index.T} == {(0, 1), (2, 1)}


def test_lists_of_graphs_that_do_not_fit_together() -> None:
    one = Data(edge_index=torch.tensor([[0], [1]]), x=torch.ones(2, 3))
    with pytest.raises(InputError, match="the list of graphs is empty"):
        from_pyg([])
    with pytest.raises(InputError, match="different widths"):
        from_pyg([one, Data(edge_index=torch.tensor([[0], [1]]), x=torch.ones(2, 4))])
    with pytest.raises(InputError, match="1 of 2 graphs have no edge_attr, graph 0 is the first"):
        from_pyg([one, Data(edge_index=torch.tensor([[0], [1]]), x=torch.ones(2, 3), edge_attr=torch.ones(1, 1))])


@pytest.mark.parametrize("thing", [torch.ones(3), "graph", 5, None])
def test_what_is_no_graph(thing: Any) -> None:
    with pytest.raises(InputError, match="is no graph"):
        from_pyg(thing)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"edge_index": torch.tensor([[0], [2]])}, "graph 1: edge_index holds node 2 at edge 0, but there are 2 nodes"),
        ({"edge_index": torch.tensor([[0, 1], [1, 0], [0, 1]])}, "graph 1: edge_index must have shape .* transpose it"),
        ({"edge_attr": torch.ones(3, 1)}, r"graph 1: edge_attr has shape \(3, 1\), but there are 1 edges"),
        ({"x": None}, "graph 1: there is no x .* set num_nodes"),
        ({"x": torch.ones(2)}, "graph 1: x must have shape"),
    ],
)
def test_each_graph_of_a_list_is_checked_by_itself(wrong: dict[str, Any], message: str) -> None:
    right = {"edge_index": torch.tensor([[0], [1]]), "x": torch.ones(2, 3)}
    with pytest.raises(InputError, match=message):
        from_pyg([Data(**right), Data(**{**right, **wrong}), Data(**right)])


def test_negative_weights_and_graphs_without_nodes_are_refused() -> None:
    with pytest.raises(InputError, match=r"edge_weight is negative at edge 1 \(-0.5\)"):
        from_pyg(_data(edge_weight=torch.tensor([1.0, -0.5, 0.0])))
    with pytest.raises(InputError, match="there are no nodes"):
        from_pyg(Data(edge_index=torch.zeros(2, 0, dtype=torch.long), x=torch.zeros(0, 3)))


def test_nodes_of_networkx_without_a_label_or_a_part() -> None:
    graph = nx.path_graph(4)
    nx.set_node_attributes(graph, {0: {"y": "a", "split": "train"}, 1: {"y": "b", "split": "test"}, 3: {"y": "a"}})
    data = as_dataset(graph)
    assert data.labels is not None
    assert data.labels.y.tolist() == [0, 1, -1, 0]
    assert [part.tolist() for part in (data.splits[0].train, data.splits[0].val, data.splits[0].test)] == [[0], [], [1]]
    assert any("1 of 4 items have no label" in note for note in data.notes)


def test_attributes_of_edges_that_networkx_keeps_and_nobody_reads_are_named() -> None:
    graph = nx.Graph([(0, 1, {"since": 3}), (1, 2, {"weight": 2.0})])
    notes = as_dataset(graph).notes
    assert "edge attributes that are not read: since" in notes
    assert not any("reverse" in note for note in as_dataset(nx.DiGraph(graph)).notes)


def test_batches_and_datasets_of_pyg_are_lists_of_graphs() -> None:
    graphs = [_data(y=torch.tensor([k % 2])) for k in range(4)]
    expected = from_pyg(graphs)
    assert as_dataset(Batch.from_data_list(graphs)).checksum == expected.checksum


def test_what_a_list_cannot_hold_gets_the_line_that_converts_it() -> None:
    with pytest.raises(InputError, match=r"\[torch_geometric\.utils\.from_networkx\(graph"):
        as_dataset([nx.path_graph(3)])
    with pytest.raises(InputError, match=r"from_scipy_sparse_matrix\(matrix\)"):
        as_dataset(scipy.sparse.eye(3))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"edge_weight": torch.tensor([-1.0])}, "graph 1: edge_weight is negative at edge 0"),
        ({"edge_weight": torch.tensor([float("nan")])}, "graph 1: edge_weight has 1 values that are NaN"),
        ({"x": torch.full((2, 3), float("inf"))}, "graph 1: x has 6 values that are NaN or infinite"),
        ({"x": torch.ones(2, 4)}, r"x has different widths: \(3,\) in graph 0 and \(4,\) in graph 1"),
    ],
)
def test_of_a_list_the_graph_is_named(values: dict[str, torch.Tensor], message: str) -> None:
    good = {"edge_index": torch.tensor([[0], [1]]), "x": torch.ones(2, 3), "edge_weight": torch.ones(1)}
    with pytest.raises(InputError, match=message):
        from_pyg([good, {**good, **values}])


def test_truth_values_of_formats_that_have_none() -> None:
    graph = nx.path_graph(3)
    for node, (train, test) in enumerate([("True", "False"), ("False", "true"), ("0", "1")]):
        graph.nodes[node].update(y=node, train_mask=train, test_mask=test)
    (split,) = from_networkx(graph, y="y").splits
    assert [split.train.tolist(), split.test.tolist()] == [[0], [1, 2]]
    graph.nodes[0]["train_mask"] = "no"
    with pytest.raises(InputError, match="train_mask is 'no', but must be true or false"):
        from_networkx(graph, y="y")


def test_a_batch_that_was_put_together_by_hand() -> None:
    edges = torch.tensor([[0, 1, 2], [1, 2, 3]])
    batch = Batch(x=torch.eye(4), edge_index=edges, batch=torch.tensor([0, 0, 1, 1]), y=torch.tensor([0, 1]))
    with pytest.raises(InputError, match="the Batch does not say where its graphs begin"):
        as_dataset(batch)
