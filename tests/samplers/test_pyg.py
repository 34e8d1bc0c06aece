from collections.abc import Callable

import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.loader import NodeLoader

from gssl.common.errors import InputError
from gssl.samplers.propagation.base import Backend
from gssl.samplers.pyg import LaborSampling, NeighborSampling
from gssl.testing.toy import toy_graph

SAMPLERS: list[type[NeighborSampling]] = [NeighborSampling, LaborSampling]


def example() -> Data:
    graph = toy_graph(num_nodes=80, isolated=2)
    edges = graph.block.edge_index
    edges = edges[:, torch.randperm(edges.shape[1], generator=torch.Generator().manual_seed(0))]
    return Data(x=graph.x, edge_index=edges, edge_attr=torch.arange(edges.shape[1]), y=torch.arange(80))


def batches(data: Data, sampler: NeighborSampling, workers: int) -> list[Data]:
    return list(NodeLoader(data, sampler, batch_size=16, num_workers=workers))


@pytest.mark.parametrize("make", SAMPLERS)
def test_node_loader_gives_subgraphs_of_the_data(make: Callable[..., NeighborSampling]) -> None:
    data = example()
    found = batches(data, make(data, fanouts=(4, 2)), 0)
    assert torch.equal(torch.cat([b.n_id[: b.batch_size] for b in found]), torch.arange(80))
    for batch in found:
        assert torch.equal(batch.x, data.x[batch.n_id])
        assert torch.equal(batch.n_id[batch.edge_index], data.edge_index[:, batch.e_id])
        assert torch.equal(batch.edge_attr, batch.e_id)
        assert len(batch.n_id.unique()) == len(batch.n_id) == sum(batch.num_sampled_nodes)
        assert batch.edge_index.shape[1] == sum(batch.num_sampled_edges)
        assert len(batch.e_id.unique()) == len(batch.e_id)
        inner = batch.edge_index[1] < sum(batch.num_sampled_nodes[:2])
        assert bool(inner.all())  # what the last hop added is not expanded


def test_no_node_has_more_edges_than_its_fanout() -> None:
    data = example()
    degree = torch.bincount(data.edge_index[1], minlength=80)
    for batch in batches(data, NeighborSampling(data, fanouts=(4, 2)), 0):
        hop = torch.full((len(batch.n_id),), 2)
        hop[: batch.batch_size] = 4
        hop[sum(batch.num_sampled_nodes[:2]) :] = 0
        wanted = torch.minimum(hop, degree[batch.n_id])
        assert torch.equal(torch.bincount(batch.edge_index[1], minlength=len(hop)), wanted)


@pytest.mark.parametrize("make", SAMPLERS)
def test_workers_do_not_matter(make: Callable[..., NeighborSampling]) -> None:
    data = example()
    sampler = make(data, fanouts=(3, 2))
    alone, helped = batches(data, sampler, 0), batches(data, sampler, 2)
    for a, b in zip(alone, helped, strict=True):
        assert torch.equal(a.e_id, b.e_id)
        assert torch.equal(a.n_id, b.n_id)
    sampler.epoch = 1
    assert any(a.e_id.tolist() != b.e_id.tolist() for a, b in zip(alone, batches(data, sampler, 0), strict=True))


@pytest.mark.parametrize("make", SAMPLERS)
def test_both_backends_make_the_same_batch(make: Callable[..., NeighborSampling]) -> None:
    data = example()
    backends: tuple[Backend, ...] = ("numba", "torch")
    left, right = (batches(data, make(data, fanouts=(3, 2, -1), backend=b), 0) for b in backends)
    for a, b in zip(left, right, strict=True):
        assert torch.equal(a.e_id, b.e_id)
        assert torch.equal(a.edge_index, b.edge_index)


def test_what_it_cannot_do() -> None:
    data = example()
    with pytest.raises(InputError, match="distinct"):
        next(
            iter(NodeLoader(data, NeighborSampling(data, fanouts=(3,)), input_nodes=torch.tensor([1, 1]), batch_size=2))
        )
    with pytest.raises(InputError, match="a fan-out must be positive"):
        NeighborSampling(data, fanouts=(0,))
