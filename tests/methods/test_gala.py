"""GALA against dense matrices, and what sharpening does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.graph.block import Block
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.methods.gala import GALA
from gssl.models.gcn import GCN
from gssl.models.sharpen import sharpen
from gssl.registry import SAMPLERS
from gssl.testing.toy import toy_batch, toy_graph
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

CPU = torch.device("cpu")


def method_of(*, rectified: bool = True, **options: object) -> GALA:
    torch.manual_seed(0)
    return GALA(GCN(24, **{"hidden_dim": 9, "out_dim": 5, **options}), rectified=rectified)  # type: ignore[arg-type]


def layers_of(module: nn.Module) -> Any:
    """Its layers, GCN's or sharpening ones."""
    return module.layers


def dense(block: Block) -> tuple[Tensor, Tensor]:
    """The smoothing and the sharpening matrix of a graph, float64, entry by entry."""
    n = block.num_dst
    weight = torch.ones(block.num_edges) if block.weight is None else block.weight
    adjacency = [[0.0] * n for _ in range(n)]
    for (u, v), w in zip(block.edge_index.T.tolist(), weight.tolist(), strict=True):
        adjacency[v][u] += w
    degree = [sum(row) for row in adjacency]
    smooth, sharp = (torch.zeros(n, n, dtype=torch.float64) for _ in range(2))
    for i in range(n):
        for j in range(n):
            same = float(i == j)
            smooth[i, j] = (adjacency[i][j] + same) / ((degree[i] + 1) * (degree[j] + 1)) ** 0.5
            sharp[i, j] = (2 * same - adjacency[i][j]) / ((degree[i] + 2) * (degree[j] + 2)) ** 0.5
    return smooth, sharp


@pytest.mark.parametrize("rectified", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_the_loss_is_that_of_dense_matrices(rectified: bool, weighted: bool) -> None:
    method = method_of(rectified=rectified).double()
    batch = toy_graph(isolated=2, attributes=True).full_batch()
    batch = batch.with_x(dense_features(batch.x).double()).map_blocks(
        lambda block: replace(block, weight=None if block.weight is None else block.weight.double())
    )
    weight = 1.0 + torch.arange(48, dtype=torch.float64) % 4
    smooth, sharp = dense(batch.blocks[0])
    h = dense_features(batch.x)
    for layer in layers_of(method.encoder):
        h = (smooth @ h @ layer.weight + layer.bias).clamp(min=0)
    for number, layer in enumerate(layers_of(method.decoder)):
        h = sharp @ h @ layer.weight + layer.bias
        h = h.clamp(min=0) if rectified or number == 0 else h
    terms = 0.5 * ((h - dense_features(batch.x)) ** 2).sum(1)
    expected = (weight * terms).sum() / weight.sum() if weighted else terms.mean()
    loss = method.loss(replace(batch, weight=weight if weighted else None))
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    ours = torch.autograd.grad(loss, list(method.parameters()))
    torch.testing.assert_close(ours, torch.autograd.grad(expected, list(method.parameters())), rtol=1e-9, atol=1e-12)


def test_the_decoder_has_the_widths_in_reverse() -> None:
    method = method_of(num_layers=3)
    assert [tuple(layer.weight.shape) for layer in layers_of(method.decoder)] == [(5, 9), (9, 9), (9, 24)]
    assert method.num_layers == 6


def test_sharpening_is_bounded_and_opposes_smoothing() -> None:
    """Eigenvalues lie in [-1, 1]; what neighbors agree on shrinks, what they differ in stays largest."""
    block = toy_graph().block
    smooth, sharp = dense(block)
    torch.testing.assert_close(sharpen(block, torch.eye(48, dtype=torch.float64)), sharp)
    values, vectors = torch.linalg.eigh(sharp)
    assert float(values.abs().max()) <= 1 + 1e-12
    energy = [float(v @ smooth @ v) for v in (vectors[:, 0], vectors[:, -1])]
    assert energy[0] > 0.5 > energy[1]


def test_two_nodes_in_closed_form() -> None:
    """Of a pair with degrees 1: (2 x - y) / 3, so a difference of 1 stays 1 and a common value becomes a third."""
    graph = Graph.from_edge_index(torch.tensor([[0, 1], [1, 0]]), torch.eye(2))
    rows = torch.tensor([[1.0, 0.5], [1.0, -0.5]])
    torch.testing.assert_close(sharpen(graph.block, rows), torch.tensor([[1 / 3, 0.5], [1 / 3, -0.5]]))


@pytest.mark.parametrize("sampler", ["uniform+exact", "uniform+induced"])
def test_with_all_nodes_and_edges_a_sampled_loss_is_that_of_the_graph(sampler: str) -> None:
    graph = toy_graph(num_nodes=60)
    method = method_of().eval()
    source = SAMPLERS.get(sampler)(graph, num_layers=method.num_layers, batch_size=60)
    (batch,) = source.epoch(0)
    torch.testing.assert_close(method.loss(batch), method.loss(graph.full_batch()), rtol=1e-4, atol=1e-5)


def test_targets_of_an_exact_batch_have_the_loss_that_they_have_in_the_graph() -> None:
    graph = toy_graph(num_nodes=60)
    method = method_of().eval()
    batch = next(iter(SAMPLERS.get("uniform+exact")(graph, num_layers=4, batch_size=7).epoch(0)))
    whole = graph.full_batch()
    weight = torch.zeros(60).index_fill(0, batch.node_ids[: batch.num_targets], 1.0)
    torch.testing.assert_close(method.loss(replace(batch, weight=None)), method.loss(replace(whole, weight=weight)))


def test_training_lowers_the_error_below_that_of_the_mean() -> None:
    graph = toy_graph()
    method = method_of(hidden_dim=32, out_dim=16)
    pretrain(method, SAMPLERS.get("full")(graph), TrainConfig(epochs=200, lr=0.01), seed=0)
    x = dense_features(graph.full_batch().x)
    with torch.no_grad():
        error = float(method.loss(graph.full_batch()))
    assert error < 0.9 * 0.5 * float((x - x.mean(0)).square().sum(1).mean())


def test_features_that_a_relu_never_gives_are_refused_and_histories_too() -> None:
    graph = toy_graph()
    assert isinstance(graph.x, Tensor)
    centred = SAMPLERS.get("full")(replace(graph, x=graph.x - 0.5))
    with pytest.raises(InputError, match=r"below zero.*rectified=false"):
        method_of().check_sampler(centred)
    method_of(rectified=False).check_sampler(centred)
    with pytest.raises(InputError, match="needs codes of the neighbors"):
        method_of().check_sampler(SAMPLERS.get("gas")(graph, num_layers=4, batch_size=12))


def test_a_bipartite_block_without_degrees_is_refused() -> None:
    block = toy_batch("node").blocks[0].head(5)
    with pytest.raises(InputError, match="full_degree"):
        sharpen(block, torch.zeros(48, 2))
