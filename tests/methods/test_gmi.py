"""GMI against loops over pairs and the dense sum over all pairs of the authors' code."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import Pattern, dense_features
from gssl.graph.storage import Graph
from gssl.methods import gmi
from gssl.methods.gmi import GMI
from gssl.models.gcn import GCN
from gssl.models.gin import GIN
from gssl.registry import SAMPLERS
from gssl.samplers.base import Sampler
from gssl.testing.toy import toy_graph, without_edges
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

CPU = torch.device("cpu")
SHIFT = 2 * math.log(2)  # of the estimate, so that scores of zero give zero


def made(graph: Graph, *, layers: int = 2, **options: Any) -> GMI:
    torch.manual_seed(0)
    method = GMI(GCN(graph.in_dim, hidden_dim=6, num_layers=layers, activation="prelu"), **options)
    for discriminator in (method.own_discriminator, method.near_discriminator):
        discriminator.weight.data = torch.randn(discriminator.weight.shape)
        discriminator.bias.data.fill_(0.3)
    method.prepare(graph, 0)
    return method.double()


def doubled(graph: Graph) -> MiniBatch:
    assert isinstance(graph.x, Tensor)
    return graph.full_batch().with_x(graph.x.double())


def softplus(value: float) -> float:
    return math.log1p(math.exp(value))


def looped_information(rows: Tensor, anchors: Tensor, bias: float, others: Tensor, weight: list[float]) -> float:
    """``E_pos softplus(-D) + E_neg softplus(D)`` with ``D = sigmoid(x W y + b)``, pair by pair."""

    def score(i: int, j: int) -> float:
        return 1 / (1 + math.exp(-(rows[j] @ anchors[i]).item() - bias))

    count = range(len(rows))
    positive = sum(weight[i] * softplus(-score(i, i)) for i in count) / sum(weight)
    pairs = [(i, int(j)) for draw in others for i, j in enumerate(draw)]
    total = sum(weight[i] * weight[j] for i, j in pairs)
    return positive + sum(weight[i] * weight[j] * softplus(score(i, j)) for i, j in pairs) / total


@pytest.mark.parametrize("weighted", [False, True])
def test_features_are_told_from_those_of_other_nodes(weighted: bool) -> None:
    graph = toy_graph(num_nodes=12, in_dim=5, isolated=1)
    method = made(graph, negatives=3, own_weight=0.7, near_weight=1.3, edge_weight=0.0)
    batch = doubled(graph)
    weight = [1.0 + 0.5 * (i % 3) for i in range(12)] if weighted else [1.0] * 12
    batch = replace(batch, weight=torch.tensor(weight, dtype=torch.float64)) if weighted else batch
    method.reseed(5, CPU)
    loss = method.loss(batch).item()
    method.reseed(5, CPU)
    others = [method._others(12) for _ in range(2)]
    assert isinstance(batch.x, Tensor)
    adjacency = torch.zeros(12, 12, dtype=torch.float64)
    adjacency[batch.blocks[0].edge_index[1], batch.blocks[0].edge_index[0]] = 1
    mean = adjacency / adjacency.sum(1, keepdim=True).clamp(min=1)
    hidden = method.encoder(batch)
    mapped = batch.x @ method.encoder.layers[0].weight  # type: ignore[index,union-attr]
    near = F.prelu(mean @ mapped, method.activation.weight)
    own, other = method.own_discriminator, method.near_discriminator
    expected = 0.7 * looped_information(batch.x @ own.weight, hidden, own.bias.item(), others[0], weight)
    expected += 1.3 * looped_information(hidden @ other.weight, near, other.bias.item(), others[1], weight)
    assert loss == pytest.approx(expected - (0.7 + 1.3) * SHIFT, rel=1e-6)


def test_no_node_is_its_own_negative_and_every_other_is_drawn_alike() -> None:
    method = made(toy_graph(), negatives=4000)
    method.reseed(0, CPU)
    others = method._others(6)
    assert others.shape == (4000, 6)
    counts = torch.stack([(others == node).sum(0) for node in range(6)])
    assert bool((counts.diagonal() == 0).all())
    off = counts[~torch.eye(6, dtype=torch.bool)]
    assert bool((off > 680).all())
    assert bool((off < 920).all())


def all_non_edges(pattern: Pattern, count: int, rng: torch.Generator) -> Tensor:
    """In place of draws: every ordered pair that is no edge and no node with itself."""
    away = torch.ones(pattern.num_rows, pattern.num_cols, dtype=torch.bool).fill_diagonal_(False)
    away[pattern.row.long(), pattern.col.long()] = False
    target, source = away.nonzero().T
    return torch.stack([source, target])


def test_edges_are_told_as_by_the_authors_sum_over_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their weighted cross-entropy of ``sigmoid(H H')`` against ``A + I``, with both of their weights."""
    graph = toy_graph(num_nodes=20)
    method = made(graph)
    monkeypatch.setattr(gmi, "uniform_negatives", all_non_edges)
    batch = doubled(graph)
    hidden = method.encoder(batch)
    n = 20
    truth = torch.eye(n, dtype=torch.float64)
    truth[batch.blocks[0].edge_index[1], batch.blocks[0].edge_index[0]] = 1
    edges = float(truth.sum()) / 2
    logits = hidden @ hidden.T
    terms = truth * (n * n - edges) / edges * F.softplus(-logits)
    theirs_near = terms.mean() * n * n / (n * n - edges)
    theirs_away = ((1 - truth) * F.softplus(logits)).sum() / (n * n - edges)
    share = (n * n - edges) / (n * n - 2 * edges)  # theirs divide by half of the edges more: 1 in large graphs
    torch.testing.assert_close(method.edge_term(hidden, batch), theirs_near + share * theirs_away)


