"""Selection by degree: what probabilities are in proportion to."""

from typing import Any

import pytest
import torch

from gssl.common.errors import InputError
from gssl.graph.storage import Graph
from gssl.samplers.selection.degree import Degree, node_sizes
from gssl.testing.toy import toy_graph


def dense_adjacency(graph: Graph) -> torch.Tensor:
    """A + I with destinations as rows, from the edges one by one."""
    dense = torch.eye(graph.num_nodes, dtype=torch.float64)
    weight = torch.ones(graph.num_edges) if graph.block.weight is None else graph.block.weight
    for (source, target), value in zip(graph.block.edge_index.T.tolist(), weight.tolist(), strict=True):
        dense[target, source] += value
    return dense


def directed() -> Graph:
    edges = torch.tensor([[0, 0, 0, 1, 2, 4], [1, 2, 3, 0, 3, 0]])
    return Graph.from_edge_index(edges, torch.ones(6, 1), edge_weight=torch.tensor([1.0, 2.0, 0.5, 3.0, 1.0, 4.0]))


@pytest.mark.parametrize("graph", [toy_graph(attributes=True, isolated=2), toy_graph(), directed()])
def test_sizes_are_those_of_the_columns_of_the_dense_adjacency(graph: Graph) -> None:
    dense = dense_adjacency(graph)
    scale = dense.sum(1).rsqrt()
    column = (scale[:, None] * dense * scale).square().sum(0)
    assert torch.allclose(node_sizes(graph.block, "degree"), dense.sum(0))
    assert torch.allclose(node_sizes(graph.block, "column"), column, rtol=1e-5)


def test_degrees_count_edges_that_leave() -> None:
    """A node whose messages go far matters more than one that hears from many."""
    sizes = node_sizes(directed().block, "degree")
    assert sizes.tolist() == [4.5, 4, 2, 1, 5, 1]


def test_probabilities_are_in_proportion_and_hubs_are_certain() -> None:
    star = torch.stack([torch.zeros(9, dtype=torch.int64), torch.arange(1, 10)])
    graph = Graph.from_edge_index(torch.cat([star, star.flip(0)], dim=1), torch.ones(11, 1))
    p = Degree(graph, batch_size=4).probability
    assert p[0] == 1
    assert p[1:10].tolist() == pytest.approx([3 * 2 / 19] * 9)
    assert float(p[10]) == pytest.approx(3 / 19)  # no neighbors, and still within reach


def test_only_items_share_the_expected_number() -> None:
    items = torch.tensor([7, 1, 20])
    selection = Degree(toy_graph(), items=items, batch_size=2)
    assert selection.probability.shape == (3,)
    assert float(selection.probability.sum()) == pytest.approx(2)


def test_fixed_batches_have_the_size_that_was_asked_for() -> None:
    selection = Degree(toy_graph(), batch_size=9, draw="fixed")
    draws = [draw for epoch in range(5) for draw in selection.epoch(epoch)]
    assert {len(draw.ids) for draw in draws} == {9}
    assert len({tuple(sorted(draw.ids.tolist())) for draw in draws}) > 20  # of 30; an order may give one twice


def test_frequencies_are_the_probabilities() -> None:
    """Within 5 standard deviations for each item, both ways to draw."""
    for draw in ("poisson", "fixed"):
        selection = Degree(toy_graph(), batch_size=9, draw=draw)
        counts, total = torch.zeros(48, dtype=torch.float64), 0
        for epoch in range(400):
            for found in selection.epoch(epoch):
                counts[found.ids] += 1
                total += 1
        p = selection.probability
        assert bool(((counts / total - p).abs() < 5 * (p * (1 - p) / total).sqrt() + 1e-9).all())


@pytest.mark.parametrize("option", [{"size": "norm"}, {"draw": "systematic"}])
def test_unknown_choices(option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="selection degree"):
        Degree(toy_graph(), batch_size=2, **option)
