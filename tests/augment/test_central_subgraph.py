"""Central subgraphs against networkx and exact PageRank."""

import networkx as nx
import numpy as np
import pytest
import torch
from torch import Tensor

from gssl.augment.central_subgraph import CentralSubgraphs, with_own
from gssl.common.errors import InputError
from gssl.graph.sparse import Pattern, dense_features
from gssl.graph.storage import Graph
from gssl.testing.toy import toy_graph


def subgraphs(graph: Graph, size: int = 6) -> CentralSubgraphs:
    return CentralSubgraphs.of(graph, size=size, alpha=0.15, eps=1e-9)


def scores(graph: Graph, alpha: float = 0.15) -> np.ndarray:
    """``pi_j / d_j`` of a walk with restarts from each row's node, by powers of the transition matrix."""
    n = graph.num_nodes
    adjacency = np.eye(n)
    source, target = graph.block.edge_index.numpy()
    adjacency[target, source] += 1
    degree = adjacency.sum(1)
    walk, state = adjacency / degree[:, None], np.eye(n)
    total = np.zeros((n, n))
    for step in range(300):
        total += alpha * (1 - alpha) ** step * state
        state = state @ walk
    result: np.ndarray = total / degree
    return result


def test_members_have_the_greatest_pagerank_for_their_degree() -> None:
    graph = toy_graph(num_nodes=60, isolated=2)
    view, exact = subgraphs(graph), scores(toy_graph(num_nodes=60, isolated=2))
    assert int(view.members.counts.max()) == 6
    for node in range(60):
        found = view.members.select_rows(torch.tensor([node]))[0].col.long().numpy()
        assert node in found
        np.testing.assert_allclose(
            np.sort(exact[node][found])[::-1], np.sort(exact[node])[::-1][: len(found)], atol=1e-7
        )


def test_an_isolated_node_is_alone_and_components_do_not_meet() -> None:
    graph = toy_graph(num_nodes=30, isolated=1)
    view = subgraphs(graph, size=29)
    batch, owner = view.batch(torch.tensor([29, 0]))
    assert batch.node_ids[owner == 0].tolist() == [29]
    assert 29 not in batch.node_ids[owner == 1].tolist()


@pytest.mark.parametrize("attributes", [False, True])
def test_a_batch_holds_the_induced_subgraphs_side_by_side(attributes: bool) -> None:
    graph = toy_graph(num_nodes=60, attributes=attributes)
    whole = nx.DiGraph([tuple(edge) for edge in graph.block.edge_index.T.tolist()])
    weight = dict(zip(map(tuple, graph.block.edge_index.T.tolist()), range(graph.num_edges), strict=True))
    view, centers = subgraphs(graph), torch.tensor([7, 3, 7, 40])
    batch, owner = view.batch(centers)
    assert torch.equal(batch.node_ids[:4], centers)
    assert torch.equal(owner[:4], torch.arange(4))
    assert batch.is_square
    assert batch.num_targets == batch.num_nodes
    assert torch.equal(dense_features(batch.x), dense_features(graph.x)[batch.node_ids])
    source, target = batch.blocks[0].edge_index
    assert torch.equal(owner[source], owner[target]), "an edge joins two subgraphs"
    for group in range(4):
        members = view.members.select_rows(centers[group : group + 1])[0].col.long().tolist()
        assert sorted(batch.node_ids[owner == group].tolist()) == sorted(members)
        inside = owner[source] == group
        edges = batch.node_ids[torch.stack([source, target])[:, inside]].T.tolist()
        assert sorted(map(tuple, edges)) == sorted(whole.subgraph(members).edges)
        if attributes:
            places = [weight[tuple(edge)] for edge in edges]
            block, own = graph.block, batch.blocks[0]
            assert own.weight is not None
            assert block.weight is not None
            assert own.edge_attr is not None
            assert block.edge_attr is not None
            assert torch.equal(own.weight[inside], block.weight[places])
            assert torch.equal(own.edge_attr[inside], block.edge_attr[places])


def test_a_row_that_leads_away_from_its_own_node_gets_it() -> None:
    rows, columns = torch.tensor([0, 0, 1, 1, 1, 2]), torch.tensor([0, 1, 0, 2, 3, 3])
    pattern = Pattern.from_coo(rows, columns, 4, 4)[0]
    changed = with_own(pattern, 3)
    lists = [changed.col[a:b].tolist() for a, b in zip(changed.rowptr[:-1], changed.rowptr[1:], strict=True)]
    assert lists == [[0, 1], [0, 1, 2], [2, 3], [3]]
    full = with_own(changed, 3)
    assert full is changed


def test_members_are_found_once_for_each_set_of_options() -> None:
    graph = toy_graph()
    assert subgraphs(graph).members is subgraphs(graph).members
    assert subgraphs(graph, size=3).members is not subgraphs(graph).members


def test_no_centers_give_an_empty_batch() -> None:
    nothing: Tensor = torch.empty(0, dtype=torch.int64)
    batch, owner = subgraphs(toy_graph()).batch(nothing)
    assert batch.num_nodes == len(owner) == 0


def test_bad_options_are_refused() -> None:
    with pytest.raises(InputError, match="alpha must be in"):
        CentralSubgraphs.of(toy_graph(), size=5, alpha=0.0, eps=1e-4)
    with pytest.raises(InputError, match="top_k must be positive"):
        CentralSubgraphs.of(toy_graph(), size=0, alpha=0.2, eps=1e-4)
