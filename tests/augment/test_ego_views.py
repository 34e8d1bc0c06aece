"""Ego networks and walks with restarts against networkx and a walker of its own."""

from collections import Counter

import networkx as nx
import pytest
import torch

from gssl.augment.ego_net import EgoNet, random_nodes
from gssl.augment.restart_walk import RestartWalk, neighbors
from gssl.common.errors import InputError
from gssl.graph.sparse import Pattern, dense_features
from gssl.graph.storage import Graph
from gssl.registry import SAMPLERS
from gssl.testing.toy import toy_graph, toy_graphs


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def path(size: int) -> Graph:
    here = torch.arange(size - 1)
    return Graph.from_edge_index(torch.stack([here, here + 1]), torch.eye(size))  # one direction only


@pytest.mark.parametrize("hops", [1, 2, 4])
def test_an_ego_net_is_what_is_within_so_many_steps_of_a_node(hops: int) -> None:
    graph = toy_graph(num_nodes=60, isolated=3)
    whole = nx.Graph([tuple(edge) for edge in graph.block.edge_index.T.tolist()])
    whole.add_nodes_from(range(60))
    expected = {frozenset(nx.single_source_shortest_path_length(whole, node, cutoff=hops)) for node in range(60)}
    for seed in range(20):
        view = EgoNet(hops=hops)(graph.full_batch(), rng(seed))
        kept = view.node_ids.tolist()
        assert frozenset(kept) in expected
        assert view.blocks[0].num_edges == 2 * whole.subgraph(kept).number_of_edges()
        assert torch.equal(dense_features(view.x), dense_features(graph.x)[view.node_ids])


def test_directions_are_ignored_and_every_node_is_a_centre_alike() -> None:
    graph = path(5)
    counts = Counter(tuple(EgoNet(hops=1)(graph.full_batch(), rng(seed)).node_ids.tolist()) for seed in range(400))
    assert counts.keys() == {(0, 1), (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4)}
    assert all(50 < count < 110 for count in counts.values())


def test_every_graph_of_a_batch_has_a_centre_of_its_own() -> None:
    graphs = toy_graphs(num_graphs=12)
    view = EgoNet(hops=1)(graphs.full_batch(), rng())
    assert view.num_graphs == 12
    assert view.graph_ptr is not None
    assert graphs.ptr is not None
    assert bool((view.graph_ptr.diff() >= 1).all())
    assert bool((view.graph_ptr.diff() <= graphs.ptr.diff()).all())


def test_a_segment_without_items_has_no_random_one() -> None:
    found = random_nodes(torch.tensor([0, 3, 3, 4]), rng())
    assert len(found) == 2
    assert 0 <= int(found[0]) < 3
    assert int(found[1]) == 3


def test_neighbors_are_drawn_alike_whichever_way_edges_point() -> None:
    pattern = Pattern.from_coo(torch.tensor([1, 1, 3]), torch.tensor([0, 2, 1]), 5, 5)[0]
    draws = torch.rand(3000, dtype=torch.float64, generator=rng())
    counts = Counter(neighbors(pattern, torch.full((3000,), 1), draws).tolist())
    assert counts.keys() == {0, 2, 3}
    assert all(900 < count < 1100 for count in counts.values())
    assert neighbors(pattern, torch.tensor([4, 0]), draws[:2]).tolist() == [4, 1]


def test_a_walk_that_always_restarts_leaves_its_first_node_alone() -> None:
    graph = toy_graph()
    assert RestartWalk(steps=50, restart=1.0)(graph.full_batch(), rng()).num_nodes == 1
    view = RestartWalk(steps=400, restart=0.0)(toy_graph(num_nodes=20).full_batch(), rng())
    assert view.num_nodes == 20, "without restarts it finds a small graph"


def test_a_walk_visits_nodes_as_often_as_a_walker_would() -> None:
    """The share of seeds in which a node is visited, against walks that are done step by step."""
    graph, steps, restart = path(7), 6, 0.3
    found = torch.zeros(7)
    for seed in range(600):
        found[RestartWalk(steps=steps, restart=restart)(graph.full_batch(), rng(seed)).node_ids] += 1 / 600
    draw, expected = torch.Generator().manual_seed(99), torch.zeros(7)
    for _ in range(3000):
        first = here = int(torch.randint(7, (), generator=draw))
        visited = {first}
        for _ in range(steps):
            others = [node for node in (here - 1, here + 1) if 0 <= node < 7]
            back = float(torch.rand((), generator=draw)) < restart
            here = first if back else others[int(torch.randint(len(others), (), generator=draw))]
            visited.add(here)
        expected[list(visited)] += 1 / 3000
    torch.testing.assert_close(found, expected, atol=0.07, rtol=0)


def test_batches_that_are_no_graphs_are_refused() -> None:
    batch = next(iter(SAMPLERS.get("graphsage")(toy_graph(), num_layers=2, batch_size=9).epoch(0)))
    for view in (EgoNet(), RestartWalk()):
        with pytest.raises(InputError, match="needs whole graphs"):
            view(batch, rng())
