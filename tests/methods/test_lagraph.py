"""LaGraph against loops over nodes and graphs."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gssl.augment.noise_node import NoiseNode
from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import dense_features
from gssl.methods.lagraph import LaGraph
from gssl.models.gcn import GCN
from gssl.models.gin import GIN
from gssl.registry import SAMPLERS
from gssl.testing.toy import toy_batch, toy_graph, toy_graphs

CPU = torch.device("cpu")


def doubled(batch: MiniBatch, *, weighted: bool) -> MiniBatch:
    weight = 1 + torch.arange(batch.num_items, dtype=torch.float64) % 3 if weighted else None
    return replace(batch.with_x(dense_features(batch.x).double()), weight=weight)


def encoded_twice(method: LaGraph, batch: MiniBatch) -> tuple[Tensor, Tensor, list[int]]:
    """Embeddings without and with noise, and its rows, of the draw that the loss with seed 3 makes."""
    method.reseed(3, CPU)
    view, rows = method.noise.hide(batch, method.rng)
    return method.encoder(batch), method.encoder(view), rows.tolist()


@pytest.mark.parametrize("weighted", [False, True])
def test_of_nodes_the_change_of_noisy_ones_counts(weighted: bool) -> None:
    torch.manual_seed(0)
    method = LaGraph(GCN(24, hidden_dim=6), alpha=0.7, mask_ratio=0.2, mask_std=0.3).double()
    batch = doubled(toy_batch("node"), weighted=weighted)
    method.reseed(3, CPU)
    loss = method.loss(batch)
    nodes, seen, rows = encoded_twice(method, batch)
    weights = [1.0] * 48 if batch.weight is None else batch.weight.tolist()
    x, linear = dense_features(batch.x), method.decoder[0]
    assert isinstance(linear, torch.nn.Linear)
    with torch.no_grad():
        missed = [float(((linear(h).clamp(min=0) - f) ** 2).sum()) / 24 for h, f in zip(nodes, x, strict=True)]
        changed = [float(((nodes[i] - seen[i]) ** 2).sum()) / 6 for i in rows]
    first = sum(w * t for w, t in zip(weights, missed, strict=True)) / sum(weights)
    noisy = [weights[i] for i in rows]
    second = math.sqrt(sum(w * t for w, t in zip(noisy, changed, strict=True)) / sum(noisy))
    assert len(rows) == 9  # a fifth of 48, rounded down
    assert loss.item() == pytest.approx(first + 0.7 * second, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_of_graphs_the_change_of_all_graphs_counts(weighted: bool) -> None:
    torch.manual_seed(0)
    encoder = GIN(4, hidden_dim=6, num_layers=2, jk="cat")
    method = LaGraph(encoder, alpha=10.0, mask_ratio=0.25, decoder_layers=2, rectified=False).double()
    batch = doubled(toy_graphs(num_graphs=7).full_batch(), weighted=weighted)
    method.reseed(3, CPU)
    loss = method.loss(batch)
    nodes, seen, rows = encoded_twice(method, batch)
    assert batch.graph_ptr is not None
    bounds = list(zip(batch.graph_ptr[:-1].tolist(), batch.graph_ptr[1:].tolist(), strict=True))
    assert [sum(a <= row < b for row in rows) for a, b in bounds] == [(b - a) // 4 for a, b in bounds]
    weights = [1.0] * 7 if batch.weight is None else batch.weight.tolist()
    nodes, seen = nodes.detach(), seen.detach()
    decoded = method.decoder(nodes[:, 6:]).detach()  # of the last layer
    missed, changed = [], []
    for a, b in bounds:
        missed.append(float(((decoded[a:b] - dense_features(batch.x)[a:b]) ** 2).sum()) / 4)
        changed.append(float(((nodes[a:b].sum(0) - seen[a:b].sum(0)) ** 2).sum()) / 12)
    count = sum(w * (b - a) for w, (a, b) in zip(weights, bounds, strict=True))
    first = sum(w * t for w, t in zip(weights, missed, strict=True)) / count
    second = math.sqrt(sum(w * t for w, t in zip(weights, changed, strict=True)) / sum(weights))
    assert loss.item() == pytest.approx(first + 10 * second, rel=1e-12)


def test_where_nothing_changes_the_gradient_is_that_of_the_reconstruction() -> None:
    """The root has no derivative at zero: NaN would end a training on graphs too small for a noisy node."""
    torch.manual_seed(0)
    method, batch = LaGraph(GCN(24, hidden_dim=6), mask_ratio=0.01), toy_batch("node")
    assert not method.noise.hide(batch, method.rng)[1].numel()
    method.loss(batch).backward()
    found = [p.grad.clone() for p in method.parameters() if p.grad is not None]
    method.zero_grad()
    method.reconstruction(method.encoder(batch), batch).backward()
    assert all(bool(grad.isfinite().all()) for grad in found)
    torch.testing.assert_close(found, [p.grad for p in method.parameters() if p.grad is not None])


def test_noise_is_normal_and_stands_at_its_rows_alone() -> None:
    batch = toy_graph(num_nodes=3000, in_dim=40).full_batch()
    view, rows = NoiseNode(ratio=0.5, std=0.2).hide(batch, torch.Generator().manual_seed(0))
    here, there = dense_features(batch.x), dense_features(view.x)
    kept = torch.ones(3000, dtype=torch.bool).index_fill(0, rows, False)
    assert len(rows) == 1500
    assert torch.equal(here[kept], there[kept])
    assert abs(float(there[rows].mean())) < 5 * 0.2 / math.sqrt(60_000)
    assert float(there[rows].std()) == pytest.approx(0.2, rel=0.02)


def test_of_a_sampled_batch_targets_and_others_are_hidden_alike() -> None:
    graph = toy_graph(num_nodes=200)
    batch = next(iter(SAMPLERS.get("graphsage")(graph, num_layers=2, batch_size=40).epoch(0)))
    _, rows = NoiseNode(ratio=0.25).hide(batch, torch.Generator().manual_seed(0))
    assert int((rows < 40).sum()) == 10
    assert int((rows >= 40).sum()) == (batch.num_nodes - 40) // 4


def test_training_makes_embeddings_robust_to_the_noise() -> None:
    """With the term, less of the embeddings' spread is due to the noise than without it."""
    share = []
    for alpha in (0.0, 5.0):
        torch.manual_seed(0)
        encoder = GCN(24, hidden_dim=8, activation="prelu", norm="batch")
        method, batch = LaGraph(encoder, alpha=alpha, mask_ratio=0.3), toy_batch("node")
        optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
        for step in range(40):
            method.reseed(step, CPU)
            optimizer.zero_grad()
            method.loss(batch).backward()
            optimizer.step()
        with torch.no_grad():
            nodes, seen, rows = encoded_twice(method, batch)
            share.append(float((nodes - seen)[rows].square().mean() / nodes.var(0).mean()))
    assert share[1] < 0.7 * share[0]


@pytest.mark.parametrize("kind", ["node", "graph"])
def test_features_stand_beside_the_embedding(kind: str) -> None:
    batch = toy_batch("node" if kind == "node" else "graph")
    method = LaGraph(GCN(batch.in_dim, hidden_dim=6), features=True).eval()
    embedding, nodes = method.embed(batch), method.encoder(batch)
    x = dense_features(batch.x)
    if kind == "graph":
        nodes, x = method.encoder.pool(nodes, batch), method.encoder.pool(x, batch)
    assert torch.equal(embedding, torch.cat([nodes, x], dim=1))
    assert method.embedding_dim == 6 + batch.in_dim


def test_features_that_a_relu_never_gives_are_refused() -> None:
    graph = toy_graph()
    assert isinstance(graph.x, Tensor)
    centred = replace(graph, x=graph.x - 0.5)
    sampler = SAMPLERS.get("full")(centred)
    with pytest.raises(InputError, match=r"below zero.*rectified=false"):
        LaGraph(GCN(24)).check_sampler(sampler)
    LaGraph(GCN(24), rectified=False).check_sampler(sampler)
    LaGraph(GCN(24)).check_sampler(SAMPLERS.get("full")(graph))
