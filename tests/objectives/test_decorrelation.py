"""Barlow Twins, VICReg and CCA-SSG against NumPy's correlations and covariances, closed forms and repeated items."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gssl.common.errors import InputError
from gssl.objectives.decorrelation import barlow_twins, cca_ssg, vicreg

Objective = Callable[..., Tensor]
ALL = (barlow_twins, vicreg, cca_ssg)


def views(n: int = 9, dim: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    first = torch.randn(n, dim, generator=rng, dtype=torch.float64) @ torch.randn(
        dim, dim, generator=rng, dtype=torch.float64
    )
    return first, first + 0.5 * torch.randn(n, dim, generator=rng, dtype=torch.float64)


def signs(dim: int) -> Tensor:
    """Columns +-1 of a Hadamard matrix without the constant one: mean 0, variance 1, uncorrelated."""
    matrix = torch.ones(1, 1, dtype=torch.float64)
    while len(matrix) <= dim:
        matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
    return matrix[:, 1 : dim + 1]


@pytest.mark.parametrize("redundancy", [None, 0.3])
def test_barlow_twins_is_that_of_numpys_correlations(redundancy: float | None) -> None:
    first, second = views()
    dim = first.shape[1]
    corr = np.corrcoef(first.numpy(), second.numpy(), rowvar=False)[:dim, dim:]
    off = corr[~np.eye(dim, dtype=bool)]
    expected = ((1 - corr.diagonal()) ** 2).sum() + (redundancy or 1 / dim) * (off**2).sum()
    assert barlow_twins(first, second, redundancy=redundancy).item() == pytest.approx(expected, rel=1e-6)


def test_cca_ssg_is_that_of_numpys_correlations() -> None:
    first, second = views()
    one, two = ((z - z.mean(0)) / (z.std(0) * np.sqrt(len(z))) for z in (first.numpy(), second.numpy()))
    apart = sum(((np.corrcoef(z, rowvar=False) - np.eye(4)) ** 2).sum() for z in (first.numpy(), second.numpy()))
    expected = ((one - two) ** 2).sum() + 0.2 * apart
    assert cca_ssg(first, second, decorrelation=0.2).item() == pytest.approx(expected, rel=1e-6)


def test_vicreg_is_that_of_numpys_covariances() -> None:
    first, second = views()
    first, second = 0.4 * first, 0.4 * second  # some columns above, some below the spread
    expected = 3.0 * ((first - second) ** 2).mean().item()
    below = 0
    for z in (first.numpy(), second.numpy()):
        cov = np.cov(z, rowvar=False)
        std = np.sqrt(cov.diagonal() + 1e-4)
        below += int((std < 1.2).sum())
        expected += 5.0 * np.maximum(0, 1.2 - std).mean() / 2
        expected += 0.7 * (cov[~np.eye(4, dtype=bool)] ** 2).sum() / 4
    assert 0 < below < 8
    found = vicreg(first, second, invariance=3.0, variance=5.0, covariance=0.7, spread=1.2)
    assert found.item() == pytest.approx(expected, rel=1e-10)


def test_equal_views_of_uncorrelated_columns_cost_nothing() -> None:
    z = signs(3)
    assert barlow_twins(z, z).item() == pytest.approx(0, abs=1e-12)
    assert cca_ssg(z, z, decorrelation=1.0).item() == pytest.approx(0, abs=1e-12)
    assert vicreg(z, z).item() == 0  # standard deviations of sqrt(8 / 7) are wide enough
    assert barlow_twins(z, -z).item() == pytest.approx(3 * 4, rel=1e-6)  # (1 - (-1))^2 for each column
    assert cca_ssg(z, -z, decorrelation=1.0).item() == pytest.approx(3 * 4, rel=1e-6)  # |2 z|^2 of columns of norm 1


def test_views_that_have_collapsed_cost_what_they_must() -> None:
    z = torch.full((8, 4), 3.0, dtype=torch.float64)
    assert barlow_twins(z, z).item() == pytest.approx(4)  # no correlation at all
    assert cca_ssg(z, z, decorrelation=0.5).item() == pytest.approx(0.5 * 2 * 4)
    assert vicreg(z, z).item() == pytest.approx(25 * (1 - 0.01))  # sqrt(1e-4) is all that a constant column has
    same = signs(1).repeat(1, 4)
    assert barlow_twins(same, same, redundancy=1.0).item() == pytest.approx(12)  # every pair of columns correlates
    assert cca_ssg(same, same, decorrelation=1.0).item() == pytest.approx(24)
    assert vicreg(same, same, covariance=1.0).item() == pytest.approx(2 * 12 * 2**2 / 4)  # n / (n - 1) = 2 for 2 items


@pytest.mark.parametrize("objective", [barlow_twins, cca_ssg])
def test_scale_and_shift_of_a_column_do_not_matter(objective: Objective) -> None:
    first, second = views()
    scale, shift = torch.tensor([2.0, 0.5, 7.0, 1.0]).double(), torch.tensor([1.0, -3.0, 0.0, 9.0]).double()
    torch.testing.assert_close(objective(first * scale + shift, second), objective(first, second), rtol=1e-6, atol=0)


@pytest.mark.parametrize("objective", ALL)
@settings(max_examples=30, deadline=None)
@given(counts=st.lists(st.integers(0, 4), min_size=6, max_size=6).filter(lambda c: sum(map(bool, c)) > 1))
def test_an_item_of_weight_k_is_there_k_times(objective: Objective, counts: list[int]) -> None:
    first, second = views(6)
    weight = torch.tensor(counts, dtype=torch.float64)
    again = torch.arange(6).repeat_interleave(torch.tensor(counts))
    torch.testing.assert_close(objective(first, second, weight=weight), objective(first[again], second[again]))


@pytest.mark.parametrize("objective", ALL)
def test_gradients_stay_finite_where_columns_do_not_change_or_there_is_one_item(objective: Objective) -> None:
    flat = torch.zeros(5, 3)
    flat[:, 0] = torch.arange(5.0)
    for rows in (flat, flat[:1]):
        z = rows.clone().requires_grad_()
        loss = objective(z, rows + 0.1)
        loss.backward()
        assert bool(loss.isfinite())
        assert z.grad is not None
        assert bool(z.grad.isfinite().all())


@pytest.mark.parametrize("objective", ALL)
def test_shapes_that_do_not_match_are_refused(objective: Objective) -> None:
    first, second = views()
    with pytest.raises(InputError, match="same shape"):
        objective(first, second[:, :2])
    with pytest.raises(InputError, match="one weight per item: 9"):
        objective(first, second, weight=torch.ones(4))
