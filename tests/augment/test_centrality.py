"""Centralities against networkx, and what GCA makes of them against loops."""

import math

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gssl.augment.centrality import (
    Centrality,
    centrality,
    degree_centrality,
    drop_probability,
    eigenvector_centrality,
    feature_weight,
    log_range,
    pagerank,
)
from gssl.common.errors import InputError
from gssl.graph.block import Block
from gssl.graph.sparse import SparseMatrix
from gssl.graph.storage import Graph

KINDS: list[Centrality] = ["degree", "eigenvector", "pagerank"]


def block_of(graph: nx.Graph | nx.DiGraph, *, weighted: bool = False) -> Block:
    directed = graph if graph.is_directed() else graph.to_directed()
    edges = torch.tensor(list(directed.edges), dtype=torch.int64).reshape(-1, 2).T
    weight = torch.tensor([data["weight"] for *_, data in directed.edges(data=True)]) if weighted else None
    return Graph.from_edge_index(edges, torch.ones(len(graph), 1), edge_weight=weight).block


def strong(n: int, seed: int) -> nx.DiGraph:
    """A directed graph in one strongly connected part."""
    graph = nx.gnp_random_graph(n, 0.2, seed=seed, directed=True)
    nx.add_cycle(graph, range(n))
    return graph


@pytest.mark.parametrize("n", [8, 40])  # with and without ARPACK
@pytest.mark.parametrize("seed", [0, 1])
def test_eigenvector_centrality_is_that_of_networkx(n: int, seed: int) -> None:
    undirected = nx.compose(nx.gnp_random_graph(n, 0.2, seed=seed), nx.path_graph(n))
    for graph in (undirected, strong(n, seed), nx.star_graph(n - 1)):  # a star is bipartite: -lambda is one, too
        expected = nx.eigenvector_centrality_numpy(graph)
        found = eigenvector_centrality(block_of(graph))
        np.testing.assert_allclose(found.numpy(), [expected[node] for node in range(n)], atol=2e-8)


@pytest.mark.parametrize("n", [8, 40])
def test_eigenvector_centrality_counts_weights(n: int) -> None:
    graph = nx.path_graph(n)
    for number, (*_, data) in enumerate(graph.edges(data=True)):
        data["weight"] = 1.0 + number % 3
    expected = nx.eigenvector_centrality_numpy(graph, weight="weight")
    found = eigenvector_centrality(block_of(graph, weighted=True))
    np.testing.assert_allclose(found.numpy(), [expected[node] for node in range(n)], atol=2e-8)


@pytest.mark.parametrize("size", [4, 20])
def test_eigenvector_centrality_of_several_parts(size: int) -> None:
    """The part with the greatest eigenvalue has it all, the same in every call."""
    clique, path = nx.complete_graph(size), nx.path_graph(size)
    block = block_of(nx.disjoint_union_all([path, clique, nx.empty_graph(3)]))
    found = eigenvector_centrality(block)
    np.testing.assert_allclose(found[:size], 1e-8, atol=1e-7)
    np.testing.assert_allclose(found[size : 2 * size], size**-0.5, atol=1e-7)
    assert torch.equal(found, eigenvector_centrality(block))


@pytest.mark.parametrize("n", [5, 60])
def test_eigenvector_centrality_without_cycles_is_the_same_everywhere(n: int) -> None:
    tree = nx.DiGraph((i, i + 1) for i in range(n - 1))
    nothing = nx.empty_graph(n)
    for graph in (tree, nothing):
        np.testing.assert_allclose(eigenvector_centrality(block_of(graph)), n**-0.5, atol=1e-7)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pagerank_is_that_of_networkx(seed: int) -> None:
    for graph in (
        nx.gnp_random_graph(30, 0.05, seed=seed),  # with isolated nodes
        nx.gnp_random_graph(30, 0.05, seed=seed, directed=True),  # with dangling ones
    ):
        expected = nx.pagerank(graph, tol=1e-13, max_iter=1000)
        found = pagerank(block_of(graph))
        assert float(found.min()) >= 1
        np.testing.assert_allclose(found / found.sum(), [expected[node] for node in range(30)], rtol=1e-6)


def test_pagerank_solves_the_equation_of_the_paper() -> None:
    graph = strong(12, 3)
    out = np.array([graph.out_degree(node) for node in range(12)])
    adjacency = nx.to_numpy_array(graph).T  # rows are what is pointed to
    expected = np.linalg.solve(np.eye(12) - 0.7 * adjacency / out, np.ones(12))
    np.testing.assert_allclose(pagerank(block_of(graph), damping=0.7), expected, rtol=1e-8)


def test_degree_is_the_number_of_in_edges() -> None:
    graph = nx.DiGraph([(0, 2), (1, 2), (2, 1)])
    assert degree_centrality(block_of(graph)).tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_graphs_without_nodes_or_edges(kind: Centrality) -> None:
    assert centrality(block_of(nx.empty_graph(0)), kind).shape == (0,)
    assert torch.isfinite(centrality(block_of(nx.empty_graph(3)), kind)).all()
    assert centrality(block_of(nx.path_graph(3)), kind).dtype == torch.float64


@pytest.mark.parametrize("kind", KINDS)
def test_sampled_blocks_are_refused(kind: Centrality) -> None:
    with pytest.raises(InputError, match="all edges of a graph"):
        centrality(block_of(nx.path_graph(5)).head(2), kind)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=12), st.floats(0, 0.99), st.floats(0.1, 1))
def test_probabilities_are_those_of_the_paper(weights: list[float], p: float, cutoff: float) -> None:
    weight = torch.tensor(weights, dtype=torch.float64)
    most, mean = log_range(weight)
    found = drop_probability(weight, p, most=most, mean=mean, cutoff=cutoff)
    logs = [math.log(w) for w in weights]
    spread = max(logs) - sum(logs) / len(logs)
    for log, probability in zip(logs, found.tolist(), strict=True):
        expected = min((max(logs) - log) / spread * p, cutoff) if spread > 1e-9 else min(p, cutoff)
        assert probability == pytest.approx(expected, abs=1e-6)


def test_without_a_cutoff_the_mean_is_p() -> None:
    weight = torch.tensor([1.0, 2, 3, 50], dtype=torch.float64)
    most, mean = log_range(weight)
    found = drop_probability(weight, 0.3, most=most, mean=mean, cutoff=1.0)
    assert float(found.mean()) == pytest.approx(0.3)
    assert float(found[-1]) == 0  # the most important one stays


def test_what_weighs_nothing_goes_most_often() -> None:
    """In GCA's code a word that never occurs turns every probability into nan or zero."""
    weight = torch.tensor([0.0, 1.0, 4.0])
    most, mean = log_range(weight)
    assert drop_probability(weight, 0.3, most=most, mean=mean, cutoff=0.7).tolist() == pytest.approx([0.7, 0.6, 0.0])
    assert drop_probability(weight, 0.0, most=most, mean=mean, cutoff=0.7).tolist() == [0, 0, 0]
    assert log_range(torch.zeros(2)) == (1.0, 0.0)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
def test_feature_weights_sum_over_nodes(binary: bool, sparse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gssl.augment.centrality._ROWS", 2)
    x = torch.tensor([[0.0, 2.0, -1.0], [3.0, 0.0, 0.5], [0.0, 0.0, -2.0]])
    node = torch.tensor([1.0, 10.0, 100.0])
    found = feature_weight(SparseMatrix.from_dense(x) if sparse else x, node, binary=binary)
    expected: Tensor = torch.tensor([10.0, 1.0, 111.0] if binary else [30.0, 2.0, 206.0])
    assert torch.equal(found, expected.double())
