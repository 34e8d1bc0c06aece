"""Theorem 4.1 of MVS, against its definition and a version that sorts everything."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import optimize

from gssl.common.errors import InputError, TrainingError
from gssl.samplers.probability import collected, inclusion_probability, pieces_of, priced, threshold

ties = st.sampled_from([0.0, 0.5, 1.0, 3.0])
tame = st.floats(1e-3, 1e3)
wild = st.integers(-400, 400).map(lambda e: 2.0**e)
numbers = st.one_of(*(st.lists(kind, min_size=1, max_size=40) for kind in (ties, tame, wild, ties | tame | wild)))


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    values = np.array(draw(numbers))
    return values, draw(st.integers(1, len(values)))


def by_sorting(values: np.ndarray, size: int) -> float:
    """The definition: the first k at which the next largest value fits below the sum of the rest over size - k."""
    falling = np.sort(values)[::-1]
    return next(mu for k in range(size) if falling[k] <= (mu := float(falling[k:].sum() / (size - k))))


@settings(deadline=None)
@given(cases())
@example((np.array([1.0, 1.0, 1.0, 1.0]), 3))
@example((np.array([1e300, 1e-300, 1e-300]), 2))
@example((2.0 ** -np.arange(60), 30))
def test_threshold_is_that_of_the_sorted_version(case: tuple[np.ndarray, int]) -> None:
    values, size = case
    if np.count_nonzero(values) <= size:
        assert threshold(pieces_of(values), size) == 0
    else:
        assert threshold(pieces_of(values), size) == pytest.approx(by_sorting(values, size), rel=1e-12)


@settings(deadline=None)
@given(cases())
def test_probabilities_solve_the_theorem(case: tuple[np.ndarray, int]) -> None:
    values, size = case
    p = inclusion_probability(torch.from_numpy(values), size).numpy()
    assert p.min() >= 0
    assert p.max() <= 1
    positive = np.count_nonzero(values)
    if positive == 0:
        assert np.allclose(p, size / len(values))
        return
    assert p.sum() == pytest.approx(min(size, positive), rel=1e-10)
    assert (p[values == 0] == 0).all()
    open_ = (p > 0) & (p < 1)
    if open_.any():  # in proportion below one, and what is at one is not less
        ratio = values[open_] / p[open_]
        assert np.allclose(ratio, ratio[0], rtol=1e-12)
        assert (values[p == 1] >= ratio[0] * (1 - 1e-12)).all()


@settings(deadline=None)
@given(cases(), st.floats(0, 1), st.floats(0, 2))
def test_floor_and_mixing_keep_the_sum(case: tuple[np.ndarray, int], mix: float, floor: float) -> None:
    values, size = case
    p = inclusion_probability(torch.from_numpy(values), size, floor=floor, mix=mix).numpy()
    positive = int(np.count_nonzero(values))
    expected = min(size, positive) if positive else size
    assert p.max() <= 1
    if floor == 0 or not values.any():
        assert p.sum() == pytest.approx((1 - mix) * expected + mix * size, rel=1e-9)
    if mix > 0:
        assert (p >= mix * size / len(values) * (1 - 1e-12)).all()


def test_no_probabilities_have_less_variance() -> None:
    """A solver that knows nothing of the theorem, on the variance sum g^2 / p, ends at the same point."""
    norms = np.array([5.0, 1.0, 0.3, 2.0, 0.7])
    found = optimize.minimize(
        lambda p: (norms**2 / p).sum(),
        np.full(5, 0.4),
        bounds=[(1e-3, 1)] * 5,
        constraints={"type": "eq", "fun": lambda p: p.sum() - 2},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert found.x[0] == pytest.approx(1)
    assert np.allclose(inclusion_probability(torch.from_numpy(norms), 2).numpy(), found.x, atol=1e-4)


def test_no_probabilities_have_less_variance_at_the_same_cost() -> None:
    """A solver that minimises ``sum g^2 / p`` where the expected cost is given, not the size."""
    norms, costs = np.array([5.0, 1.0, 0.3, 2.0, 0.7]), np.array([30.0, 1.0, 2.0, 9.0, 1.5])
    values = collected(priced(pieces_of(norms), pieces_of(costs), 5, floor=0.0), 5)
    p = inclusion_probability(values, 2).numpy()
    found = optimize.minimize(
        lambda p: (norms**2 / p).sum(),
        np.full(5, 0.4),
        bounds=[(1e-3, 1)] * 5,
        constraints={"type": "eq", "fun": lambda q: ((q - p) * costs).sum()},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert p.max() < 1
    assert np.allclose(p, found.x, atol=1e-4)


def test_a_floor_is_of_norms_and_not_of_what_they_cost() -> None:
    norms, costs = np.array([0.0, 1.0, 2.0, 5.0]), np.array([100.0, 1.0, 4.0, 1.0])  # the mean is 2
    assert collected(priced(pieces_of(norms), pieces_of(costs), 4, floor=0.5), 4).tolist() == [0.1, 1, 1, 5]


def test_norms_that_are_all_zero_cost_what_they_cost() -> None:
    costs = np.array([1.0, 4.0, 16.0])
    assert collected(priced(pieces_of(np.zeros(3)), pieces_of(costs), 3, floor=0.5), 3).tolist() == [1, 0.5, 0.25]


def test_floor_lifts_what_is_below_its_share_of_the_mean() -> None:
    p = inclusion_probability(torch.tensor([0.0, 1.0, 2.0, 5.0]), 2, floor=0.5)  # the mean is 2
    assert p.tolist() == pytest.approx([1 / 4, 1 / 4, 2 / 4, 1])


def test_mixing_with_uniform_draws() -> None:
    p = inclusion_probability(torch.tensor([0.0, 1.0, 1.0, 2.0]), 2, mix=0.5)
    assert p.tolist() == pytest.approx([0.25, 0.5, 0.5, 0.75])


def test_fewer_positive_norms_than_the_batch_are_all_certain() -> None:
    assert inclusion_probability(torch.tensor([0.0, 1e-30, 7.0, 0.0]), 3).tolist() == [0, 1, 1, 0]


def test_norms_that_are_all_zero_say_nothing() -> None:
    assert inclusion_probability(torch.zeros(8), 2, floor=0.3, mix=0.1).tolist() == [0.25] * 8


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_norm_that_is_not_finite_ends_training(bad: float) -> None:
    with pytest.raises(TrainingError, match=r"1 of 3 gradient norms .* train.lr"):
        inclusion_probability(torch.tensor([1.0, bad, 2.0]), 1)


def test_norms_whose_sum_overflows_are_no_norms() -> None:
    with pytest.raises(TrainingError, match="not finite"):
        inclusion_probability(torch.tensor([1.5e308, 1.5e308], dtype=torch.float64), 1)


@pytest.mark.parametrize(
    ("size", "floor", "mix", "message"),
    [
        (0, 0.0, 0.0, "0 items cannot"),
        (4, 0.0, 0.0, "4 items cannot"),
        (1, -0.1, 0.0, "floor"),
        (1, np.nan, 0.0, "floor"),
        (1, np.inf, 0.0, "floor"),
        (1, 0.0, 1.1, "mix"),
        (1, 0.0, np.nan, "mix"),
    ],
)
def test_options_out_of_range(size: int, floor: float, mix: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        inclusion_probability(torch.ones(3), size, floor=floor, mix=mix)


def test_a_negative_norm_is_an_error() -> None:
    with pytest.raises(InputError, match="negative"):
        inclusion_probability(torch.tensor([1.0, -2.0]), 1)


def test_norms_of_the_caller_are_left_alone() -> None:
    norms = torch.tensor([0.0, 4.0], dtype=torch.float64)
    inclusion_probability(norms, 1, floor=1.0)
    assert norms.tolist() == [0, 4]
