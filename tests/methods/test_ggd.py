"""GGD against a model written out with dense matrices, and where its embedding may be asked for."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.methods.ggd import GGD, SummedProjection
from gssl.models.gcn import GCN, GCNLayer
from gssl.models.mlp import MLPEncoder
from gssl.registry import SAMPLERS
from gssl.testing.methods import train
from gssl.testing.toy import toy_graph
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

CPU = torch.device("cpu")


def made(graph: Graph, **options: Any) -> GGD:
    torch.manual_seed(0)
    method = GGD(GCN(graph.in_dim, hidden_dim=6, num_layers=1, activation="prelu"), **options)
    method.prepare(graph, 0)
    return method


def normalized(graph: Graph) -> Tensor:
    """``D^-1/2 (A + I) D^-1/2``, float64."""
    source, target = graph.block.edge_index
    a = torch.eye(graph.num_nodes, dtype=torch.float64)
    a[target, source] += 1
    scale = a.sum(1).rsqrt()
    return scale[:, None] * a * scale


def dense_output(method: GGD, matrix: Tensor, x: Tensor) -> Tensor:
    layer, activation = method.encoder.layers[0], method.encoder.activations[0]  # type: ignore[index]
    assert isinstance(layer, GCNLayer)
    assert isinstance(activation, nn.PReLU)
    return F.prelu(matrix @ (x @ layer.weight.double()) + layer.bias.double(), activation.weight.double())


def authors_loss(method: GGD, matrix: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """One logit a node from all columns of the projection, both groups under one cross-entropy; x is masked already."""
    order = torch.randperm(len(x), generator=method.rng)
    logits = []
    for features in (x, x[order]):
        h = dense_output(method, matrix, features)
        for linear in method.projector.maps:
            h = h @ linear.weight.double().T + linear.bias.double()  # type: ignore[operator]
        logits.append(h.sum(1))
    labels = torch.cat([torch.ones(len(x)), torch.zeros(len(x))]).double()
    return F.binary_cross_entropy_with_logits(torch.cat(logits), labels, weight.repeat(2)) * len(x) / weight.sum()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
def test_the_loss_and_its_gradients_are_those_of_the_authors(layers: int, weighted: bool) -> None:
    graph = toy_graph()
    method = made(graph, mask_feature=0.0, projector_layers=layers).double()
    assert isinstance(graph.x, Tensor)
    batch = graph.full_batch().with_x(graph.x.double())
    weight = torch.rand(48, dtype=torch.float64) + 0.5 if weighted else torch.ones(48, dtype=torch.float64)
    if weighted:
        batch = replace(batch, weight=weight)
    method.reseed(4, CPU)
    loss = method.loss(batch)
    found = torch.autograd.grad(loss, list(method.parameters()))
    method.reseed(4, CPU)
    expected = authors_loss(method, normalized(graph), graph.x.double(), weight)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-9)  # degrees are float32
    theirs = torch.autograd.grad(expected, list(method.parameters()))
    torch.testing.assert_close(found, theirs, rtol=1e-4, atol=1e-8)
    assert all(bool(gradient.abs().sum() > 0) for gradient in found)


def test_both_groups_have_the_same_masked_features() -> None:
    method = made(toy_graph(), mask_feature=0.5)
    seen: list[Tensor] = []
    method.encoder.register_forward_pre_hook(lambda _, args: seen.append(args[0].x))
    method.loss(toy_graph().full_batch())
    masked = [(x == 0).all(0) for x in seen]
    assert bool(masked[0].any())
    assert torch.equal(*masked)
    assert not torch.equal(*seen)
    assert torch.equal(*(x.sort(0).values for x in seen)), "the corrupted features are those of the view, shuffled"


def test_summed_maps_are_sums_of_the_projection() -> None:
    head, x = SummedProjection(5, 3), torch.randn(7, 5)
    rows = x
    for linear in head.maps:
        rows = linear(rows)
    torch.testing.assert_close(head(x), rows.sum(1, keepdim=True))


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("power", [0, 1, 5])
def test_the_embedding_is_spread_by_powers_of_the_matrix(power: int, normalize: bool) -> None:
    graph = toy_graph(isolated=2)
    method = made(graph, power=power, normalize=normalize).eval()
    matrix = normalized(graph)
    assert isinstance(graph.x, Tensor)
    local = dense_output(method, matrix, graph.x.double())
    expected = local + torch.linalg.matrix_power(matrix, power) @ local if power else local
    expected = expected / expected.norm(dim=1, keepdim=True) if normalize else expected
    torch.testing.assert_close(method.embed(graph.full_batch()).double(), expected, rtol=1e-4, atol=1e-5)


def test_spreading_does_not_depend_on_the_encoder() -> None:
    graph = toy_graph()
    torch.manual_seed(0)
    method = GGD(MLPEncoder(graph.in_dim, hidden_dim=5), power=2).eval()
    local = method.encoder(graph.full_batch())
    matrix = normalized(graph).float()
    torch.testing.assert_close(method.embed(graph.full_batch()), local + matrix @ matrix @ local, rtol=1e-4, atol=1e-5)


def layered_batch(graph: Graph) -> MiniBatch:
    return next(iter(SAMPLERS.get("graphsage")(graph, num_layers=1, batch_size=16).epoch(0)))


def test_a_batch_of_some_nodes_has_no_powers() -> None:
    graph = toy_graph()
    batch = layered_batch(graph)
    with pytest.raises(InputError, match=r"power=0, or --sampler full"):
        made(graph).embed(batch)
    assert made(graph, power=0).embed(batch).shape == (16, 6)


def test_one_epoch_of_sampled_batches_tells_the_groups_apart() -> None:
    """The form for large graphs: as many steps as there are batches, and no node is seen twice."""
    graph = toy_graph(num_nodes=2000)
    torch.manual_seed(0)
    method = GGD(GCN(graph.in_dim, hidden_dim=32, num_layers=2, activation="prelu"))
    sampler = SAMPLERS.get("graphsage")(graph, num_layers=2, batch_size=100)
    assert whole_loss(method, graph) > math.log(2)
    result = pretrain(method, sampler, TrainConfig(epochs=1, lr=0.01), seed=0)
    assert len(result.curve) == 1
    assert whole_loss(method, graph) < math.log(2) - 0.02


def whole_loss(method: GGD, graph: Graph) -> float:
    method.reseed(0, CPU)
    with torch.no_grad():
        return method.loss(graph.full_batch()).item()


def test_ten_steps_raise_the_logits_of_the_graph_above_those_of_the_shuffled_one() -> None:
    graph = toy_graph()
    method = made(graph, mask_feature=0.0)
    batch = graph.full_batch()

    def gap() -> float:
        method.reseed(0, CPU)
        fake = method.shuffle(batch, method.rng)
        with torch.no_grad():
            real, corrupted = (method.project(method.encoder(group)).mean().item() for group in (batch, fake))
        return real - corrupted

    before = gap()
    train(method, batch, steps=10, lr=0.01)
    assert gap() > before
