"""How far embeddings are from their centre: closed forms, and the gradient that pushes them away from it."""

import math

import pytest
import torch
import torch.nn.functional as F

from gssl.objectives.scattering import scattering


def test_directions_that_cancel_out_scatter_most_and_equal_ones_not_at_all() -> None:
    corners = torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [0.0, -0.1]], dtype=torch.float64)
    assert scattering(corners).item() == pytest.approx(-1)
    assert scattering(corners[:1].expand(5, 2)).item() == pytest.approx(0)
    assert scattering(corners[:1]).item() == pytest.approx(0)


def test_two_directions_scatter_by_the_angle_between_them() -> None:
    for angle in (0.3, 1.5, 3.0):
        pair = torch.tensor([[1.0, 0.0], [math.cos(angle), math.sin(angle)]], dtype=torch.float64)
        assert scattering(pair).item() == pytest.approx(-(math.sin(angle / 2) ** 2))
        assert scattering(torch.cat([pair, pair[1:]])).item() == pytest.approx(
            scattering(pair, weight=torch.tensor([1.0, 2.0], dtype=torch.float64)).item()
        )


def test_of_unit_rows_it_is_the_squared_length_of_their_mean_less_one() -> None:
    rng = torch.Generator().manual_seed(0)
    rows, weight = torch.randn(30, 6, generator=rng).double(), torch.rand(30, generator=rng).double()
    mean = (weight[:, None] * F.normalize(rows)).sum(0) / weight.sum()
    assert scattering(rows, weight=weight).item() == pytest.approx(mean.square().sum().item() - 1)


def test_an_embedding_of_zero_is_a_direction_of_nothing() -> None:
    rows = torch.zeros(4, 3, requires_grad=True)
    loss = scattering(rows)
    loss.backward()
    assert loss.item() == 0
    assert rows.grad is not None
    assert bool(rows.grad.isfinite().all())


def test_descent_moves_directions_apart() -> None:
    rng = torch.Generator().manual_seed(1)
    rows = (torch.randn(20, 4, generator=rng) + 3).requires_grad_()
    before = scattering(rows).item()
    optimizer = torch.optim.SGD([rows], lr=50.0)
    for _ in range(10):
        optimizer.zero_grad()
        scattering(rows).backward()
        optimizer.step()
    assert scattering(rows).item() < before - 0.05
