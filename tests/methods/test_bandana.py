"""Bandana: edges share a bandwidth into each node, drawn for every layer, and every layer tells edges by it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.nn import GCNConv

from gssl.augment.bandwidth import Bandwidth, layerwise
from gssl.common.errors import InputError
from gssl.common.options import validate
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.methods.bandana import Bandana
from gssl.models.edge_decoder import HadamardMLP
from gssl.models.gcn import GCN
from gssl.models.mlp import MLPEncoder
from gssl.samplers.propagation.exact import Exact
from gssl.testing.propagations import directed, draw
from gssl.testing.toy import toy_batch, toy_graph, without_edges

CPU = torch.device("cpu")


def method_of(in_dim: int = 24, **options: Any) -> Bandana:
    torch.manual_seed(0)
    encoder = GCN(in_dim, hidden_dim=8, activation="elu")
    return Bandana(encoder, **validate(Bandana, options, what="Bandana"))


def double(batch: MiniBatch) -> MiniBatch:
    return batch.with_x(dense_features(batch.x).double())


def test_loss_is_the_papers() -> None:
    """The mean over layers of: bandwidth times the cost of an edge, and the cost of non-edges, each a mean."""
    method = method_of(temperature=0.7, decoder_dim=6).eval().double()
    batch = double(toy_batch("node"))
    method.reseed(3, CPU)
    view, target = method.pretext(batch)
    method.reseed(3, CPU)
    loss = method.loss(batch)

    assert isinstance(method.decoder, HadamardMLP)
    first, second = method.decoder.mlp.lins
    x = dense_features(batch.x)
    costs = []
    for number, layer in enumerate(method.encoder.layers):  # type: ignore[arg-type]
        block = view.blocks[number]
        assert block.weight is not None
        convolution = GCNConv(*layer.weight.shape).double()
        convolution.lin.weight.data, convolution.bias.data = layer.weight.data.T, layer.bias.data
        x = F.elu(convolution(x, block.edge_index, block.weight.double()))
        bandwidth = dict(zip(map(tuple, block.edge_index.T.tolist()), block.weight.tolist(), strict=True))

        def cost(u: int, v: int, sign: float, rows: Tensor = x) -> Tensor:
            logit = second(F.relu(first(rows[u] * rows[v])))[0]
            return torch.log1p(torch.exp(-sign * logit))

        edges = [bandwidth[u, v] * cost(u, v, 1) for u, v in bandwidth]
        others = [cost(u, v, -1) for u, v in target.negative.T.tolist()]
        costs.append(torch.stack(edges).mean() + torch.stack(others).mean())
    torch.testing.assert_close(loss, torch.stack(costs).mean(), rtol=1e-5, atol=1e-6)


def test_bandwidths_are_shares_of_one_by_a_softmax() -> None:
    batch = toy_batch("node", isolated=2)
    block = Bandwidth(temperature=0.5)(batch, torch.Generator().manual_seed(0)).blocks[0]
    noise = torch.randn(block.num_edges, generator=torch.Generator().manual_seed(0))
    assert block.weight is not None
    for node in range(batch.num_nodes):
        start, end = block.pattern.rowptr[node : node + 2].tolist()
        torch.testing.assert_close(block.weight[start:end], torch.softmax(noise[start:end] / 0.5, dim=0))


def test_weights_of_the_data_multiply_the_shares() -> None:
    batch = toy_batch("node")
    doubled = torch.ones(batch.blocks[0].num_edges)
    doubled[::2] = 2.0
    doubled[:3] = 0.0
    weighted = batch.map_blocks(lambda block: replace(block, weight=doubled))
    plain, shared = (Bandwidth()(each, torch.Generator().manual_seed(1)).blocks[0] for each in (batch, weighted))
    assert plain.weight is not None
    assert shared.weight is not None
    row = plain.pattern.row.long()
    expected = plain.weight * doubled
    expected = expected / torch.zeros(batch.num_nodes).index_add(0, row, expected)[row]
    torch.testing.assert_close(shared.weight, expected)


@pytest.mark.parametrize("temperature", [0.02, 50.0])
def test_the_temperature_leads_from_one_edge_to_the_mean_of_all(temperature: float) -> None:
    block = Bandwidth(temperature=temperature)(toy_batch("node"), torch.Generator().manual_seed(0)).blocks[0]
    assert block.weight is not None
    assert bool(block.weight.isfinite().all())
    best = torch.zeros(block.num_dst).scatter_reduce(0, block.pattern.row.long(), block.weight, "amax")
    counts = block.pattern.counts
    if temperature < 1:
        assert float(best.mean()) > 0.95
    else:
        torch.testing.assert_close(best, 1 / counts, rtol=0.1, atol=0)


def test_layers_and_directions_draw_for_themselves() -> None:
    batch = toy_batch("node")
    first, second = layerwise(Bandwidth(), batch, 2, torch.Generator().manual_seed(0)).blocks
    assert first.weight is not None
    assert second.weight is not None
    assert not torch.allclose(first.weight, second.weight)
    normal = first.weight * first.pattern.counts[first.pattern.row.long()]  # not that of other degrees
    assert not torch.allclose(normal, normal[first.pattern.reverse])


def test_no_edge_is_lost_and_every_edge_is_to_be_told() -> None:
    method, batch = method_of(), toy_batch("node")
    method.reseed(0, CPU)
    view, target = method.pretext(batch)
    known = set(map(tuple, batch.blocks[0].edge_index.T.tolist()))
    assert len(view.blocks) == 2
    for block, edges, shares in zip(view.blocks, target.edges, target.shares, strict=True):
        assert set(map(tuple, block.edge_index.T.tolist())) == known
        assert set(map(tuple, edges.T.tolist())) == known
        assert block.weight is not None
        assert torch.equal(shares, block.weight), "an edge costs its own bandwidth, not that of another"
    drawn = set(map(tuple, target.negative.T.tolist()))
    assert not drawn & known
    assert all(u != v for u, v in drawn)


def test_the_opposite_of_a_directed_edge_is_no_non_edge() -> None:
    """The decoder gives both directions one logit."""
    graph = directed()
    method = method_of(graph.in_dim, negatives_per_edge=50.0)
    batch = graph.full_batch()
    known = set(map(tuple, batch.blocks[0].edge_index.T.tolist()))
    method.reseed(0, CPU)
    _, target = method.pretext(batch)
    drawn = set(map(tuple, target.negative.T.tolist()))
    assert drawn
    assert not drawn & (known | {(v, u) for u, v in known})


def test_edges_of_a_sampled_batch_are_those_of_targets_in_every_layer() -> None:
    graph = toy_graph(num_nodes=60)
    batch = Exact(graph, num_layers=2).batch(draw(*range(5, 25)))
    method = method_of()
    method.reseed(0, CPU)
    view, target = method.pretext(batch)
    ids = batch.node_ids
    known = {(u, v) for u, v in graph.block.edge_index.T.tolist() if 5 <= u < 25 and 5 <= v < 25}
    for edges in target.edges:
        assert {(int(ids[u]), int(ids[v])) for u, v in edges.T.tolist()} == known
    for before, block in zip(batch.blocks, view.blocks, strict=True):
        assert before.full_degree is not None
        assert block.full_degree is not None
        assert torch.equal(block.full_degree, (before.full_degree > 0).float())
        torch.testing.assert_close(block.degree, block.full_degree[: block.num_dst])
    assert bool(method.loss(batch).isfinite())


def test_sampled_degrees_of_a_node_without_edges_stay_zero() -> None:
    graph = toy_graph(isolated=2)
    batch = Exact(graph, num_layers=1).batch(draw(0, 46, 47))
    (block,) = Bandwidth()(batch, torch.Generator().manual_seed(0)).blocks
    assert block.full_degree is not None
    assert block.full_degree[:3].tolist() == [1, 0, 0]


def test_weights_of_pairs_are_products() -> None:
    method, batch = method_of().eval(), toy_batch("node")
    weight = torch.rand(batch.num_targets, generator=torch.Generator().manual_seed(0)) + 0.5
    method.reseed(0, CPU)
    view, target = method.pretext(batch)
    loss = torch.zeros(())
    for rows, edges, shares in zip(method.encoder.outputs(view), target.edges, target.shares, strict=True):
        for pairs, label, sign in ((edges, shares, 1), (target.negative, 1.0, -1)):
            own = weight[pairs[0]] * weight[pairs[1]]
            loss = loss + (own * label * F.softplus(-sign * method.decoder(rows, pairs))).sum() / own.sum()
    method.reseed(0, CPU)
    torch.testing.assert_close(method.loss(replace(batch, weight=weight)), loss / 2)


def test_embeddings_are_made_without_masks() -> None:
    batch = toy_batch("node")
    method = method_of().eval()
    first, last = method.encoder.outputs(batch)
    assert torch.equal(method.embed(batch), torch.cat([first, last], dim=1))
    assert method.embedding_dim == 16
    of_links = method_of(embedding="last", normalize=True).eval()
    torch.testing.assert_close(of_links.embed(batch), F.normalize(last))
    assert of_links.embedding_dim == 8


@pytest.mark.parametrize("sign", [1, -1])
def test_ten_steps_tell_edges_from_others_and_the_opposite_loss_confuses_them(sign: int) -> None:
    """Two cliques whose features say which is which. A mere rise of the gap may be one that any training brings."""
    clique = torch.arange(24) // 12
    source, target = torch.cartesian_prod(torch.arange(24), torch.arange(24)).T
    joined = (clique[source] == clique[target]) & (source != target)
    edges = torch.stack([source[joined], target[joined]])
    batch = Graph.from_edge_index(edges, F.one_hot(clique, 2).float()).full_batch()
    torch.manual_seed(1)
    method = Bandana(GCN(2, hidden_dim=8, activation="elu"), decoder_dropout=0.0)

    def gap() -> float:
        """How much higher the logits of edges are than those of others."""
        method.reseed(7, CPU)
        view, told = method.pretext(batch)
        with torch.no_grad():
            rows = method.encoder(view)
            logits = [float(method.decoder(rows, pairs).mean()) for pairs in (told.edges[1], told.negative)]
        return logits[0] - logits[1]

    assert abs(gap()) < 0.2
    optimizer = torch.optim.Adam(method.parameters(), lr=0.05)
    for step in range(10):
        method.reseed(step, CPU)
        optimizer.zero_grad()
        (sign * method.loss(batch)).backward()
        optimizer.step()
    assert sign * gap() > 2


def test_a_graph_without_edges_has_non_edges_alone() -> None:
    method = method_of()
    method.reseed(0, CPU)
    _, target = method.pretext(without_edges(toy_batch("node")))
    assert [edges.shape for edges in target.edges] == [(2, 0), (2, 0)]
    assert target.negative.shape[1] == 1


def test_encoders_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="takes no edge weights"):
        Bandana(MLPEncoder(24, hidden_dim=8))
    with pytest.raises(InputError, match=r"one dimension, but have 8, 4; leave out encoder\.out_dim"):
        Bandana(GCN(24, hidden_dim=8, out_dim=4))


@pytest.mark.parametrize(
    ("option", "value"), [("temperature", 0), ("negatives_per_edge", -1), ("decoder_dropout", 1.0)]
)
def test_options_out_of_range_are_refused(option: str, value: float) -> None:
    with pytest.raises(InputError, match=option):
        method_of(24, **{option: value})
