"""Gradient norms against one backward pass per item."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.methods.bgrl import BGRL
from gssl.methods.supervised import Supervised
from gssl.models.gcn import GCN
from gssl.samplers.propagation.adjoint import AdjointPropagation
from gssl.samplers.propagation.exact import Exact
from gssl.samplers.rng import Key
from gssl.samplers.selection.base import Draw
from gssl.testing.toy import toy_dataset, toy_graph
from gssl.training.norms import GradientNorms

IDS = [3, 0, 7, 11]
PROBABILITY = [0.5, 0.25, 1.0, 0.125]


def draw(ids: list[int], probability: list[float]) -> Draw:
    return Draw(torch.tensor(ids), torch.tensor(probability, dtype=torch.float64), Key(0, 0, 0), measure=True)


def norm(module: torch.nn.Module) -> Tensor:
    """Of the gradient of its parameters."""
    return torch.nn.utils.get_total_norm([p.grad for p in module.parameters() if p.grad is not None])


def measured(method: torch.nn.Module, batch: MiniBatch) -> Tensor:
    with GradientNorms(method, active=True) as norms:  # type: ignore[arg-type]  # a method
        loss = method.loss(batch) * method.mass(batch)  # type: ignore[operator]  # a method
        loss.backward()
    return norms.of(batch)


@pytest.mark.parametrize("population", [None, 120])
def test_norms_of_a_head_are_those_of_each_term_alone(population: int | None) -> None:
    dataset = toy_dataset("node")
    torch.manual_seed(0)
    method = Supervised(GCN(dataset.graph.in_dim, hidden_dim=8), dropout=0.0)
    assert dataset.labels is not None
    method.fit_labels(dataset.labels, replace(dataset.splits[0], train=torch.arange(120)))
    propagation = Exact(dataset.graph, num_layers=2)
    batch = propagation.batch(draw(IDS, PROBABILITY)).planned(population=population, measure=True)
    found = measured(method, batch)
    expected = []
    for node in IDS:
        method.zero_grad()
        method.loss(propagation.batch(draw([node], [1.0]))).backward()
        expected.append(norm(method.head))
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-4, atol=1e-6)


def test_norms_without_a_head_do_not_depend_on_the_weights() -> None:
    """They are those of a target's own term, however probable it was."""
    graph = toy_graph()
    torch.manual_seed(0)
    method = BGRL(GCN(graph.in_dim, hidden_dim=8), drop_edge=(0.0, 0.0), mask_feature=(0.0, 0.0))
    propagation = Exact(graph, num_layers=2)
    weighted = propagation.batch(draw(IDS, PROBABILITY)).planned(population=48, measure=True)
    plain = propagation.batch(draw(IDS, [1.0] * 4)).planned(population=48, measure=True)
    torch.testing.assert_close(measured(method, weighted), measured(method, plain), rtol=1e-4, atol=1e-7)
    assert (measured(method, plain) > 0).all()


def test_norms_with_adjoint_history_are_those_of_all_layers() -> None:
    """The contribution of one node to the gradient of every convolution, from a batch of that node alone."""
    dataset = toy_dataset("node")
    torch.manual_seed(0)
    encoder = GCN(dataset.graph.in_dim, hidden_dim=8)
    method = Supervised(encoder, dropout=0.0)
    assert dataset.labels is not None
    method.fit_labels(dataset.labels, replace(dataset.splits[0], train=torch.arange(120)))
    propagation = AdjointPropagation(dataset.graph, num_layers=2)

    def batch(ids: list[int]) -> MiniBatch:
        return propagation.batch(draw(ids, [1.0] * len(ids))).planned(population=120, measure=True)

    for _ in range(3):
        measured(method, batch(list(range(120))))
    propagation.frozen = True
    found = measured(method, batch(IDS))
    expected = []
    for node in IDS:
        method.zero_grad()
        measured(method, batch([node]))
        expected.append(norm(encoder.layers[1]) * 120)
    found_last = torch.stack(expected)
    assert (found >= found_last * 0.999).all(), "the last layer is a part of the whole"
    assert (found / found_last).max() < 20


def test_nothing_is_remembered_unless_asked() -> None:
    graph = toy_graph()
    method = BGRL(GCN(graph.in_dim, hidden_dim=8))
    with GradientNorms(method, active=False):
        method.loss(graph.full_batch()).backward()
    assert not method.encoder._forward_hooks


@pytest.mark.parametrize("name", ["supervised", "BGRL"])
def test_norms_without_a_step_leave_the_encoder_alone(name: str) -> None:
    """The way back that ends at the measured module gives the same norms as the whole one, and no gradients."""
    dataset = toy_dataset("node")
    torch.manual_seed(0)
    encoder = GCN(dataset.graph.in_dim, hidden_dim=8)
    method: Supervised | BGRL
    if name == "BGRL":
        method = BGRL(encoder, drop_edge=(0.0, 0.0), mask_feature=(0.0, 0.0))
    else:
        method = Supervised(encoder, dropout=0.0)
        assert dataset.labels is not None
        method.fit_labels(dataset.labels, replace(dataset.splits[0], train=torch.arange(120)))
    batch = Exact(dataset.graph, num_layers=2).batch(draw(IDS, PROBABILITY)).planned(population=120, measure=True)
    expected = measured(method, batch)
    method.zero_grad()
    with GradientNorms(method, active=True) as norms:
        norms.backward(method.loss(batch) * method.mass(batch))
    torch.testing.assert_close(norms.of(batch), expected, rtol=0, atol=0)
    assert (expected > 0).all()
    assert all(parameter.grad is None for parameter in method.encoder.parameters())
