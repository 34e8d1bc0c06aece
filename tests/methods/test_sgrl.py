"""SGRL: a target that scatters, an online network that follows it through the graph, and a slow average between."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.evaluate.collapse import collapse
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.methods.sgrl import SGRL
from gssl.models.gcn import GCN
from gssl.registry import SAMPLERS
from gssl.samplers.full import FullBatch
from gssl.testing.toy import toy_graph
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain


def made(graph: Graph, *, num_layers: int = 1, **options: object) -> SGRL:
    torch.manual_seed(0)
    encoder = GCN(graph.in_dim, hidden_dim=16, out_dim=8, num_layers=num_layers, activation="prelu")
    return SGRL(encoder, **options)  # type: ignore[arg-type]


def moved(method: SGRL) -> SGRL:
    """The method with a target that is not its online encoder."""
    rng = torch.Generator().manual_seed(3)
    for parameter in method.target.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=rng)
    return method


def propagation(graph: Graph) -> Tensor:
    """``D^-1/2 (A + I) D^-1/2`` as a dense matrix, float64."""
    n = graph.num_nodes
    dense = torch.eye(n, dtype=torch.float64)
    source, target = graph.block.edge_index
    dense[target, source] += 1
    scale = dense.sum(1).rsqrt()
    return scale[:, None] * dense * scale


@pytest.mark.parametrize("hops", [1, 3])
def test_the_embedding_is_the_encoders_and_what_the_graph_makes_of_it(hops: int) -> None:
    graph = toy_graph(isolated=2)
    method = made(graph, hops=hops)
    own = method.encoder(graph.full_batch()).double()
    expected = own + torch.linalg.matrix_power(propagation(graph), hops) @ own
    torch.testing.assert_close(method.embed(graph.full_batch()).double(), expected, rtol=1e-5, atol=1e-6)


def test_both_losses_are_those_of_the_authors_node_by_node() -> None:
    graph = toy_graph()
    method, batch = moved(made(graph)), graph.full_batch()
    weight = 1.0 + torch.arange(48) % 3
    batch = replace(batch, weight=weight)
    target = method.target(batch).double()
    prediction = method.predictor(method.embed(batch)).detach().double()
    unit = [row / row.norm() for row in target]
    total = float(weight.sum())
    centre = torch.stack([w * u for w, u in zip(weight, unit, strict=True)]).sum(0) / total
    apart = sum(float(w) * float((u - centre).square().sum()) for w, u in zip(weight, unit, strict=True)) / total
    cosine = sum(float(w) * float(p @ u / p.norm()) for w, p, u in zip(weight, prediction, unit, strict=True)) / total
    assert method.scatter(batch).item() == pytest.approx(-apart, rel=1e-5)
    assert method.align(batch).item() == pytest.approx(2 - 2 * cosine, rel=1e-5)
    assert method.loss(batch).item() == pytest.approx(2 - 2 * cosine - apart, rel=1e-5)


def test_each_loss_reaches_its_own_player() -> None:
    graph = toy_graph()
    method = made(graph, target_lr=0.5)
    players = method.players()
    assert list(players) == ["target", "method"]
    assert players["target"].lr == 0.5
    mine = {id(p) for player in players.values() for p in player.parameters}
    assert mine == {id(p) for p in method.parameters() if p.requires_grad}
    for name, other in (("target", "method"), ("method", "target")):
        method.zero_grad()
        loss = players[name].loss
        assert loss is not None
        loss(graph.full_batch()).backward()
        assert all(p.grad is not None for p in players[name].parameters)
        assert all(p.grad is None for p in players[other].parameters)


def test_the_target_moves_by_the_same_share_at_any_time() -> None:
    for progress in (1e-9, 0.5, 1.0):
        method = moved(made(toy_graph(), momentum=0.75))
        before = [p.detach().clone() for p in method.target.parameters()]
        method.after_step(progress)
        for old, new, online in zip(before, method.target.parameters(), method.encoder.parameters(), strict=True):
            torch.testing.assert_close(new, 0.75 * old + 0.25 * online)
            assert new.requires_grad


def test_training_scatters_the_target_and_the_online_network_follows() -> None:
    graph = toy_graph()
    method = made(graph)
    batch = graph.full_batch()

    def scores() -> tuple[float, float]:
        with torch.no_grad():
            return collapse(method.target(batch)).mean_cosine, method.align(batch).item()

    before = scores()
    pretrain(method, FullBatch(graph), TrainConfig(epochs=40, lr=1e-2), seed=0)
    after = scores()
    assert after[0] < before[0] - 0.05  # directions are farther apart
    assert after[1] < 0.5 * before[1]


def test_without_scattering_everything_falls_together() -> None:
    """The trick of the paper: a target that only follows lets all embeddings point one way."""
    graph, spread = toy_graph(), []
    for target_lr in (1e-2, 1e-9):
        method = made(graph, momentum=0.9, target_lr=target_lr)
        pretrain(method, FullBatch(graph), TrainConfig(epochs=40, lr=1e-2), seed=0)
        with torch.no_grad():
            spread.append(collapse(method.embed(graph.full_batch())).spread)
    assert spread[0] > 1.5 * spread[1], spread


def batches(graph: Graph, name: str, num_layers: int, **options: object) -> list[MiniBatch]:
    return list(SAMPLERS.get(name)(graph, num_layers=num_layers, seed=0, **options).epoch(0))


@pytest.mark.parametrize(("num_layers", "hops"), [(1, 1), (2, 1), (1, 2)])
def test_batches_with_all_neighbors_give_the_embeddings_of_the_graph(num_layers: int, hops: int) -> None:
    graph = toy_graph(isolated=3)
    method = made(graph, num_layers=num_layers, hops=hops)
    assert method.num_layers == num_layers + hops
    full = method.embed(graph.full_batch())
    seen = 0
    for options in ({}, {"precompute": True}):
        for batch in batches(graph, "uniform+exact", method.num_layers, batch_size=10, **options):
            expected = full[batch.node_ids[: batch.num_targets]]
            torch.testing.assert_close(method.embed(batch), expected, rtol=1e-5, atol=1e-6)
            seen += batch.num_targets
    assert seen == 2 * 48


@pytest.mark.parametrize("sampler", ["graphsage", "clustergcn", "shadow"])
def test_it_trains_on_sampled_batches(sampler: str) -> None:
    graph = toy_graph(num_nodes=96)
    method = made(graph)
    source = SAMPLERS.get(sampler)(graph, batch_size=32, num_layers=method.num_layers, seed=0)
    result = pretrain(method, source, TrainConfig(epochs=8, lr=1e-2), seed=0)
    assert result.curve[-1].loss < result.curve[0].loss


def test_samplers_without_codes_of_the_neighbors_are_refused() -> None:
    graph = toy_graph()
    method = made(graph)
    with pytest.raises(InputError, match=r"a history does not have.*graphsage"):
        method.check_sampler(SAMPLERS.get("gas")(graph, batch_size=12, num_layers=2, seed=0))
    with pytest.raises(InputError, match="needs 2 layers"):
        method.check_sampler(SAMPLERS.get("graphsage")(graph, batch_size=12, num_layers=1, seed=0))
