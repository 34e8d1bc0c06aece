"""Random walks with restart and the subgraphs that they span, against loops and networkx."""

import math
from itertools import pairwise

import networkx as nx
import pytest
import torch
from torch import Tensor

from gssl.augment.ego_nets import NOWHERE, ego_nets, restart_walks, simple_pattern, walk_steps
from gssl.graph.sparse import Pattern
from gssl.testing.toy import toy_graph


def pattern_of(graph: nx.Graph) -> Pattern:
    edges = torch.tensor([*graph.edges, *((j, i) for i, j in graph.edges)], dtype=torch.int64).view(-1, 2).T
    size = graph.number_of_nodes()
    return Pattern.from_coo(edges[0], edges[1], size, size)[0]


def steps_of(count: int, steps: int) -> Tensor:
    return torch.full((count,), steps)


def test_simple_patterns_are_undirected_without_loops_and_parallel_edges() -> None:
    row, col = torch.tensor([0, 0, 1, 2, 2, 3, 3]), torch.tensor([1, 1, 0, 2, 3, 1, 1])
    found = simple_pattern(Pattern.from_coo(row, col, 5, 5)[0])
    assert sorted(zip(found.row.tolist(), found.col.tolist(), strict=True)) == [
        (0, 1), (1, 0), (1, 3), (2, 3), (3, 1), (3, 2)
    ]  # fmt: skip


def test_walks_step_along_edges_and_begin_at_seeds() -> None:
    graph = nx.gnm_random_graph(30, 60, seed=1)
    pattern, seeds = pattern_of(graph), torch.tensor([0, 5, 5, 29])
    path = restart_walks(pattern, seeds, torch.tensor([40, 40, 7, 1]), 0.3, 11)
    assert path.shape == (4, 40)
    assert (path != NOWHERE).sum(1).tolist() == [40, 40, 7, 1]
    for seed, walk in zip(seeds.tolist(), path.tolist(), strict=True):
        if not graph.degree[seed]:
            continue
        assert graph.has_edge(seed, walk[0])
        for before, after in pairwise(node for node in walk if node != NOWHERE):
            assert graph.has_edge(before, after) or graph.has_edge(seed, after)


@pytest.mark.parametrize("restart", [0.2, 0.8, 1.0])
def test_walks_visit_nodes_as_often_as_their_distribution_says(restart: float) -> None:
    """On a path of five nodes from its end: products with the transition matrix, step by step."""
    graph = nx.path_graph(5)
    pattern, repeats, steps = pattern_of(graph), 4000, 12
    transition = torch.tensor(nx.to_numpy_array(graph))
    transition = transition / transition.sum(1, keepdim=True)
    at, begin = transition[0], transition[0]
    expected = [at]
    for _ in range(steps - 1):
        at = restart * begin + (1 - restart) * (at @ transition)
        expected.append(at)
    # Walks of one seed differ by the stream alone.
    paths = torch.cat(
        [restart_walks(pattern, torch.tensor([0]), steps_of(1, steps), restart, s) for s in range(repeats)]
    )
    found = torch.stack([torch.bincount(paths[:, t], minlength=5) for t in range(steps)]) / repeats
    torch.testing.assert_close(found.double(), torch.stack(expected), atol=4.5 * 0.5 / repeats**0.5, rtol=0)


def test_a_walk_depends_on_its_seed_and_stream_alone() -> None:
    pattern = simple_pattern(toy_graph().block.pattern)
    seeds = torch.tensor([3, 9, 20])
    together = restart_walks(pattern, seeds, torch.tensor([30, 50, 30]), 0.5, 7)
    alone = restart_walks(pattern, seeds[2:], steps_of(1, 30), 0.5, 7)
    assert torch.equal(together[2:, :30], alone)
    other = restart_walks(pattern, seeds[2:], steps_of(1, 30), 0.5, 8)
    assert not torch.equal(alone, other)


def test_nodes_without_neighbors_are_not_left() -> None:
    pattern = pattern_of(nx.empty_graph(3))
    assert restart_walks(pattern, torch.tensor([1]), steps_of(1, 4), 0.5, 0).tolist() == [[1, 1, 1, 1]]
    net = ego_nets(pattern, torch.tensor([1]), torch.tensor([[1, 1]]))
    assert (net.nodes.tolist(), net.ptr.tolist(), net.roots.tolist(), net.pattern.nnz) == ([1], [0, 1], [0], 0)


def test_nets_are_induced_subgraphs() -> None:
    graph = nx.gnm_random_graph(40, 90, seed=2)
    pattern, seeds = pattern_of(graph), torch.tensor([7, 7, 0, 39])
    visited = restart_walks(pattern, seeds, torch.tensor([20, 5, 20, 1]), 0.4, 3)
    nets = ego_nets(pattern, seeds, visited)
    for number, (a, b) in enumerate(pairwise(nets.ptr.tolist())):
        nodes = nets.nodes[a:b].tolist()
        expected = {int(seeds[number]), *visited[number].tolist()} - {NOWHERE}
        assert nodes == sorted(expected)
        assert nets.nodes[nets.roots[number]] == seeds[number]
        assert a <= nets.roots[number] < b
        edges = nets.pattern.filter((nets.pattern.row >= a) & (nets.pattern.row < b))
        found = {(nodes[i - a], nodes[j - a]) for i, j in zip(edges.row.tolist(), edges.col.tolist(), strict=True)}
        wanted = graph.subgraph(nodes).to_directed().edges
        assert found == set(wanted)


def test_hubs_have_more_steps() -> None:
    found = walk_steps(torch.tensor([0, 10, 5000]), 256, 0.8)
    assert found.tolist()[:2] == [256, 256]
    assert found[2].item() == int(5000**0.75 * math.e / (math.e - 1) / 0.8 + 0.5) > 256


def test_no_seeds_make_no_nets() -> None:
    pattern = pattern_of(nx.path_graph(3))
    nothing = torch.empty(0, dtype=torch.int64)
    nets = ego_nets(pattern, nothing, restart_walks(pattern, nothing, nothing, 0.5, 0))
    assert (nets.nodes.numel(), nets.ptr.tolist(), nets.pattern.nnz) == (0, [0], 0)
