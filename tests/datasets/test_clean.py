"""Any edges and features become a graph that encoders can trust, or an error that names the fault."""

import re
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.clean import clean_features, clean_graph
from gssl.graph.sparse import SparseMatrix, dense_features
from gssl.graph.storage import Graph


def _edges(graph: Graph) -> list[tuple[int, int]]:
    return [(int(u), int(v)) for u, v in graph.block.edge_index.T]


@st.composite
def edge_lists(draw: st.DrawFn) -> tuple[int, np.ndarray]:
    """A number of nodes and edges among them, with loops and repeats."""
    nodes = draw(st.integers(1, 12))
    count = draw(st.integers(0, 40))
    return nodes, draw(hnp.arrays(np.int64, (2, count), elements=st.integers(0, nodes - 1)))


@settings(deadline=None)
@given(edge_lists(), st.booleans())
def test_the_graph_equals_networkx_without_loops(case: tuple[int, np.ndarray], undirected: bool) -> None:
    nodes, edges = case
    wanted: Any = nx.Graph() if undirected else nx.DiGraph()
    wanted.add_nodes_from(range(nodes))
    wanted.add_edges_from((u, v) for u, v in edges.T.tolist() if u != v)
    graph, _ = clean_graph(edges, np.ones((nodes, 3)), undirected=undirected)
    assert graph.num_nodes == nodes
    assert sorted(_edges(graph)) == sorted(wanted.to_directed().edges)


@settings(deadline=None)
@given(edge_lists())
def test_notes_say_how_many_edges_went(case: tuple[int, np.ndarray]) -> None:
    nodes, edges = case
    graph, notes = clean_graph(edges, np.ones((nodes, 3)))
    gone = sum(int(found[1]) for note in notes if (found := re.match(r"(\d+) (self-loops|duplicate)", note)))
    assert graph.num_edges + gone == edges.shape[1]
    assert ("the graph has no edges" in notes) == (graph.num_edges == 0)


@settings(deadline=None)
@given(edge_lists(), st.randoms(use_true_random=False))
def test_the_order_of_edges_does_not_matter(case: tuple[int, np.ndarray], random: Any) -> None:
    nodes, edges = case
    order = list(range(edges.shape[1]))
    random.shuffle(order)
    x = np.ones((nodes, 3))
    one, two = (clean_graph(e, x)[0].block.pattern for e in (edges, edges[:, order]))
    assert torch.equal(one.rowptr, two.rowptr)
    assert torch.equal(one.col, two.col)


@settings(deadline=None)
@given(edge_lists(), st.booleans())
def test_weights_add_up_and_attributes_stay_with_their_edge(case: tuple[int, np.ndarray], undirected: bool) -> None:
    nodes, edges = case
    attributes = np.stack([edges[0] * 100 + edges[1], -edges[0]], axis=1).astype(np.float32)
    graph, _ = clean_graph(
        edges,
        np.ones((nodes, 3)),
        edge_attr=attributes,
        edge_weight=np.ones(edges.shape[1], np.float32),
        undirected=undirected,
    )
    assert graph.block.weight is not None
    assert graph.block.edge_attr is not None
    given_edges = [tuple(edge) for edge in edges.T.tolist()]
    for (u, v), weight, attribute in zip(_edges(graph), graph.block.weight, graph.block.edge_attr, strict=True):
        u, v = (u, v) if (u, v) in given_edges else (v, u)
        assert float(weight) == given_edges.count((u, v))
        assert attribute.tolist() == [u * 100 + v, -u]


def test_what_merged_edges_lose_is_said() -> None:
    edges, x = np.array([[0, 0, 1, 0, 1], [1, 1, 0, 1, 0]]), np.ones((2, 3))
    graph, notes = clean_graph(edges, x, edge_attr=np.array([1, 2, 3, 1, 3]), edge_weight=np.ones(5))
    assert graph.block.edge_attr is not None
    assert sorted(graph.block.edge_attr[:, 0].tolist()) == [1, 3]
    assert "3 duplicate edges merged, their weights added up" in notes
    assert "1 of the merged edges had other attributes than the first of them, which has its own" in notes
    same = clean_graph(edges, x, edge_attr=np.array([1, 1, 3, 1, 3]))[1]
    assert "3 duplicate edges merged" in same
    assert not any("attributes" in note for note in same)


@settings(deadline=None)
@given(edge_lists(), st.integers(-(2**40), 2**40))
def test_ids_out_of_range_are_named(case: tuple[int, np.ndarray], wrong: int) -> None:
    nodes, edges = case
    bad = np.concatenate([edges, np.array([[0], [wrong]])], axis=1)
    if 0 <= wrong < nodes:
        clean_graph(bad, np.ones((nodes, 3)))
        return
    with pytest.raises(InputError, match=rf"node {wrong} at edge {edges.shape[1]}, but there are {nodes} nodes"):
        clean_graph(bad, np.ones((nodes, 3)))


