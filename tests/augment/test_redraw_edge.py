"""Edges from a block model of the graph: blocks and degrees stay in expectation, the other edges exactly."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gssl.augment.redraw_edge import RedrawEdge, partition
from gssl.common.errors import InputError
from gssl.graph.storage import Graph
from gssl.samplers.named import graphsage
from gssl.testing.toy import toy_batch, toy_graph


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def communities(nodes: int = 60, seed: int = 0) -> Graph:
    """Two halves with many edges within and few between, and a hub in the first."""
    draws = torch.rand(nodes, nodes, generator=generator(seed))
    half = torch.arange(nodes) < nodes // 2
    upper = draws < torch.where(half[:, None] == half, 0.25, 0.01)
    upper[0, : nodes // 2] = True
    upper = upper.triu(1)
    return Graph.from_edge_index((upper | upper.T).nonzero().T, torch.eye(nodes))


def dense(graph_edges: Tensor, nodes: int) -> Tensor:
    matrix = torch.zeros(nodes, nodes)
    matrix.index_put_((graph_edges[0], graph_edges[1]), torch.ones(graph_edges.shape[1]), accumulate=True)
    return matrix


def test_edges_stay_between_their_blocks_and_degrees_stay_in_expectation() -> None:
    graph = communities()
    batch = graph.full_batch()
    block = partition(graph.block.pattern, 2)
    halves = torch.arange(60) < 30
    assert (block[halves] == block[0]).all(), "METIS finds the halves"
    before = dense(graph.block.edge_index, 60)
    mean = torch.zeros(60, 60)
    for seed in range(200):
        view = RedrawEdge(ratio=1.0, blocks=2)(batch, generator(seed))
        now = dense(view.blocks[0].edge_index, 60)
        assert torch.equal(now, now.T)
        assert float(now.max()) == 1
        assert float(now.diagonal().sum()) == 0
        for one in (0, 1):
            for other in (0, 1):
                here, there = block == one, block == other
                assert now[here][:, there].sum() <= before[here][:, there].sum()
        mean += now / 200
    assert float(mean.sum() / before.sum()) > 0.75, "few draws are loops or repeated"
    degrees = torch.stack([before.sum(1), mean.sum(1)])
    assert float(torch.corrcoef(degrees)[0, 1]) > 0.95
    assert degrees[1].argmax() == 0, "the hub stays one"
    within = mean[1:30, 1:30]
    assert float((within > 0).float().mean()) > 0.9, "any two nodes of a block may be joined"


def test_only_the_drawn_edges_change() -> None:
    graph = communities()
    before = dense(graph.block.edge_index, 60)
    kept = [
        float(
            (
                dense(RedrawEdge(ratio=0.2, blocks=2)(graph.full_batch(), generator(seed)).blocks[0].edge_index, 60)
                * before
            ).sum()
        )
        for seed in range(40)
    ]
    share = sum(kept) / len(kept) / float(before.sum())
    assert 0.8 < share < 0.9  # and some of those that were drawn anew are where another was
    view = RedrawEdge(ratio=0.0)(graph.full_batch(), generator())
    assert torch.equal(view.blocks[0].edge_index, graph.block.edge_index)


def test_attributes_go_with_their_edge_in_both_directions() -> None:
    batch = communities().full_batch()
    (block,) = batch.blocks
    pair = block.edge_index.sort(0).values
    name = (pair[0] * 60 + pair[1]).float()
    batch = replace(batch, blocks=(replace(block, edge_attr=name[:, None], weight=name),))
    (new,) = RedrawEdge(ratio=0.5, blocks=2)(batch, generator()).blocks
    assert new.edge_attr is not None
    assert new.weight is not None
    value = dict(zip(map(tuple, new.edge_index.T.tolist()), new.weight.tolist(), strict=True))
    assert all(value[end, start] == found for (start, end), found in value.items())
    assert torch.equal(new.edge_attr[:, 0], new.weight)
    assert len(set(value.values())) == len(value) // 2


def test_edges_do_not_leave_their_graph() -> None:
    batch = toy_batch("graph")
    graph = batch.graph_index()
    for seed in range(10):
        start, end = RedrawEdge(ratio=1.0, blocks=4)(batch, generator(seed)).blocks[0].edge_index
        assert torch.equal(graph[start], graph[end])


def test_the_partition_is_made_once() -> None:
    pattern = toy_graph().block.pattern
    assert partition(pattern, 4) is partition(pattern, 4)
    assert len(partition(pattern, 10_000)) == 48


def test_batches_that_were_sampled_layer_by_layer_are_refused() -> None:
    batch = next(iter(graphsage(toy_graph(), batch_size=8, num_layers=2, seed=0).epoch(0)))
    with pytest.raises(InputError, match="RedrawEdge needs whole graphs"):
        RedrawEdge()(batch, generator())
