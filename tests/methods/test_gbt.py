"""G-BT: the cross-correlation of two draws of one view, without a head, and its schedule of rates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from gssl.config.resolve import Request, Subject, resolve
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.methods.gbt import GBT
from gssl.models.gcn import GCN
from gssl.samplers.named import graphsage
from gssl.testing.methods import seeded_loss, train
from gssl.testing.toy import toy_graph
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

CPU = torch.device("cpu")


def made(graph: Graph, **options: Any) -> GBT:
    torch.manual_seed(0)
    encoder = GCN(
        graph.in_dim,
        hidden_dim=16,
        out_dim=8,
        activation="prelu",
        norm="batch",
        norm_momentum=0.01,
        final_activation=False,
    )
    return GBT(encoder, **options)


def correlations(views: list[Tensor], weight: list[float]) -> list[list[float]]:
    """Of the columns of two views over the nodes, number by number in float64."""
    columns = [view.detach().double().T.tolist() for view in views]
    total = sum(weight)

    def covariance(a: list[float], b: list[float]) -> float:
        mean_a, mean_b = (sum(w * v for w, v in zip(weight, c, strict=True)) / total for c in (a, b))
        return sum(w * (u - mean_a) * (v - mean_b) for w, u, v in zip(weight, a, b, strict=True)) / total

    return [[covariance(a, b) / (covariance(a, a) * covariance(b, b)) ** 0.5 for b in columns[1]] for a in columns[0]]


def two_draws(method: GBT, batch: MiniBatch) -> list[Tensor]:
    return [method.encoder(view(batch, method.rng)) for view in method.views]


@pytest.mark.parametrize(("redundancy", "factor"), [(None, 1 / 8), (0.7, 0.7)])
def test_loss_is_the_gap_to_the_identity(redundancy: float | None, factor: float) -> None:
    graph = toy_graph()
    method = made(graph, redundancy=redundancy)
    weight = [1.0 + (i % 3) for i in range(48)]
    batch = replace(graph.full_batch(), weight=torch.tensor(weight))
    loss = seeded_loss(method, batch, 3)
    method.reseed(3, CPU)
    found = correlations(two_draws(method, batch), weight)
    gaps = [[(c - (j == k)) ** 2 * (1 if j == k else factor) for k, c in enumerate(row)] for j, row in enumerate(found)]
    torch.testing.assert_close(loss.item(), sum(map(sum, gaps)), rtol=1e-4, atol=1e-5)


def test_views_are_two_draws_of_edges_and_words() -> None:
    graph = toy_graph()
    method = made(graph, drop_edge=0.2, mask_feature=0.5)
    method.reseed(5, CPU)
    first, second = (view(graph.full_batch(), method.rng) for view in method.views)
    method.reseed(5, CPU)
    for view in (first, second):
        kept = torch.rand(graph.num_edges, generator=method.rng) >= 0.2
        words = torch.rand(graph.in_dim, generator=method.rng) >= 0.5
        assert isinstance(view.x, Tensor)
        assert isinstance(graph.x, Tensor)
        assert torch.equal(view.blocks[0].edge_index, graph.block.edge_index[:, kept])
        assert torch.equal(view.x, graph.x * words)


def test_what_is_compared_is_the_embedding_itself() -> None:
    method = made(toy_graph())
    assert {id(p) for p in method.parameters()} == {id(p) for p in method.encoder.parameters()}
    rows = torch.randn(5, 8)
    assert torch.equal(method.project(rows), rows)


def test_ten_steps_raise_what_columns_share_and_redundancy_lowers_what_others_tell() -> None:
    graph = toy_graph()
    batch = graph.full_batch()

    def shares(method: GBT) -> tuple[float, float]:
        with torch.no_grad():
            method.reseed(9, CPU)
            found = torch.tensor(correlations(two_draws(method, batch), [1.0] * 48))
        on = found.diagonal()
        return on.mean().item(), (found.square().sum() - on.square().sum()).item()

    before = shares(made(graph))
    after = []
    for redundancy in (None, 0.0, 2.0):
        method = made(graph, redundancy=redundancy)
        train(method, batch, steps=10, lr=0.01)
        after.append(shares(method))
    assert after[0][0] > before[0] + 0.02
    assert after[2][1] < 0.8 * after[1][1]


def test_it_trains_on_sampled_batches() -> None:
    graph = toy_graph(num_nodes=96)
    method = made(graph)
    sampler = graphsage(graph, batch_size=32, num_layers=2, seed=0)
    result = pretrain(method, sampler, TrainConfig(epochs=8, lr=1e-2), seed=0)
    assert result.curve[-1].loss < result.curve[0].loss


def test_presets_warm_up_for_a_tenth_of_the_epochs_with_decoupled_decay() -> None:
    for dataset in ("Photo", "Computers", "CS", "Physics"):
        train_config = resolve(Request("G-BT"), Subject(dataset, dataset, "node", "P3-BGRL")).train
        assert (train_config.optimizer, train_config.schedule) == ("adamw", "cosine")
        assert train_config.warmup_epochs == train_config.epochs // 10
