"""MGAE against corruptions that are all written out."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.sparse import SparseMatrix, dense_features
from gssl.methods.mgae import MGAE
from gssl.models.gcn import GCN
from gssl.models.marginal import MarginalisedLayer, denoising_map
from gssl.models.ops import gcn_aggregate
from gssl.registry import SAMPLERS
from gssl.samplers.full import FullBatch
from gssl.testing.toy import toy_dataset, toy_graph
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain


def method_of(in_dim: int = 24, **options: float) -> MGAE:
    return MGAE(GCN(in_dim, hidden_dim=4), **options)  # type: ignore[arg-type]


def test_a_map_is_that_of_ridge_regression_on_every_corruption() -> None:
    """All 16 sets of missing columns, each with its probability, stacked below one another."""
    graph = toy_graph(num_nodes=12, in_dim=4)
    assert isinstance(graph.x, Tensor)
    x, p, ridge = graph.x.double(), 0.3, 0.01
    ones = torch.ones(12, 1, dtype=torch.float64)
    rows, targets = [], []
    for missing in itertools.product((False, True), repeat=4):
        chance = math.prod(p if gone else 1 - p for gone in missing)
        corrupted = x * torch.tensor([0.0 if gone else 1.0 for gone in missing], dtype=torch.float64)
        spread = gcn_aggregate(graph.block, torch.cat([corrupted, ones], dim=1))
        rows.append(math.sqrt(chance) * spread)
        targets.append(math.sqrt(chance) * x)
    stacked = torch.cat(rows)
    scale = float((stacked**2).sum() / 5)
    penalty = math.sqrt(ridge * scale) * torch.eye(5, dtype=torch.float64)[:4]
    expected = torch.linalg.lstsq(
        torch.cat([stacked, penalty]), torch.cat([*targets, torch.zeros(4, 4, dtype=torch.float64)])
    ).solution
    spread = gcn_aggregate(graph.block, torch.cat([x, ones], dim=1))
    torch.testing.assert_close(denoising_map(spread, x, corruption=p, ridge=ridge), expected, rtol=1e-8, atol=1e-10)


def test_layers_stack_and_the_embedding_is_the_last() -> None:
    graph = toy_graph(attributes=True)
    method = method_of(num_layers=2)
    method.prepare(graph, 0)
    x = dense_features(graph.x).double()
    for layer in method.layers:
        assert isinstance(layer, MarginalisedLayer)
        spread = gcn_aggregate(graph.block, torch.cat([x, x.new_ones(48, 1)], dim=1))
        found = denoising_map(spread, x, corruption=0.4, ridge=1e-6)
        torch.testing.assert_close(layer.weight.detach(), found[:-1].float(), rtol=1e-4, atol=1e-5)
        x = spread @ found
    torch.testing.assert_close(method.embed(graph.full_batch()).double(), x, rtol=1e-3, atol=1e-4)


def test_without_corruption_and_edges_features_are_given_back() -> None:
    graph = toy_graph(isolated=48)
    x = dense_features(graph.x).double()
    same = MarginalisedLayer(24).fit(graph.block, x, corruption=0.0, ridge=1e-10)
    torch.testing.assert_close(same, x, rtol=1e-5, atol=1e-5)


def test_scaling_the_features_scales_the_embedding() -> None:
    graph = toy_graph()
    assert isinstance(graph.x, Tensor)
    one, other = (
        MarginalisedLayer(24).fit(graph.block, f * graph.x.double(), corruption=0.4, ridge=1e-8) for f in (1, 50)
    )
    torch.testing.assert_close(50 * one, other, rtol=1e-3, atol=1e-3)


def test_it_tells_the_communities_better_than_the_features_do() -> None:
    data = toy_dataset("node")
    assert data.labels is not None
    method, label = method_of(data.graph.in_dim), data.labels.y.long()
    method.prepare(data.graph, 0)

    def apart(rows: Tensor) -> float:
        means = torch.stack([rows[label == c].mean(0) for c in label.unique()])
        return float(means.var(0).sum() / (rows - means[label]).square().sum(1).mean())

    batch = data.graph.full_batch()
    assert apart(method.embed(batch).detach()) > 2 * apart(dense_features(batch.x))


def test_sparse_features_give_the_same() -> None:
    found = []
    for sparse in (False, True):
        graph, method = toy_graph(sparse=sparse), method_of()
        assert isinstance(graph.x, SparseMatrix) == sparse
        method.prepare(graph, 0)
        found.append(method.embed(graph.full_batch()))
    torch.testing.assert_close(*found)


def test_another_graph_is_embedded_by_the_maps_of_the_first() -> None:
    first, second = toy_graph(), toy_graph(seed=1)
    method, other = method_of(), method_of()
    method.prepare(first, 0)
    before = [p.clone() for p in method.parameters()]
    method.prepare(second, 0)
    assert all(torch.equal(a, b) for a, b in zip(before, method.parameters(), strict=True))
    other.prepare(second, 5)
    other.load_state_dict(method.state_dict())
    assert torch.equal(other.embed(second.full_batch()), method.embed(second.full_batch()))


def test_the_seed_does_not_matter_and_a_second_seed_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, first, second = toy_graph(), method_of(), method_of()
    first.prepare(graph, 0)
    monkeypatch.setattr(MarginalisedLayer, "fit", None)
    second.prepare(graph, 1)
    assert torch.equal(first.embed(graph.full_batch()), second.embed(graph.full_batch()))


def test_its_seconds_are_those_of_solving(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every layer takes three seconds of a clock that only this test moves; a run with 200 epochs runs none."""
    graph, clock, fit = toy_graph(), [100.0], MarginalisedLayer.fit

    def slow(layer: MarginalisedLayer, *rest: Any, **options: Any) -> Tensor:
        clock[0] += 3
        return fit(layer, *rest, **options)

    monkeypatch.setattr(MarginalisedLayer, "fit", slow)
    monkeypatch.setattr("gssl.methods.mgae.time.perf_counter", lambda: clock[0])
    monkeypatch.setattr("gssl.methods.mgae.time.process_time", lambda: clock[0] / 2)
    for seed in range(2):  # the second takes what the first has found, at the same price
        method = method_of(num_layers=2)
        method.prepare(graph, seed)
        result = pretrain(method, FullBatch(graph), TrainConfig(), seed=seed)
        assert (result.epochs, result.seconds, result.cpu_seconds) == (0, 6.0, 3.0)


def test_a_batch_with_all_neighbors_embeds_as_the_graph_does() -> None:
    graph, method = toy_graph(num_nodes=60), method_of()
    method.prepare(graph, 0)
    batch = next(iter(SAMPLERS.get("uniform+exact")(graph, num_layers=method.num_layers, batch_size=9).epoch(0)))
    ids = batch.node_ids[: batch.num_targets]
    torch.testing.assert_close(method.embed(batch), method.embed(graph.full_batch())[ids], rtol=1e-4, atol=1e-5)


def test_sampled_batches_are_refused() -> None:
    graph, method = toy_graph(), method_of()
    with pytest.raises(InputError, match="leave out --sampler"):
        method.check_sampler(SAMPLERS.get("graphsage")(graph, num_layers=3, batch_size=9))
    method.check_sampler(SAMPLERS.get("full")(graph))


def test_it_says_that_it_has_no_loss() -> None:
    with pytest.raises(TypeError, match="closed form"):
        method_of().loss(toy_graph().full_batch())
