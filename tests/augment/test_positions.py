"""Positions by eigenvectors, graph by graph with numpy."""

from itertools import count, pairwise

import networkx as nx
import numpy as np
import pytest
import torch
from torch import Tensor

from gssl.augment import positions
from gssl.augment.positions import spectral_positions
from gssl.graph.sparse import Pattern


def normalised(graph: nx.Graph) -> np.ndarray:
    matrix = nx.to_numpy_array(graph)
    scale = np.maximum(matrix.sum(1), 1) ** -0.5
    return np.asarray(scale[:, None] * matrix * scale)


def drawn(nodes: int, edges: int, first: int = 0) -> nx.Graph:
    """A random graph whose eigenvalues are so far apart that its eigenvectors are known up to their signs."""
    graphs = (nx.gnm_random_graph(nodes, edges, seed=seed) for seed in count(first))
    return next(g for g in graphs if np.diff(np.linalg.eigvalsh(normalised(g))).min() > 1e-3)


GRAPHS = [
    drawn(9, 20),
    drawn(12, 25),
    nx.path_graph(2),
    nx.empty_graph(1),
    nx.path_graph(3),
    drawn(9, 16),
    drawn(24, 70),
]


def side_by_side(graphs: list[nx.Graph]) -> tuple[Pattern, Tensor]:
    whole = nx.disjoint_union_all(graphs)
    edges = torch.tensor([*whole.edges, *((j, i) for i, j in whole.edges)]).view(-1, 2).T
    ptr = torch.tensor([0, *(graph.number_of_nodes() for graph in graphs)]).cumsum(0)
    return Pattern.from_coo(edges[0], edges[1], int(ptr[-1]), int(ptr[-1]))[0], ptr


def reference(graph: nx.Graph, root: int, dim: int) -> np.ndarray:
    size = graph.number_of_nodes()
    kept = min(size - 2, dim)
    out = np.zeros((size, dim))
    if kept < 1:
        return out
    values, vectors = np.linalg.eigh(normalised(graph))
    vectors = vectors[:, np.argsort(-values, kind="stable")[:kept]]
    vectors = vectors * np.where(vectors[root] < 0, -1, 1)
    out[:, :kept] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return out


@pytest.mark.parametrize("dim", [4, 32])
def test_positions_are_those_of_each_graph_alone(dim: int) -> None:
    pattern, ptr = side_by_side(GRAPHS)
    places = torch.tensor([1, 0, 1, 0, 2, 4, 0])
    found = spectral_positions(pattern, ptr, ptr[:-1] + places, dim)
    assert found.dtype == torch.float32
    for graph, place, (a, b) in zip(GRAPHS, places.tolist(), pairwise(ptr.tolist()), strict=True):
        np.testing.assert_allclose(found[a:b].numpy(), reference(graph, place, dim), atol=1e-4)


def test_rows_are_of_length_one_and_graphs_of_two_nodes_have_none() -> None:
    pattern, ptr = side_by_side(GRAPHS)
    length = spectral_positions(pattern, ptr, ptr[:-1], 8).norm(dim=1)
    graph = torch.arange(len(GRAPHS)).repeat_interleave(ptr.diff())
    torch.testing.assert_close(length, torch.where(ptr.diff()[graph] < 3, 0.0, 1.0))


def test_large_graphs_have_the_same_by_another_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = [drawn(40, 200), drawn(40, 220)]
    pattern, ptr = side_by_side(graphs)
    dense = spectral_positions(pattern, ptr, ptr[:-1], 6)
    monkeypatch.setattr(positions, "_DENSE", 30)
    torch.testing.assert_close(spectral_positions(pattern, ptr, ptr[:-1], 6), dense, atol=1e-4, rtol=0)


def test_they_follow_a_renumbering_whatever_signs_the_solver_takes() -> None:
    graph = drawn(14, 30)
    order = np.random.default_rng(0).permutation(14)
    moved = nx.relabel_nodes(graph, dict(enumerate(order.tolist())))
    again = nx.Graph()
    again.add_nodes_from(range(14))
    again.add_edges_from(moved.edges)
    results = []
    for each, root in ((graph, 5), (again, int(order[5]))):
        pattern, ptr = side_by_side([each])
        results.append(spectral_positions(pattern, ptr, torch.tensor([root]), 5))
    torch.testing.assert_close(results[1][torch.from_numpy(order)], results[0], atol=1e-4, rtol=0)


def test_equal_eigenvalues_have_the_same_eigenvectors_wherever_a_graph_lies() -> None:
    """The leaves of a star and the nodes of a cycle: rounding alone would choose among their eigenvectors."""
    shapes = [nx.star_graph(8), nx.cycle_graph(9), nx.complete_graph(9)]
    for shape in shapes:
        pattern, ptr = side_by_side([shape])
        alone = spectral_positions(pattern, ptr, torch.tensor([3]), 7)
        others = [nx.gnm_random_graph(9, 15, seed=seed) for seed in range(5)]
        pattern, ptr = side_by_side([*others[:3], shape, *others[3:]])
        among = spectral_positions(pattern, ptr, ptr[:-1] + 3, 7)
        torch.testing.assert_close(among[ptr[3] : ptr[4]], alone, atol=1e-5, rtol=0)
