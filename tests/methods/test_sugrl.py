"""SUGRL against a model written out with dense matrices, and what its positives and negatives are."""

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.sparse import Pattern, dense_features
from gssl.graph.storage import Graph
from gssl.methods.neighbors import drawn_neighbors, mean_rows
from gssl.methods.sugrl import SUGRL
from gssl.models.gcn import GCN
from gssl.models.mlp import MLPEncoder
from gssl.registry import SAMPLERS
from gssl.testing.methods import train
from gssl.testing.toy import toy_graph, without_edges

CPU = torch.device("cpu")
QUIET: dict[str, Any] = {"dropout": 0.0}


def made(graph: Graph, **options: Any) -> SUGRL:
    torch.manual_seed(0)
    encoder = MLPEncoder(graph.in_dim, hidden_dim=8, out_dim=5, final_activation=False)
    for layer in encoder.layers:
        assert isinstance(layer.bias, Tensor)
        layer.bias.data = torch.randn(layer.bias.shape)
    method = SUGRL(encoder, **options)
    method.prepare(graph, 0)
    return method


def normalized(graph: Graph) -> Tensor:
    source, target = graph.block.edge_index
    a = torch.eye(graph.num_nodes)
    a[target, source] += 1
    scale = a.sum(1).rsqrt()
    return scale[:, None] * a * scale


def perceptron(method: SUGRL, x: Tensor) -> Tensor:
    first, second = method.encoder.layers  # type: ignore[misc]
    hidden: Tensor = torch.relu(x @ first.weight + first.bias) @ second.weight + second.bias
    return hidden


def authors_loss(method: SUGRL, graph: Graph, near: Tensor, orders: Tensor, weights: list[float]) -> Tensor:
    """As their code writes it: sums over negatives for the margins, a sum over nodes for the bound."""
    anchor = perceptron(method, dense_features(graph.x))
    positive, lower, upper = normalized(graph) @ anchor, method.margin, method.margin + method.width
    s_p, s_near = F.pairwise_distance(anchor, positive), F.pairwise_distance(anchor, near)
    first = second = bound = torch.zeros(())
    for order in orders:
        s_n = F.pairwise_distance(anchor, anchor[order])
        first = first + F.relu(s_p - s_n + lower).mean()
        second = second + F.relu(s_near - s_n + lower).mean()
        bound = bound + F.relu(s_n - s_p.detach() - upper).sum()
    return weights[0] * first + weights[1] * second + weights[2] * bound / len(orders)


def test_the_loss_and_its_gradients_are_those_of_the_authors() -> None:
    graph = toy_graph(num_nodes=40)
    method = made(graph, negatives=3, positive_weight=2.0 * 3, near_weight=5.0 * 3, bound_weight=0.3 * 40, **QUIET)
    method.reseed(4, CPU)
    loss = method.loss(graph.full_batch())
    found = torch.autograd.grad(loss, list(method.parameters()))
    method.reseed(4, CPU)
    drawn = drawn_neighbors(graph.block, 40, 5, method.rng)
    orders = torch.rand(3, 40, generator=method.rng).argsort(1)
    near = perceptron(method, dense_features(graph.x))[drawn.col.long().view(40, 5)].mean(1)
    expected = authors_loss(method, graph, near, orders, [2.0, 5.0, 0.3])
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)
    theirs = torch.autograd.grad(expected, list(method.parameters()))
    torch.testing.assert_close(found, theirs, rtol=1e-3, atol=1e-4)


