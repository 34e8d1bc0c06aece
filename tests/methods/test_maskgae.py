"""MaskGAE: hidden edges are told from others by what is left, and hidden degrees by each node."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch_geometric.nn import GCNConv

from gssl.common.errors import InputError
from gssl.common.options import validate
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.methods.maskgae import MaskGAE
from gssl.models.edge_decoder import HadamardMLP
from gssl.models.gcn import GCN
from gssl.samplers.propagation.exact import Exact
from gssl.samplers.propagation.induced import Induced
from gssl.testing.propagations import directed, draw
from gssl.testing.toy import toy_batch, toy_graph, without_edges

CPU = torch.device("cpu")


def method_of(in_dim: int = 24, **options: Any) -> MaskGAE:
    torch.manual_seed(0)
    encoder = GCN(in_dim, hidden_dim=16, out_dim=8, activation="elu", final_activation=False)
    return MaskGAE(encoder, **validate(MaskGAE, options, what="MaskGAE"))


def edges_of(batch: MiniBatch) -> set[tuple[int, int]]:
    return set(map(tuple, batch.blocks[-1].edge_index.T.tolist()))


def pygs_embedding(method: MaskGAE, x: Tensor, edge_index: Tensor) -> Tensor:
    """Two GCNConv of PyG with the same weights."""
    for number, layer in enumerate(method.encoder.layers):  # type: ignore[arg-type]
        convolution = GCNConv(*layer.weight.shape)
        convolution.lin.weight.data, convolution.bias.data = layer.weight.data.T, layer.bias.data
        x = convolution(x, edge_index)
        x = F.elu(x) if number == 0 else x
    return x


@pytest.mark.parametrize("decoder", ["mlp", "dot"])
@pytest.mark.parametrize("mask", ["edge", "path"])
def test_loss_is_the_papers(decoder: str, mask: str) -> None:
    """Cross-entropy of hidden edges and non-edges, and the squared error of hidden degrees."""
    method = method_of(mask=mask, decoder=decoder, alpha=0.5, p=0.4).eval()
    batch = toy_batch("node")
    method.reseed(3, CPU)
    view, target = method.pretext(batch)
    method.reseed(3, CPU)
    loss = method.loss(batch)

    hidden = set(map(tuple, target.positive.T.tolist()))
    left = [edge for edge in sorted(edges_of(batch)) if edge not in hidden and edge[::-1] not in hidden]
    z = pygs_embedding(method, dense_features(batch.x), torch.tensor(left).T)
    logits = []
    for pairs in (target.positive, target.negative):
        product = z[pairs[0]] * z[pairs[1]]
        if decoder == "mlp":
            assert isinstance(method.decoder, HadamardMLP)
            first, second = method.decoder.mlp.lins
            product = F.relu(product @ first.weight.T + first.bias) @ second.weight.T + second.bias
        logits.append(product.sum(1))
    bce = F.binary_cross_entropy_with_logits
    expected = bce(logits[0], torch.ones_like(logits[0])) + bce(logits[1], torch.zeros_like(logits[1]))
    degree = torch.zeros(batch.num_targets)
    for u, v in hidden:
        degree[u] += 1
        degree[v] += 1
    first, second = method.degree_decoder.lins
    predicted = F.relu(z @ first.weight.T + first.bias) @ second.weight.T + second.bias
    expected = expected + 0.5 * (predicted.squeeze(1) - degree).square().mean()
    torch.testing.assert_close(loss, expected)
    assert len(hidden) > 10
    assert edges_of(view) == set(left)


@pytest.mark.parametrize("mask", ["edge", "path"])
def test_what_must_be_predicted_cannot_be_seen_and_what_is_no_edge_is_none(mask: str) -> None:
    method, batch = method_of(mask=mask, p=0.5), toy_batch("node")
    known = edges_of(batch)
    for seed in range(5):
        method.reseed(seed, CPU)
        view, target = method.pretext(batch)
        left = edges_of(view)
        for u, v in target.positive.T.tolist():
            assert (u, v) in known
            assert (v, u) in known
            assert (u, v) not in left
            assert (v, u) not in left
        others = set(map(tuple, target.negative.T.tolist()))
        assert not others & known, "a hidden edge is an edge all the same"
        assert all(u != v for u, v in others)


def test_the_opposite_of_a_directed_edge_is_no_non_edge() -> None:
    """The decoder gives both directions one logit."""
    graph = directed()
    method = method_of(graph.in_dim, mask="edge", negatives_per_edge=50.0)
    batch = graph.full_batch()
    known = edges_of(batch)
    assert any((v, u) not in known for u, v in known)
    method.reseed(0, CPU)
    _, target = method.pretext(batch)
    drawn = set(map(tuple, target.negative.T.tolist()))
    assert drawn
    assert not drawn & (known | {(v, u) for u, v in known})


@pytest.mark.parametrize("propagation", [Exact, Induced])
def test_degrees_are_what_each_target_has_lost(propagation: type[Exact] | type[Induced]) -> None:
    """Edges that lead out of the targets are lost too, though only those among them are told from non-edges."""
    graph = toy_graph(num_nodes=60)
    batch = propagation(graph, num_layers=2).batch(draw(*range(5, 25)))
    method = method_of(mask="edge", p=0.5)
    method.reseed(1, CPU)
    view, target = method.pretext(batch)
    assert target.degree.shape == (20,)
    before, after = (each.blocks[-1].pattern.counts[:20] for each in (batch, view))
    assert torch.equal(target.degree.long(), (before - after).long())
    assert int(target.positive.max()) < 20
    assert int(target.negative.max()) < 20


def test_weights_of_pairs_are_products_and_degrees_have_those_of_their_nodes() -> None:
    method = method_of(alpha=2.0, decoder="dot").eval()
    batch = toy_batch("node")
    weight = torch.rand(batch.num_targets, generator=torch.Generator().manual_seed(0)) + 0.5
    method.reseed(0, CPU)
    view, target = method.pretext(batch)
    z = method.encoder(view)
    weighted = MiniBatch(batch.x, batch.blocks, batch.node_ids, batch.num_targets, weight)
    method.reseed(0, CPU)
    loss = method.loss(weighted)
    terms = []
    for pairs, sign in ((target.positive, 1.0), (target.negative, -1.0)):
        costs = F.softplus(-sign * (z[pairs[0]] * z[pairs[1]]).sum(1))
        own = weight[pairs[0]] * weight[pairs[1]]
        terms.append((own * costs).sum() / own.sum())
    missed = (method.degree_decoder(z).squeeze(1) - target.degree).square()
    torch.testing.assert_close(loss, sum(terms) + 2 * (weight * missed).sum() / weight.sum())


def test_embeddings_are_all_layers_or_the_last_one() -> None:
    batch = toy_batch("node")
    method = method_of().eval()
    first, last = method.encoder.outputs(batch)
    assert torch.equal(method.embed(batch), torch.cat([first, last], dim=1))
    assert method.embedding_dim == 24
    of_links = method_of(embedding="last").eval()
    assert torch.equal(of_links.embed(batch), last)
    assert of_links.embedding_dim == 8
    normal = method_of(normalize=True).eval().embed(batch)
    torch.testing.assert_close(normal, F.normalize(torch.cat([first, last], dim=1)))


def test_there_is_a_degree_decoder_only_where_it_counts() -> None:
    names = {name.partition(".")[0] for name, _ in method_of().named_parameters()}
    assert names == {"encoder", "decoder"}
    assert "degree_decoder" in dict(method_of(alpha=0.1).named_children())


def test_walks_are_one_longer_than_the_encoder_is_deep() -> None:
    assert method_of().corruption.length == 3  # type: ignore[attr-defined]
    assert method_of(walk_length=7, start="edge").corruption.length == 7  # type: ignore[attr-defined]


def test_training_finds_edges_that_it_never_saw() -> None:
    graph = toy_graph(num_nodes=120, in_dim=24, seed=2)
    edges = graph.block.edge_index
    rng = torch.Generator().manual_seed(0)
    pairs = edges[:, edges[0] < edges[1]]
    held = torch.rand(pairs.shape[1], generator=rng) < 0.15
    kept = pairs[:, ~held]
    seen = Graph.from_edge_index(torch.cat([kept, kept.flip(0)], dim=1), graph.x)
    method = method_of(mask="edge", p=0.5, decoder="dot", embedding="last")
    batch = seen.full_batch()
    optimizer = torch.optim.Adam(method.parameters(), lr=0.02)
    losses = []
    for step in range(60):
        method.reseed(step, CPU)
        optimizer.zero_grad()
        loss = method.loss(batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.95 * sum(losses[:10])
    z = method.eval().embed(batch).detach()
    known = set(map(tuple, edges.T.tolist()))
    others = torch.tensor([(u, v) for u in range(120) for v in range(u) if (u, v) not in known]).T
    scores = [(z[p[0]] * z[p[1]]).sum(1) for p in (pairs[:, held], others)]
    labels = torch.cat([torch.ones_like(scores[0]), torch.zeros_like(scores[1])])
    assert roc_auc_score(labels, torch.cat(scores)) > 0.63  # 0.67 if communities were all there is to know


def test_a_graph_without_edges_has_non_edges_alone() -> None:
    method = method_of(alpha=1.0)
    method.reseed(0, CPU)
    _, target = method.pretext(without_edges(toy_batch("node")))
    assert target.positive.shape == (2, 0)
    assert target.negative.shape[1] == 1
    assert not target.degree.any()


@pytest.mark.parametrize("option", ["p", "decoder_dropout"])
@pytest.mark.parametrize("value", [1.0, -0.1])
def test_shares_out_of_range_are_refused(option: str, value: float) -> None:
    with pytest.raises(InputError, match=option):
        method_of(24, **{option: value})


def test_hiding_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="'p'"):
        method_of(p=0)