def test_drawn_non_edges_estimate_all_of_them() -> None:
    graph = toy_graph(num_nodes=20)
    method = made(graph, negatives_per_edge=200.0)
    batch = doubled(graph)
    hidden = method.encoder(batch).detach()
    method.reseed(0, CPU)
    drawn = method.edge_term(hidden, batch)
    away = all_non_edges(batch.blocks[0].pattern, 0, method.rng)
    exact = F.softplus((hidden[away[0]] * hidden[away[1]]).sum(1)).mean()
    near = 2 * _edges(hidden, batch)
    torch.testing.assert_close(drawn, near + exact, rtol=0.02, atol=0)


def _edges(hidden: Tensor, batch: MiniBatch) -> Tensor:
    source, target = batch.blocks[0].edge_index
    pairs = torch.cat([(hidden[source] * hidden[target]).sum(1), hidden.square().sum(1)])
    return F.softplus(-pairs).mean()


def test_weights_of_pairs_are_products_and_a_node_with_itself_weighs_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = toy_graph(num_nodes=10)
    method = made(graph)
    monkeypatch.setattr(gmi, "uniform_negatives", all_non_edges)
    weight = torch.arange(1.0, 11.0, dtype=torch.float64)
    batch = replace(doubled(graph), weight=weight)
    hidden = method.encoder(batch)
    logits, pair = hidden @ hidden.T, weight[:, None] * weight
    edge = torch.zeros(10, 10, dtype=torch.bool)
    edge[batch.blocks[0].edge_index[1], batch.blocks[0].edge_index[0]] = True
    own = torch.eye(10, dtype=torch.bool)
    near = pair * edge + torch.diag(weight)
    away = pair * ~(edge | own)
    expected = 2 * (near * F.softplus(-logits)).sum() / near.sum() + (away * F.softplus(logits)).sum() / away.sum()
    torch.testing.assert_close(method.edge_term(hidden, batch), expected)