@settings(deadline=None)
@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.floats()))
def test_features_are_finite_float32_or_refused(x: np.ndarray) -> None:
    with np.errstate(over="ignore"):
        single = x.astype(np.float32)
    wrong = ~np.isfinite(single)
    if wrong.any():
        rows, columns = wrong.any(axis=1).sum(), wrong.any(axis=0).sum()
        with pytest.raises(InputError, match=rf"x has {wrong.sum()} values .* in {rows} rows and {columns} columns"):
            clean_features(x, "x")
    else:
        assert np.array_equal(dense_features(clean_features(x, "x")).numpy(), single)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.array([{}, [], None], dtype=object), "dtype object"),
        (np.array([["a"], ["b"], ["c"]]), "objects or text"),
        (np.ones(3), r"shape \(num_nodes, features\)"),
        (np.ones((3, 2, 2)), r"shape \(num_nodes, features\)"),
        (np.ones((3, 0)), "no columns"),
        (np.ones((3, 2), complex), "complex"),
        ([[1, 2], [3, 4], [5, 6]], "is a list"),
    ],
)
def test_features_that_are_no_matrix_of_numbers(x: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        clean_graph(np.array([[0, 1], [1, 2]]), x)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        (np.array([[0, 1], [1, 2], [2, 0]]), "transpose"),
        (np.array([0, 1]), r"shape \(2, num_edges\)"),
        (np.array([[0.0, 1.0], [1.0, 2.0]]), "int64"),
        (np.array([[None, 1], [1, 2]], dtype=object), "dtype object"),
    ],
)
def test_edges_of_the_wrong_form(edges: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        clean_graph(edges, np.ones((3, 2)))


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("edge_attr", np.ones((3, 2)), "there are 2 edges"),
        ("edge_weight", np.ones((2, 2)), "one number an edge"),
        ("edge_attr", np.full((2, 2), np.inf), "NaN or infinite in 2 rows and 2 columns"),
    ],
)
def test_edge_values_that_do_not_fit(name: str, values: np.ndarray, message: str) -> None:
    options: dict[str, Any] = {name: values}
    with pytest.raises(InputError, match=message):
        clean_graph(np.array([[0, 1], [1, 2]]), np.ones((3, 2)), **options)


@pytest.mark.parametrize("dtype", [">i4", "<i2", "u1", "u8", "i8"])
def test_ids_of_any_integer_type(dtype: str) -> None:
    graph, _ = clean_graph(np.array([[0, 1], [1, 2]], dtype=dtype)[:, ::-1], np.ones((3, 2), ">f8"))
    assert _edges(graph) == [(0, 1), (1, 2)]


def test_no_edges_and_isolated_nodes_are_fine() -> None:
    graph, notes = clean_graph(np.zeros((2, 0)), np.ones((4, 3)))
    assert (graph.num_nodes, graph.num_edges) == (4, 0)
    assert notes == ("the graph has no edges",)
    turned, _ = graph.block.pattern.transposed
    assert turned.nnz == 0


def test_missing_features_are_one_hot_degrees() -> None:
    graph, notes = clean_graph(np.array([[0, 1, 2, 3], [3, 3, 3, 3]]), None, num_nodes=4)
    assert dense_features(graph.x).tolist() == [[1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    assert any(note.startswith("degree features") for note in notes)


def test_degrees_above_the_cap_share_the_last_column() -> None:
    star = np.stack([np.arange(1, 1001), np.zeros(1000, np.int64)])
    graph, _ = clean_graph(star, None, num_nodes=1001)
    assert graph.in_dim == 401
    assert float(dense_features(graph.x)[0, 400]) == 1.0


def test_an_edge_between_two_graphs_of_a_collection() -> None:
    x, ptr = np.ones((5, 2)), torch.tensor([0, 2, 2, 5])
    graph, _ = clean_graph(np.array([[0, 2, 4], [1, 3, 3]]), x, ptr=ptr)
    assert graph.num_graphs == 3
    with pytest.raises(InputError, match="edge 1 connects graph 0 with graph 2"):
        clean_graph(np.array([[0, 1], [1, 2]]), x, ptr=ptr)
    with pytest.raises(InputError, match="offsets"):
        clean_graph(np.array([[0], [1]]), x, ptr=torch.tensor([0, 2, 6]))


@pytest.mark.parametrize("layout", ["coo", "csr"])
def test_sparse_tensors_stay_sparse(layout: str) -> None:
    dense = torch.tensor([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 3.0]])
    given_x = dense.to_sparse_coo() if layout == "coo" else dense.to_sparse_csr()
    x = clean_features(given_x, "x")
    assert isinstance(x, SparseMatrix)
    assert torch.equal(x.to_dense(), dense)
    with pytest.raises(InputError, match="NaN"):
        clean_features((dense * torch.nan).to_sparse_coo(), "x")


@pytest.mark.parametrize(("dim", "ones", "sparse"), [(100, 4, True), (100, 5, False), (63, 1, False)])
def test_wide_features_with_few_entries_become_sparse(dim: int, ones: int, sparse: bool) -> None:
    dense: Tensor = torch.zeros(10, dim)
    dense[:, :ones] = 1.0
    x = clean_features(dense, "x")
    assert isinstance(x, SparseMatrix) == sparse
    assert torch.equal(dense_features(x), dense)


def test_the_given_arrays_are_not_changed() -> None:
    edges, x = torch.tensor([[0, 1, 1], [1, 1, 0]]), torch.rand(2, 3)
    before = edges.clone(), x.clone()
    graph, _ = clean_graph(edges, x)
    assert torch.equal(edges, before[0])
    assert torch.equal(x, before[1])
    assert graph.num_edges == 2


def test_values_beyond_float32_are_told_from_missing_ones() -> None:
    with pytest.raises(InputError, match=r"x has 2 values .*float32, which ends at 3\.4e38 \(they are up to 1e\+300\)"):
        clean_graph(np.array([[0], [1]]), np.array([[1e300], [1e300]]))
