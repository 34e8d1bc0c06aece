"""Centers of spectral clusters, and stars around them, against dense matrices and networkx."""

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
import torch

from gssl.augment import representatives
from gssl.augment.representatives import Stars, spectral_centers, stars_around
from gssl.common.errors import InputError
from gssl.graph.sparse import Pattern, dense_features
from gssl.graph.storage import Graph
from gssl.models.gcn import GCN
from gssl.testing.toy import toy_graph


def pattern_of(graph: nx.Graph) -> Pattern:
    """Each undirected edge in one direction only, so that it must be taken as undirected."""
    row, col = torch.tensor(list(graph.edges())).T
    size = graph.number_of_nodes()
    return Pattern.from_coo(row, col, size, size)[0]


def caves(count: int, size: int) -> nx.Graph:
    """Cliques on a ring, each joined with the next by one edge."""
    return nx.connected_caveman_graph(count, size)


def test_low_frequencies_find_the_caves_and_one_center_of_each() -> None:
    graph = caves(6, 8)
    for small in (1, 1000):  # by iteration, and by all eigenvectors
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(representatives, "_SMALL", small)
            centers = spectral_centers(pattern_of(graph), 6, spectrum="low", seed=3)
        assert sorted((centers // 8).tolist()) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("spectrum", ["high", "low"])
def test_centers_are_the_longest_rows_of_the_eigenvectors(spectrum: representatives.Spectrum) -> None:
    graph = nx.gnp_random_graph(40, 0.2, seed=1)
    laplacian = nx.normalized_laplacian_matrix(graph).toarray()
    vectors = np.linalg.eigh(laplacian)[1]
    chosen = vectors[:, -5:] if spectrum == "high" else vectors[:, :5]
    length = np.linalg.norm(chosen, axis=1)
    centers = spectral_centers(pattern_of(graph), 5, spectrum=spectrum, seed=0)
    assert len(set(centers.tolist())) == len(centers) == 5
    assert int(np.argmax(length)) in centers.tolist()  # the longest of all is the longest of its cluster
    assert length[centers.numpy()].mean() > np.sort(length)[-12:].mean() * 0.7
    again = spectral_centers(pattern_of(graph), 5, spectrum=spectrum, seed=0)
    assert torch.equal(centers, again)


def test_stars_share_no_node_and_are_of_the_neighborhood() -> None:
    graph = caves(6, 8)
    pattern = pattern_of(graph)
    centers = torch.tensor([0, 3, 20, 47])  # the first two are neighbors
    for least, most in ((0, 100), (30, 100), (30, 5)):
        stars = stars_around(pattern, centers, least=least, most=most, seed=1)
        leaves = [{int(n) for n in star if n >= 0} for star in stars.leaves]
        nodes = torch.tensor([*stars.centers.tolist(), *(n for star in leaves for n in star)])
        assert len(nodes.unique()) == len(nodes)
        distance = dict(nx.all_pairs_shortest_path_length(graph))
        for number, center in enumerate(stars.centers.tolist()):
            star = leaves[number]
            hops = next(
                h for h in range(2, 11) if sum(0 < d <= h for d in distance[center].values()) >= least or h == 10
            )
            near = {n for n, d in distance[center].items() if 0 < d <= hops}
            assert star <= near - set(centers.tolist())
            assert len(star) <= most
            if most == 100 and center in (0, 20):  # the first to choose takes all that are no centers
                assert star == near - set(centers.tolist()) - set[int]().union(*leaves[:number])
    other = stars_around(pattern, centers, least=30, most=5, seed=2)
    assert not torch.equal(other.leaves, stars.leaves)


def test_centers_without_neighbors_have_no_star() -> None:
    row, col = torch.tensor([[0, 1, 1, 2, 5], [1, 0, 2, 1, 5]])
    pattern = Pattern.from_coo(row, col, 6, 6)[0]
    stars = stars_around(pattern, torch.tensor([4, 1, 5]), least=10, most=10)
    assert stars.centers.tolist() == [1]
    assert stars.leaves.tolist() == [[0, 2, *[-1] * 8]]
    padded = stars.padded(3)
    assert padded.centers.tolist() == [1, -1, -1]
    assert torch.equal(padded.known.leaves, stars.leaves)
    empty = Pattern.from_coo(row[:0], col[:0], 6, 6)[0]
    assert not len(stars_around(empty, torch.tensor([4, 1]), least=10, most=10).centers)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_a_batch_of_stars_is_a_graph_of_its_own(num_layers: int) -> None:
    graph = toy_graph()
    stars = Stars(torch.tensor([5, 9]), torch.tensor([[1, 2, -1], [30, -1, -1]]))
    order = torch.randperm(48, generator=torch.Generator().manual_seed(0))
    assert isinstance(graph.x, torch.Tensor)
    weight = torch.arange(48.0)
    moved = replace(graph.full_batch(), x=graph.x[order], node_ids=order, weight=weight[order])
    batch = stars.batch(moved, num_layers=num_layers)
    assert batch.node_ids.tolist() == [5, 9, 1, 2, 30]
    assert torch.equal(dense_features(batch.x), graph.x[batch.node_ids])
    assert batch.weight is not None
    assert batch.weight.tolist() == [5, 9]
    assert len(batch.blocks) == num_layers
    assert batch.blocks[-1].edge_index.tolist() == [[2, 3, 4], [0, 0, 1]]
    torch.manual_seed(0)
    encoder = GCN(24, hidden_dim=6, num_layers=num_layers)
    alone = Graph.from_edge_index(torch.tensor([[2, 3, 4], [0, 0, 1]]), graph.x[batch.node_ids])
    torch.testing.assert_close(encoder(batch), encoder(alone.full_batch())[:2])


def test_bad_input_says_what_to_change() -> None:
    with pytest.raises(InputError, match="fewer clusters than nodes: 48 of 48"):
        spectral_centers(toy_graph().block.pattern, 48)
    stars = Stars(torch.tensor([60]), torch.tensor([[1]]))
    with pytest.raises(InputError, match="nodes that the batch has not"):
        stars.batch(toy_graph().full_batch(), num_layers=1)