def test_sampled_blocks_have_the_neighbors_of_the_targets() -> None:
    """With exact propagation the mean over neighbors is that of the whole graph, whatever the batch."""
    graph = toy_graph(num_nodes=60)
    method = made(graph).float()
    whole = method.near(graph.full_batch())
    sampler = SAMPLERS.get("uniform+exact")(graph, num_layers=2, batch_size=10)
    batch = next(iter(sampler.epoch(0)))
    assert batch.num_nodes > batch.num_targets
    torch.testing.assert_close(method.near(batch), whole[batch.node_ids[: batch.num_targets]])


@pytest.mark.parametrize("change", ["own_weight", "near_weight", "edge_weight"])
def test_every_term_reaches_the_encoder(change: str) -> None:
    graph = toy_graph()
    options: dict[str, Any] = dict.fromkeys(("own_weight", "near_weight", "edge_weight"), 0.0) | {change: 1.0}
    method = made(graph, **options)
    method.reseed(0, CPU)
    method.loss(doubled(graph)).backward()
    grad = method.encoder.layers[1].weight.grad  # type: ignore[index,union-attr]
    assert isinstance(grad, Tensor)
    assert float(grad.abs().sum()) > 0


def agreement(method: GMI, batch: MiniBatch) -> tuple[float, float]:
    """How far own features are above those of others, and inner products of edges above those of non-edges."""
    with torch.no_grad():
        hidden = method.encoder(batch)
        scores = hidden @ (dense_features(batch.x) @ method.own_discriminator.weight).T
        logits = hidden @ hidden.T
    source, target = batch.blocks[0].edge_index
    told = scores.diagonal().mean() - scores.mean()
    return told.item(), (logits[target, source].mean() - logits.mean()).item()


def test_ten_steps_raise_the_agreement_of_true_pairs() -> None:
    graph = toy_graph()
    torch.manual_seed(0)
    method = GMI(GCN(graph.in_dim, hidden_dim=16, num_layers=1, activation="prelu"))
    batch = graph.full_batch()
    before = agreement(method, batch)
    optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
    for step in range(10):
        method.reseed(step, CPU)
        optimizer.zero_grad()
        method.loss(batch).backward()
        optimizer.step()
    after = agreement(method, batch)
    assert after[0] > before[0]
    assert after[1] > before[1]


def sampler_of(name: str, graph: Graph, **options: Any) -> Sampler:
    return SAMPLERS.get(name)(graph, num_layers=2, batch_size=16, **options)


@pytest.mark.parametrize("sampler", ["graphsage", "labor", "shadow", "ladies"])
def test_samplers_that_leave_edges_out_are_refused_unless_edges_do_not_count(sampler: str) -> None:
    graph = toy_graph()
    with pytest.raises(InputError, match=r"leaves some edges among them out.*clustergcn"):
        pretrain(made(graph).float(), sampler_of(sampler, graph), TrainConfig(epochs=1), seed=0)
    method = made(graph, edge_weight=0.0).float()
    result = pretrain(method, sampler_of(sampler, graph), TrainConfig(epochs=1), seed=0)
    assert math.isfinite(result.curve[0].loss)


def test_bad_input_says_what_to_change() -> None:
    graph = toy_graph()
    with pytest.raises(InputError, match=r"has none; use --encoder GCN"):
        GMI(GIN(4))
    with pytest.raises(InputError, match=r"precompute=false"):
        made(graph).check_sampler(sampler_of("gas", graph, precompute=True))


@pytest.mark.parametrize("change", [without_edges, lambda batch: batch.with_x(batch.x * 0)])
def test_graphs_without_edges_or_features_have_a_finite_loss(change: Callable[[MiniBatch], MiniBatch]) -> None:
    graph = toy_graph()
    method = made(graph).float()
    loss = method.loss(change(graph.full_batch()))
    loss.backward()
    assert bool(loss.isfinite())


def test_a_single_node_has_no_negatives() -> None:
    graph = toy_graph(num_nodes=3, in_dim=3)
    batch = Graph.from_edge_index(torch.zeros(2, 0, dtype=torch.int64), torch.eye(3)[:1]).full_batch()
    loss = made(graph).float().loss(batch)
    assert bool(loss.isfinite())
