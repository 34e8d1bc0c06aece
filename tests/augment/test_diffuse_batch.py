"""The diffusion of a batch's own edges, against the diffusion of a graph and dense matrices."""

from typing import Any

import networkx as nx
import pytest
import torch
from torch import Tensor

from gssl.api.parts import augment_data
from gssl.augment.diffuse import Diffuse
from gssl.augment.diffuse_batch import DiffuseBatch
from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.diffusion import exact_ppr
from gssl.graph.sparse import SparseMatrix
from gssl.graph.storage import Graph
from gssl.methods.contrast import Contrast
from gssl.models.gcn import GCN
from gssl.models.ops import gcn_aggregate
from gssl.registry import SAMPLERS
from gssl.testing.toy import toy_graph, toy_graphs, without_edges

RNG = torch.Generator()


def product(batch: MiniBatch) -> Tensor:
    return gcn_aggregate(batch.blocks[0], torch.eye(batch.num_nodes))


@pytest.mark.parametrize("kernel", ["ppr", "heat"])
@pytest.mark.parametrize("graph", [toy_graph(isolated=3), toy_graphs()], ids=["one graph", "a collection"])
def test_of_the_whole_graph_it_is_the_graphs_diffusion(kernel: Any, graph: Graph) -> None:
    whole = Diffuse.of(graph, kernel=kernel, eps=1e-9)(graph.full_batch(), RNG)
    for exact in (False, True):
        view = DiffuseBatch(kernel=kernel, eps=1e-9, top_k=None, exact=exact)(graph.full_batch(), RNG)
        torch.testing.assert_close(product(view), product(whole), rtol=1e-4, atol=1e-6)


def test_of_a_subgraph_it_is_that_of_the_subgraph_by_itself() -> None:
    graph = toy_graph(num_nodes=80)
    batch = next(iter(SAMPLERS.get("uniform+induced")(graph, num_layers=2, batch_size=30).epoch(0)))
    view = DiffuseBatch(exact=True, top_k=None)(batch, RNG)
    alone = SparseMatrix(*exact_ppr(batch.blocks[0])).to_dense()
    torch.testing.assert_close(product(view), alone, rtol=1e-4, atol=1e-6)
    assert view.num_targets == batch.num_targets


def test_a_batch_that_comes_again_is_not_diffused_anew() -> None:
    graph = toy_graph()
    first, other = DiffuseBatch(), DiffuseBatch(alpha=0.5)
    block = first(graph.full_batch(), RNG).blocks[0]
    assert DiffuseBatch()(graph.full_batch(), RNG).blocks[0] is block
    assert other(graph.full_batch(), RNG).blocks[0] is not block


def test_entries_are_weights_where_layers_do_not_normalise() -> None:
    graph = toy_graph()
    block = DiffuseBatch(normalized=False, exact=True, top_k=None)(graph.full_batch(), RNG).blocks[0]
    assert block.weight is not None
    found = SparseMatrix(block.pattern, block.weight).to_dense()
    torch.testing.assert_close(found, SparseMatrix(*exact_ppr(graph.block)).to_dense())
    assert block.full_degree is None


def test_without_edges_every_node_keeps_its_own() -> None:
    batch = without_edges(toy_graph().full_batch())
    for exact in (False, True):
        torch.testing.assert_close(product(DiffuseBatch(exact=exact)(batch, RNG)), torch.eye(48), atol=1e-3, rtol=0)


def test_it_is_a_view_by_its_name() -> None:
    graph = toy_graph()
    torch.manual_seed(0)
    views = [[], [{"diffuse": {"top_k": 8}}, "mask_feature"]]
    method = Contrast(GCN(graph.in_dim, hidden_dim=8), views=views)  # type: ignore[arg-type]
    assert bool(method.loss(graph.full_batch()).isfinite())
    source, target = graph.block.edge_index
    data = nx.Graph(list(zip(source.tolist(), target.tolist(), strict=True)))
    nx.set_node_attributes(data, {node: [1.0] for node in data}, "x")
    view = augment_data("diffuse", data, exact=True, normalized=False)
    assert view.edge_index.shape[1] > graph.num_edges
    assert bool((view.edge_weight > 0).all())


def test_bad_input_says_what_to_change() -> None:
    graph = toy_graph()
    layered = next(iter(SAMPLERS.get("graphsage")(graph, num_layers=2, batch_size=9).epoch(0)))
    with pytest.raises(InputError, match=r"sampled layer by layer.*clustergcn"):
        DiffuseBatch()(layered, RNG)
    weight = torch.ones(graph.num_edges, requires_grad=True)
    learned = graph.full_batch().map_blocks(lambda block: type(block)(block.pattern, weight))
    with pytest.raises(InputError, match="weights are learned"):
        DiffuseBatch()(learned, RNG)
    negative = graph.full_batch().map_blocks(lambda block: type(block)(block.pattern, -torch.ones(block.num_edges)))
    with pytest.raises(InputError, match="not negative"):
        DiffuseBatch()(negative, RNG)
