import math

import pytest
import torch
from torch import nn

from gssl.graph.storage import Graph
from gssl.models.ema import EMATarget, cosine_momentum
from gssl.models.gcn import GCN


@pytest.fixture
def encoder() -> GCN:
    torch.manual_seed(0)
    return GCN(3, hidden_dim=4, norm="batch")


def fill(module: nn.Module, value: float) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(value)


@pytest.mark.parametrize("momentum", [0.0, 0.9, 0.99, 1.0])
def test_momentum_rises_along_half_a_cosine(momentum: float) -> None:
    assert cosine_momentum(momentum, 0) == pytest.approx(momentum)
    assert cosine_momentum(momentum, 1) == 1
    assert cosine_momentum(momentum, 0.5) == pytest.approx((1 + momentum) / 2)
    assert cosine_momentum(momentum, 1 / 3) == pytest.approx(1 - (1 - momentum) * 0.75)


def test_distance_to_a_constant_encoder_is_the_product_of_momenta(encoder: GCN) -> None:
    target = EMATarget(encoder, momentum=0.5)
    fill(encoder, 3.0)
    fill(target.encoder, 1.0)
    product = 1.0
    for step in range(1, 11):
        target.update(encoder, step / 10)
        product *= 1 - 0.5 * (math.cos(math.pi * step / 10) + 1) / 2
        for parameter in target.encoder.parameters():
            torch.testing.assert_close(parameter, torch.full_like(parameter, 3.0 - 2.0 * product))


def test_starts_equal_and_is_separate(encoder: GCN) -> None:
    target = EMATarget(encoder)
    for mine, theirs in zip(target.encoder.parameters(), encoder.parameters(), strict=True):
        assert torch.equal(mine, theirs)
        assert mine.data_ptr() != theirs.data_ptr()


def test_buffers_are_copied_not_averaged(encoder: GCN) -> None:
    target = EMATarget(encoder, momentum=0.9)
    counted = dict(encoder.named_buffers())
    for value in counted.values():
        value.fill_(7)
    assert {name.rpartition(".")[2] for name in counted} == {"running_mean", "running_var", "num_batches_tracked"}
    target.update(encoder, 0.5)
    for value in target.encoder.buffers():
        assert (value == 7).all()


def test_has_no_gradient_and_is_saved(encoder: GCN) -> None:
    target = EMATarget(encoder)
    assert not any(parameter.requires_grad for parameter in target.parameters())
    assert all(parameter.requires_grad for parameter in encoder.parameters())
    graph = Graph.from_edge_index(torch.tensor([[0, 1], [1, 0]]), torch.randn(2, 3))
    assert not target(graph.full_batch()).requires_grad
    other = EMATarget(GCN(3, hidden_dim=4, norm="batch"))
    fill(target, 0.25)
    other.load_state_dict(target.state_dict())
    for parameter in other.encoder.parameters():
        assert (parameter == 0.25).all()
