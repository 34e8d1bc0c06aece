"""SUBG-CON against subgraphs that are embedded one by one, and what it is trained on."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.methods.subgcon import SUBGCON
from gssl.models.gcn import GCN
from gssl.registry import SAMPLERS
from gssl.samplers.full import FullBatch
from gssl.testing.methods import train
from gssl.testing.toy import toy_graph, without_edges
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

CPU = torch.device("cpu")


def made(graph: Graph, *, layers: int = 1, width: int = 6, **options: Any) -> SUBGCON:
    torch.manual_seed(0)
    encoder = GCN(graph.in_dim, hidden_dim=width, num_layers=layers, activation="prelu")
    method = SUBGCON(encoder, **{"subgraph_size": 5, "eps": 1e-9, **options})
    method.prepare(graph, 0)
    return method


def one_by_one(method: SUBGCON, graph: Graph) -> tuple[Tensor, Tensor]:
    """Embedding of every node in its own subgraph, and the mean of the subgraph; each is a graph of its own."""
    assert method.views is not None
    nodes, means = [], []
    for center in range(graph.num_nodes):
        members = method.views.members.select_rows(torch.tensor([center]))[0].col.long()
        place = torch.full((graph.num_nodes,), -1)
        place[members] = torch.arange(len(members))
        edges = place[graph.block.edge_index]
        own = Graph.from_edge_index(edges[:, (edges >= 0).all(0)], dense_features(graph.x)[members])
        hidden = method.encoder(own.full_batch())
        nodes.append(hidden[place[center]])
        means.append(hidden.mean(0))
    return torch.stack(nodes), torch.stack(means)


@pytest.mark.parametrize("layers", [1, 2])
def test_the_embedding_is_that_of_the_node_in_its_own_subgraph(layers: int) -> None:
    graph = toy_graph(num_nodes=60, isolated=2)
    method = made(graph, layers=layers).eval()
    nodes, _ = one_by_one(method, graph)
    torch.testing.assert_close(method.embed(graph.full_batch()), nodes, rtol=1e-4, atol=1e-5)


def looped_loss(nodes: Tensor, summaries: Tensor, order: Tensor, margin: float, weight: Tensor) -> float:
    """Two margin losses of sigmoids of inner products, pair by pair."""

    def score(node: int, summary: int) -> float:
        return 1 / (1 + math.exp(-(nodes[node] @ summaries[summary]).item()))

    total = 0.0
    pair = [(i, int(j), float(weight[i] * weight[j])) for i, j in enumerate(order)]
    for i, j, w in pair:
        total += w * max(0.0, score(j, i) - score(i, i) + margin)
        total += w * max(0.0, score(i, j) - score(j, j) + margin)
    return total / sum(w for _, _, w in pair)


@pytest.mark.parametrize("sigmoid_summary", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_a_loop_over_pairs(weighted: bool, sigmoid_summary: bool) -> None:
    graph = toy_graph(num_nodes=30)
    method = made(graph, margin=0.4, sigmoid_summary=sigmoid_summary)
    batch = graph.full_batch()
    weight = 1 + torch.rand(30) if weighted else torch.ones(30)
    batch = replace(batch, weight=weight) if weighted else batch
    method.reseed(5, CPU)
    loss = method.loss(batch).item()
    nodes, means = one_by_one(method, graph)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(5))
    summaries = torch.sigmoid(means) if sigmoid_summary else means
    assert loss == pytest.approx(looped_loss(nodes, summaries, order, 0.4, weight), rel=1e-4)


def test_a_batch_is_as_good_as_the_whole_graph() -> None:
    """What is learned of a node does not depend on which others a sampler brought along."""
    graph = toy_graph(num_nodes=60)
    method = made(graph).eval()
    whole = method.embed(graph.full_batch())
    for name in ("graphsage", "uniform+induced", "shadow"):
        batch = next(iter(SAMPLERS.get(name)(graph, num_layers=1, batch_size=10).epoch(0)))
        torch.testing.assert_close(method.embed(batch), whole[batch.node_ids[: batch.num_targets]])


def test_a_step_learns_from_some_centers_and_another_step_from_others() -> None:
    graph = toy_graph(num_nodes=60)
    method = made(graph, centers=7)
    seen: list[Tensor] = []
    method.of_centers.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    for seed in range(2):
        method.reseed(seed, CPU)
        method.loss(graph.full_batch())
    assert [len(rows) for rows in seen] == [7, 7]
    assert not torch.equal(*seen)
    method.loss(graph.full_batch().planned(measure=True))  # norms are asked of all targets
    assert len(seen[-1]) == 60


def test_weights_of_the_centers_that_are_drawn_are_theirs() -> None:
    graph = toy_graph(num_nodes=60)
    method = made(graph, centers=8)
    assert method.views is not None
    batch = replace(graph.full_batch(), weight=torch.arange(1.0, 61.0))
    method.reseed(3, CPU)
    loss = method.loss(batch).item()
    rng = torch.Generator().manual_seed(3)
    drawn = torch.randperm(60, generator=rng)[:8]
    order = torch.randperm(8, generator=rng)
    nodes, means = one_by_one(method, graph)
    expected = looped_loss(nodes[drawn], means[drawn], order, 0.5, drawn + 1.0)
    assert loss == pytest.approx(expected, rel=1e-4)


def test_ten_steps_raise_own_scores_above_those_of_others() -> None:
    graph = toy_graph()
    method = made(graph, width=16)
    batch = graph.full_batch()

    def gap() -> float:
        with torch.no_grad():
            nodes, means = one_by_one(method, graph)
            scores = torch.sigmoid(nodes @ means.T)
        return (scores.diagonal().mean() - scores.mean()).item()

    before = gap()
    train(method, batch, steps=10, lr=0.01)
    assert gap() > before


def test_pairs_that_are_apart_by_the_margin_cost_nothing() -> None:
    """And a node that is its own negative costs the margin, in both terms."""
    method = made(toy_graph(), margin=0.5)
    nodes = torch.tensor([[9.0, 0.0], [0.0, 9.0]], requires_grad=True)
    summaries = torch.tensor([[9.0, -9.0], [-9.0, 9.0]])
    found = set()
    for seed in range(8):  # some of them swap the two nodes
        method.reseed(seed, CPU)
        loss = method.contrast(nodes, summaries, None)
        (gradient,) = torch.autograd.grad(loss, nodes)
        found.add((round(loss.item(), 6), float(gradient.abs().sum())))
    assert found == {(0.0, 0.0), (1.0, 0.0)}


def test_bad_input_says_what_to_change() -> None:
    graph = toy_graph(num_nodes=8)
    with pytest.raises(InputError, match=r"subgraphs of 9 among 8 nodes.*at most 8"):
        pretrain(made(graph, subgraph_size=9), FullBatch(graph), TrainConfig(epochs=1), seed=0)
    with pytest.raises(InputError, match=r"history knows nothing of.*graphsage"):
        made(graph).check_sampler(SAMPLERS.get("gas")(graph, num_layers=1, batch_size=4))
    with pytest.raises(InputError, match="prepare"):
        SUBGCON(GCN(4)).loss(toy_graph(in_dim=4).full_batch())


def test_a_graph_without_edges_has_subgraphs_of_one_node() -> None:
    graph = toy_graph()
    alone = Graph(without_edges(graph.full_batch()).blocks[0], graph.x)
    method = made(alone)
    nodes = method.eval().embed(alone.full_batch())
    torch.testing.assert_close(nodes, F.prelu(*_layer(method, dense_features(alone.x))))
    assert bool(method.train().loss(alone.full_batch()).isfinite())


def _layer(method: SUBGCON, x: Tensor) -> tuple[Tensor, Tensor]:
    weight, bias = method.encoder.layers[0].weight, method.encoder.layers[0].bias  # type: ignore[index,union-attr]
    slope = method.encoder.activations[0].weight  # type: ignore[index,union-attr]
    assert isinstance(weight, Tensor)
    assert isinstance(bias, Tensor)
    assert isinstance(slope, Tensor)
    return x @ weight + bias, slope
