"""The diffusion as a view, against dense matrices."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gssl.augment.diffuse import Diffuse, as_is
from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import Pattern, dense_features
from gssl.graph.storage import Graph
from gssl.models.gcn import GCN, GCNLayer
from gssl.models.ops import gcn_aggregate
from gssl.registry import SAMPLERS
from gssl.testing.compare import permuted
from gssl.testing.toy import toy_graph, toy_graphs

RNG = torch.Generator()


def dense_ppr(graph: Graph, alpha: float = 0.2) -> Tensor:
    """``alpha (I - (1 - alpha) D^-1/2 (A + I) D^-1/2)^-1`` as the paper writes it, float64."""
    size = graph.num_nodes
    source, target = graph.block.edge_index
    a = torch.eye(size, dtype=torch.float64)
    a[target, source] += 1
    scale = a.sum(1).rsqrt()
    inverse: Tensor = torch.linalg.inv(torch.eye(size) - (1 - alpha) * scale[:, None] * a * scale)
    return alpha * inverse


def product(batch: MiniBatch, x: Tensor) -> Tensor:
    return gcn_aggregate(batch.blocks[0], x)


@pytest.mark.parametrize("graph", [toy_graph(isolated=3), toy_graphs()], ids=["one graph", "a collection"])
def test_gcn_multiplies_with_the_diffusion_and_nothing_else(graph: Graph) -> None:
    view = Diffuse.of(graph, eps=1e-9)(graph.full_batch(), RNG)
    assert view.is_square
    x = torch.randn(graph.num_nodes, 5)
    torch.testing.assert_close(product(view, x).double(), dense_ppr(graph) @ x.double(), rtol=1e-5, atol=1e-5)


def test_the_whole_layer_is_that_of_the_authors() -> None:
    graph = toy_graph()
    encoder = GCN(graph.in_dim, hidden_dim=4, num_layers=1, activation="prelu")
    layer = encoder.layer(0)
    assert isinstance(layer, GCNLayer)
    layer.bias.data = torch.randn(4)
    view = Diffuse.of(graph, eps=1e-9, alpha=0.3)(graph.full_batch(), RNG)
    before = dense_ppr(graph, 0.3).float() @ dense_features(graph.x) @ layer.weight + layer.bias
    expected = torch.where(before > 0, before, 0.25 * before)
    torch.testing.assert_close(encoder(view), expected, rtol=1e-4, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 47), min_size=1, max_size=48, unique=True))
def test_a_batch_has_the_entries_between_its_nodes(nodes: list[int]) -> None:
    graph, ids = toy_graph(), torch.tensor(nodes)
    batch = MiniBatch(dense_features(graph.x)[ids], (induced(graph, ids).block,), ids, len(nodes))
    view = Diffuse.of(graph, eps=1e-9)(batch, RNG)
    expected = dense_ppr(graph)[ids][:, ids]
    torch.testing.assert_close(product(view, torch.eye(len(nodes))).double(), expected, rtol=1e-5, atol=1e-6)


def test_what_top_k_left_out_stays_out_of_batches() -> None:
    graph, ids = toy_graph(), torch.arange(10, 30)
    batch = MiniBatch(dense_features(graph.x)[ids], (induced(graph, ids).block,), ids, 20)
    whole = dense_ppr(graph)
    kept = torch.zeros_like(whole).scatter(1, whole.topk(6).indices, whole.topk(6).values)[ids][:, ids].float()
    view = Diffuse.of(graph, eps=1e-9, top_k=6)(batch, RNG)
    torch.testing.assert_close(product(view, torch.eye(20)), kept, rtol=1e-4, atol=1e-5)
    assert view.blocks[0].num_edges < 20 * 7


def induced(graph: Graph, ids: Tensor) -> Graph:
    place = torch.full((graph.num_nodes,), -1)
    place[ids] = torch.arange(len(ids))
    edges = place[graph.block.edge_index]
    return Graph.from_edge_index(edges[:, (edges >= 0).all(0)], dense_features(graph.x)[ids])


def test_nodes_are_known_in_any_order() -> None:
    for graph in (toy_graph(), toy_graphs()):
        view, x = Diffuse.of(graph), torch.randn(graph.num_nodes, 3)
        moved, _ = permuted(graph.full_batch(), torch.Generator().manual_seed(2))
        whole = product(view(graph.full_batch(), RNG), x)
        torch.testing.assert_close(product(view(moved, RNG), x[moved.node_ids]), whole[moved.node_ids])


def test_graphs_of_a_batch_are_apart_even_where_one_is_there_twice() -> None:
    graph = toy_graphs()
    batch = graph.graph_batch(torch.tensor([5, 0, 5, 2]))
    view = Diffuse.of(graph, eps=1e-9)(batch, RNG)
    of_graph = batch.graph_index()
    expected = dense_ppr(graph)[batch.node_ids][:, batch.node_ids] * (of_graph[:, None] == of_graph)
    got = product(view, torch.eye(batch.num_nodes)).double()
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


def test_the_blocks_of_a_layered_batch_become_one() -> None:
    graph = toy_graph()
    batch = next(iter(SAMPLERS.get("uniform+exact")(graph, num_layers=2, batch_size=5).epoch(0)))
    view = Diffuse.of(graph, eps=1e-9)(batch, RNG)
    assert view.is_square
    assert GCN(graph.in_dim, hidden_dim=4)(view).shape == (5, 4)
    ids = batch.node_ids
    expected = dense_ppr(graph)[ids][:, ids]
    torch.testing.assert_close(product(view, torch.eye(len(ids))).double(), expected, rtol=1e-5, atol=1e-6)


def test_nodes_that_are_there_twice_are_refused() -> None:
    graph = toy_graph()
    batch = next(iter(SAMPLERS.get("shadow")(graph, num_layers=2, batch_size=8).epoch(0)))
    with pytest.raises(InputError, match="more than once"):
        Diffuse.of(graph)(batch, RNG)


def test_the_matrix_is_made_once_for_each_set_of_options() -> None:
    graph = toy_graph()
    first, second = Diffuse.of(graph, normalized=False), Diffuse.of(graph, normalized=False)
    assert first.block.pattern is second.block.pattern
    others = [{"alpha": 0.5}, {"eps": 1e-2}, {"top_k": 3}, {"kernel": "heat"}, {"kernel": "heat", "t": 1.0}]
    values = [Diffuse.of(graph, normalized=False, **options).block.weight for options in others]  # type: ignore[arg-type]
    sums = {float(value.sum()) for value in (first.block.weight, *values) if value is not None}
    assert len(sums) == 6


def test_entries_are_weights_of_edges_where_layers_do_not_normalise() -> None:
    graph = toy_graph()
    block = Diffuse.of(graph, eps=1e-9, normalized=False)(graph.full_batch(), RNG).blocks[0]
    assert block.weight is not None
    found = torch.zeros(48, 48).index_put((block.pattern.row.long(), block.pattern.col.long()), block.weight)
    torch.testing.assert_close(found.double(), dense_ppr(graph), rtol=1e-5, atol=1e-6)


def test_a_matrix_without_a_diagonal_and_one_without_nodes() -> None:
    pattern, order = Pattern.from_coo(torch.tensor([1, 0, 2]), torch.tensor([0, 2, 2]), 3, 3)
    block = as_is(pattern, torch.tensor([2.0, 5.0, 7.0])[order])
    expected = torch.tensor([[0.0, 0, 5], [2, 0, 0], [0, 0, 7]])
    torch.testing.assert_close(gcn_aggregate(block, torch.eye(3)), expected)
    empty = Pattern(torch.zeros(1, dtype=torch.int32), torch.zeros(0, dtype=torch.int32), 0)
    assert as_is(empty, torch.zeros(0)).num_edges == 0