def test_the_embedding_is_the_aggregate_at_length_one() -> None:
    graph = toy_graph(isolated=2)
    method = made(graph).eval()
    expected = normalized(graph) @ perceptron(method, dense_features(graph.x))
    expected = expected / expected.norm(dim=1, keepdim=True)
    torch.testing.assert_close(method.embed(graph.full_batch()), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_neighbors_are_drawn_as_their_edges_weigh_and_a_node_counts_one(weighted: bool) -> None:
    rows, columns = torch.tensor([0, 0, 2, 2, 2]), torch.tensor([1, 3, 0, 1, 3])
    pattern, order = Pattern.from_coo(rows, columns, 4, 4)
    weight = torch.tensor([1.0, 3.0, 0.5, 0.5, 2.0])[order] if weighted else None
    rng = torch.Generator().manual_seed(0)
    drawn = drawn_neighbors(Block(pattern, weight), 3, 20_000, rng)
    chances = {
        0: {0: 1.0, 1: 1.0, 3: 3.0 if weighted else 1.0},
        1: {1: 1.0},  # nobody points to it
        2: {2: 1.0, 0: 0.5 if weighted else 1.0, 1: 0.5 if weighted else 1.0, 3: 2.0 if weighted else 1.0},
    }
    for row, expected in chances.items():
        counts = Counter(drawn.col.view(3, -1)[row].tolist())
        assert counts.keys() == expected.keys()
        for column, share in expected.items():
            assert counts[column] / 20_000 == pytest.approx(share / sum(expected.values()), abs=0.015)


def test_the_mean_of_drawn_rows() -> None:
    pattern, x = Pattern(torch.tensor([0, 2, 4]), torch.tensor([0, 2, 1, 1]), 3), torch.randn(3, 4)
    torch.testing.assert_close(mean_rows(pattern, x), torch.stack([(x[0] + x[2]) / 2, x[1]]))


def test_a_pair_weighs_the_product_of_both() -> None:
    """A loop over pairs; the weight of the other one tells how often it is drawn as a negative."""
    graph = toy_graph(num_nodes=20)
    method = made(graph, negatives=2, bound_weight=0.0, near_weight=0.0, positive_weight=1.0, **QUIET)
    weight = torch.arange(1.0, 21.0)
    method.reseed(1, CPU)
    loss = method.loss(replace(graph.full_batch(), weight=weight)).item()
    method.reseed(1, CPU)
    drawn_neighbors(graph.block, 20, 5, method.rng)
    orders = torch.rand(2, 20, generator=method.rng).argsort(1)
    anchor = perceptron(method, dense_features(graph.x)).detach()
    s_p = F.pairwise_distance(anchor, normalized(graph) @ anchor)
    total = count = 0.0
    for order in orders.tolist():
        for i, j in enumerate(order):
            w = float(weight[i] * weight[j])
            total += w * max(0.0, s_p[i].item() - math.dist(anchor[i].tolist(), anchor[j].tolist()) + 0.8)
            count += w
    assert loss == pytest.approx(total / count, rel=1e-4)


@pytest.mark.parametrize("sampler", ["uniform+exact", "uniform+induced", "graphsage", "gas"])
def test_sampled_batches_have_the_targets_own_rows_and_their_neighbors(sampler: str) -> None:
    graph = toy_graph(num_nodes=60)
    method = made(graph).eval()
    whole = method.embed(graph.full_batch())
    batch = next(iter(SAMPLERS.get(sampler)(graph, num_layers=1, batch_size=12).epoch(0)))
    rows = method.embed(batch)
    assert len(rows) == batch.num_targets
    if sampler in ("uniform+exact", "gas"):  # with all their neighbors
        torch.testing.assert_close(rows, whole[batch.node_ids[: batch.num_targets]])
    method.train().reseed(0, CPU)
    assert bool(method.loss(batch).isfinite())


def test_ten_steps_bring_positives_nearer_than_negatives() -> None:
    graph = toy_graph()
    method = made(graph, bound_weight=1.0, **QUIET)
    batch = graph.full_batch()

    def gap() -> float:
        with torch.no_grad():
            anchor = perceptron(method, dense_features(graph.x))
            near = F.pairwise_distance(anchor, normalized(graph) @ anchor).mean()
        return (torch.cdist(anchor, anchor).mean() - near).item()

    before = gap()
    train(method, batch, steps=10, lr=0.01)
    assert gap() > before


def test_the_bound_alone_keeps_negatives_within_reach() -> None:
    graph = toy_graph()
    method = made(graph, positive_weight=0.0, near_weight=0.0, bound_weight=1.0, margin=0.0, width=0.0, **QUIET)
    batch = graph.full_batch()

    def spread() -> float:
        anchor = perceptron(method, dense_features(graph.x))
        return torch.cdist(anchor, anchor).mean().item()

    before = spread()
    train(method, batch, steps=10, lr=0.01)
    assert spread() < before


def test_bad_input_says_what_to_change() -> None:
    graph = toy_graph()
    with pytest.raises(InputError, match=r"hears from neighbors; use --encoder MLP"):
        SUGRL(GCN(4))
    with pytest.raises(InputError, match=r"precompute=false"):
        made(graph).check_sampler(SAMPLERS.get("gas")(graph, num_layers=1, batch_size=9, precompute=True))
    with pytest.raises(InputError, match="margin must be 0 or a positive number"):
        made(graph, margin=-1.0).loss(graph.full_batch())


def test_graphs_without_edges_or_with_one_node_have_a_finite_loss() -> None:
    graph = toy_graph()
    single = Graph.from_edge_index(torch.zeros(2, 0, dtype=torch.int64), dense_features(graph.x)[:1]).full_batch()
    batches: list[MiniBatch] = [without_edges(graph.full_batch()), single]
    for batch in batches:
        loss = made(graph).loss(batch)
        loss.backward()
        assert bool(loss.isfinite())
