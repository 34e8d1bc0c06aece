"""BLNN: BGRL whose nodes predict their neighbors too, each as far as it supports them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import options_of, validate
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import Pattern
from gssl.graph.storage import Graph
from gssl.methods.bgrl import BGRL
from gssl.methods.blnn import BLNN
from gssl.models.gcn import GCN
from gssl.objectives.pairs import bootstrap_neighbors, neighbor_attention
from gssl.registry import SAMPLERS
from gssl.testing.methods import seeded_loss
from gssl.testing.toy import toy_graph, without_edges
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain


def made(graph: Graph, **options: object) -> BLNN:
    torch.manual_seed(0)
    encoder = GCN(graph.in_dim, hidden_dim=16, out_dim=8, activation="prelu")
    method = BLNN(encoder, predictor_dim=8, **validate(BLNN, options, what="BLNN"))
    method.prepare(graph, 0)
    return method


def four(n: int, seed: int = 0) -> list[Tensor]:
    """Predictions of both views and targets of both views, float64."""
    return list(torch.randn(4, n, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def by_loops(neighbors: dict[int, list[int]], weight: list[float], views: list[Tensor], temperature: float) -> float:
    """The paper's objective, node by node and neighbor by neighbor."""
    q1, q2, y1, y2 = ([row / row.norm() for row in view] for view in views)
    total = 0.0
    for i in range(len(q1)):
        for q, own, other in ((q1, y1, y2), (q2, y2, y1)):
            term = 2 - 2 * float(q[i] @ other[i])
            support = [weight[j] * math.exp(float(own[i] @ other[j]) / temperature) for j in neighbors[i]]
            for share, j in zip(support, neighbors[i], strict=True):
                term += share / sum(support) * (2 - 2 * float(q[i] @ other[j]))
            total += weight[i] * term
    return total / sum(weight)


def neighbors_of(graph: Graph) -> dict[int, list[int]]:
    source, target = graph.block.edge_index
    return {i: source[target == i].tolist() for i in range(graph.num_nodes)}


@pytest.mark.parametrize("temperature", [0.2, 1.0, 50.0])
def test_loss_is_that_of_the_paper_node_by_node(temperature: float) -> None:
    graph = toy_graph(isolated=2)
    views, weight = four(48), [1.0 + i % 3 for i in range(48)]
    batch = replace(graph.full_batch(), weight=torch.tensor(weight, dtype=torch.float64))
    loss = made(graph, temperature=temperature).contrast(batch, *views)
    assert loss.item() == pytest.approx(by_loops(neighbors_of(graph), weight, views, temperature), rel=1e-9)


def test_both_views_are_predicted_from() -> None:
    """In the authors' code the second view is not, by a slip."""
    graph = toy_graph()
    views = [view.requires_grad_() for view in four(48)]
    made(graph).contrast(graph.full_batch(), *views).backward()
    assert all(view.grad is not None and bool(view.grad.any()) for view in views[:2])
    assert all(view.grad is None for view in views[2:])


def test_neighbors_stay_where_views_drop_every_edge() -> None:
    graph = toy_graph()
    method = made(graph)
    bare = without_edges(graph.full_batch())
    views = four(48)
    torch.testing.assert_close(method.contrast(bare, *views), method.contrast(graph.full_batch(), *views))


def test_without_edges_it_is_bgrl() -> None:
    graph = toy_graph()
    lonely = Graph(without_edges(graph.full_batch()).blocks[0], graph.x)
    method = made(lonely)
    torch.manual_seed(0)
    plain = BGRL(GCN(graph.in_dim, hidden_dim=16, out_dim=8, activation="prelu"), predictor_dim=8)
    batch = lonely.full_batch()
    torch.testing.assert_close(seeded_loss(method, batch, 4), seeded_loss(plain, batch, 4))
    assert options_of(BLNN).keys() == {*options_of(BGRL), "temperature"}


def test_in_a_batch_neighbors_are_those_that_are_in_it() -> None:
    graph = toy_graph()
    ids = torch.tensor([7, 3, 40, 5, 9, 1, 22])
    views, weight = four(len(ids)), [2.0, 1.0, 3.0, 1.0, 1.0, 0.5, 4.0]
    everybody = neighbors_of(graph)
    place = {int(node): row for row, node in enumerate(ids)}
    neighbors = {row: [place[j] for j in everybody[node] if j in place] for node, row in place.items()}
    assert any(neighbors.values())
    batch = MiniBatch(
        graph.full_batch().x, graph.full_batch().blocks, ids, len(ids), torch.tensor(weight, dtype=torch.float64)
    )
    found = made(graph, temperature=0.5).contrast(batch, *views)
    assert found.item() == pytest.approx(by_loops(neighbors, weight, views, 0.5), rel=1e-9)


def test_attention_is_one_over_the_neighbors_and_grows_with_what_they_share() -> None:
    pattern = Pattern(torch.tensor([0, 3, 3, 4]), torch.tensor([0, 1, 2, 1]), 3)
    anchor = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    neighbor = torch.tensor([[2.0, 0.1], [1.0, 1.0], [-3.0, 0.0]])
    attention = neighbor_attention(pattern, anchor, neighbor, temperature=0.5)
    assert attention[0] > attention[1] > attention[2] > 0
    torch.testing.assert_close(attention[:3].sum(), torch.tensor(1.0))
    assert attention[3] == 1
    cosine = F.cosine_similarity(anchor[:1], neighbor)
    torch.testing.assert_close(attention[:3], (cosine / 0.5).softmax(0))
    absent = neighbor_attention(pattern, anchor, neighbor, weight=torch.tensor([1.0, 0.0, 1.0]))
    assert absent[1] == 0  # of weight 0 is not there
    assert absent[3] == 0  # the only neighbor is not there
    loss = bootstrap_neighbors(anchor, neighbor, pattern, absent)
    assert loss.isfinite()


def test_ten_steps_raise_the_agreement_with_neighbors_whose_targets_are_unlike_ones_own() -> None:
    """With targets of chance, which BGRL alone would bring no nearer to those of neighbors."""
    graph, raised = toy_graph(), []
    source, aim = graph.block.edge_index
    for neighbors in (graph, Graph(without_edges(graph.full_batch()).blocks[0], graph.x)):
        method, (q1, q2, y1, y2) = made(neighbors), four(48)
        before = F.cosine_similarity(q1[aim], y2[source]).mean()
        for prediction in (q1, q2):
            prediction.requires_grad_()
        optimizer = torch.optim.Adam([q1, q2], lr=0.5)
        for _ in range(10):
            optimizer.zero_grad()
            method.contrast(graph.full_batch(), q1, q2, y1, y2).backward()
            optimizer.step()
        raised.append((F.cosine_similarity(q1[aim], y2[source]).mean() - before).item())
    assert raised[0] > raised[1] + 0.05, raised


@pytest.mark.parametrize("sampler", ["graphsage", "clustergcn"])
def test_it_trains_on_sampled_batches(sampler: str) -> None:
    graph = toy_graph(num_nodes=96)
    method = made(graph)
    source = SAMPLERS.get(sampler)(graph, batch_size=32, num_layers=2, seed=0)
    result = pretrain(method, source, TrainConfig(epochs=8, lr=1e-2), seed=0)
    assert result.curve[-1].loss < result.curve[0].loss


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="greater than 0"):
        made(toy_graph(), temperature=0)
    graph = toy_graph()
    with pytest.raises(InputError, match="call prepare"):
        BLNN(GCN(graph.in_dim)).loss(graph.full_batch())
