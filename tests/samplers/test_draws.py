"""Random subsets: inclusion probabilities, sizes and unbiasedness, by enumeration where there are few outcomes."""

from functools import partial
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gssl.samplers import draws
from gssl.samplers.draws import (
    Lottery,
    PoissonLottery,
    keyed_order,
    poisson_draw,
    poisson_draw_torch,
    smallest_hashes,
)
from gssl.samplers.population import Population
from gssl.samplers.probability import pieces_of
from gssl.samplers.rng import hash64, uniform
from gssl.testing.compare import in_other_process

probabilities = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=12)


def fixed(p: list[float] | Tensor, stream: int = 3) -> Lottery:
    probability = torch.as_tensor(p, dtype=torch.float64)
    return Lottery(probability, keyed_order(range(len(probability)), stream))


def integrated(lottery: Lottery, terms: Tensor) -> tuple[Tensor, float, set[int]]:
    """Exact inclusion probabilities, mean Horvitz-Thompson sum and sizes: the integral over the first point.

    A draw changes only where a point passes an end of an interval, so the fractions of the ends cut [0, 1) into pieces
    of equal draws.
    """
    cuts = np.unique(np.concatenate([[0.0, 1.0], lottery._ends % 1.0]))
    inclusion, mean, sizes = torch.zeros(len(terms), dtype=torch.float64), 0.0, set()
    for low, high in pairwise(cuts.tolist()):
        drawn = lottery.systematic((low + high) / 2)
        assert len(drawn.unique()) == len(drawn)
        inclusion[drawn] += high - low
        mean += (high - low) * float((terms[drawn] / lottery.probability[drawn]).sum())
        if high - low > 1e-9:
            sizes.add(len(drawn))
    return inclusion, mean, sizes


@settings(deadline=None)
@given(probabilities, st.integers(0, 2**62))
def test_fixed_draws_have_exactly_the_given_inclusion_probabilities(p: list[float], stream: int) -> None:
    lottery = fixed(p, stream)
    inclusion, _, sizes = integrated(lottery, torch.ones(len(p)))
    assert torch.allclose(inclusion, lottery.probability, atol=2e-6)  # sums this near to an integer are one
    total, nearest = sum(p), round(sum(p))
    whole = nearest > 0 and abs(total - nearest) < 1e-6
    assert sizes <= ({nearest} if whole else {int(total), int(np.ceil(total))})


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=10), st.integers(0, 2**62))
def test_fixed_draws_have_one_size_where_the_sum_is_an_integer(parts: list[int], stream: int) -> None:
    p = torch.tensor(parts, dtype=torch.float64)
    p = p / p.max()
    p = p * (max(1, int(p.sum())) / p.sum())
    _, _, sizes = integrated(fixed(p.clamp(max=1), stream), torch.ones(len(p)))
    assert sizes == {round(float(p.sum()))}


def test_fixed_draws_are_unbiased_for_every_order() -> None:
    terms = torch.tensor([3.0, -1.0, 0.5, 7.0, 2.0, 2.0], dtype=torch.float64)
    p = [0.2, 0.9, 1.0, 0.4, 0.25, 0.6]  # 3.35: also the size is random
    for stream in range(20):
        _, mean, sizes = integrated(fixed(p, stream), terms)
        assert mean == pytest.approx(float(terms.sum()), rel=1e-12)
        assert sizes == {3, 4}


def test_fixed_draws_use_the_order_of_their_stream() -> None:
    """Every pair must be able to meet: with one order for all streams, neighbors never would."""
    pairs = {
        frozenset(fixed([0.5, 0.5, 0.5, 0.5], stream).systematic(start).tolist())
        for stream in range(60)
        for start in (0.1, 0.6)
    }
    assert len(pairs) == 6


def test_what_is_certain_is_in_every_fixed_draw_and_the_impossible_in_none() -> None:
    lottery = fixed([1.0, 0.0, 0.5, 0.5, 1.0])
    for stream in range(50):
        drawn = set(lottery.sample(stream)[0].tolist())
        assert {0, 4} <= drawn
        assert 1 not in drawn
        assert len(drawn) == 3


@pytest.mark.parametrize("p", [[1.0, 1.0], [0.0, 0.0]])
def test_fixed_draws_without_chance(p: list[float]) -> None:
    assert fixed(p).sample(5)[0].tolist() == [i for i, value in enumerate(p) if value]


def test_many_small_probabilities_still_sum_to_the_size() -> None:
    """Rounding in the running sum must not cost or add an item."""
    lottery = fixed(torch.full((99_999,), 333 / 99_999))
    for stream in range(50):
        assert len(lottery.sample(stream)[0]) == 333


def test_poisson_draws_are_unbiased_by_enumeration() -> None:
    """Each of the 2^n subsets has the product of its probabilities; the terms of the sum average to the total."""
    terms, p = np.array([3.0, -1.0, 0.5, 7.0]), np.array([0.2, 0.9, 0.5, 1.0])
    outcomes = [np.array(outcome) for outcome in product([0, 1], repeat=4)]
    chance = [np.prod(np.where(outcome, p, 1 - p)) for outcome in outcomes]
    mean = sum(c * (o * terms / p).sum() for c, o in zip(chance, outcomes, strict=True))
    assert mean == pytest.approx(terms.sum())
    counts = {tuple(outcome): 0 for outcome in outcomes}
    probability, ids = torch.from_numpy(p), torch.tensor([11, 5, 8, 2])
    for stream in range(20_000):
        drawn = np.zeros(4, dtype=int)
        drawn[poisson_draw(probability, ids, stream).numpy()] = 1
        counts[tuple(drawn)] += 1
    for outcome, c in zip(outcomes, chance, strict=True):  # the draws are those independent ones, within 5 deviations
        assert counts[tuple(outcome)] / 20_000 == pytest.approx(c, abs=5 * np.sqrt(c * (1 - c) / 20_000) + 1e-12)


@settings(deadline=None)
@given(probabilities, st.integers(0, 2**63 - 1))
def test_poisson_draws_are_equal_on_both_backends(p: list[float], stream: int) -> None:
    probability, ids = torch.tensor(p, dtype=torch.float64), 7 * torch.arange(len(p)) + 3
    assert torch.equal(poisson_draw(probability, ids, stream), poisson_draw_torch(probability, ids, stream))


def test_a_poisson_draw_depends_on_ids_and_not_on_positions() -> None:
    """What makes draws of a population that is split over ranks the same as those of the whole."""
    p, ids = torch.full((40,), 0.4, dtype=torch.float64), torch.arange(100, 140)
    whole = ids[poisson_draw(p, ids, 9)].tolist()
    halves = [part[poisson_draw(p[:20], part, 9)] for part in (ids[:20], ids[20:])]
    assert torch.cat(halves).tolist() == whole
    assert sorted(ids.flip(0)[poisson_draw(p, ids.flip(0), 9)].tolist()) == whole


def test_certain_items_are_in_every_poisson_draw() -> None:
    p = torch.tensor([1.0, 0.0] * 50, dtype=torch.float64)
    assert poisson_draw(p, torch.arange(100), 4).tolist() == list(range(0, 100, 2))


@pytest.mark.parametrize("chunk", [7, 100])
@pytest.mark.parametrize("listed", [False, True])
def test_poisson_lots_are_drawn_in_pieces(chunk: int, listed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gssl.samplers.draws._CHUNK", chunk)
    ids = torch.arange(100) * (3 if listed else 1)
    items = Population.of(ids) if listed else Population(100)
    p = torch.linspace(0, 1, 100)
    lottery = PoissonLottery(items, pieces_of(p.numpy()))
    for stream in range(10):
        assert torch.equal(lottery.sample(stream)[0], poisson_draw_torch(p, ids, stream))


def test_the_order_does_not_depend_on_how_items_are_listed() -> None:
    ids = torch.tensor([40, 3, 17, 8])
    turned = ids.flip(0)
    assert torch.equal(ids[keyed_order(ids, 6)], turned[keyed_order(turned, 6)])


def test_first_places_of_an_order_are_equally_likely() -> None:
    counts = np.bincount([int(keyed_order(torch.arange(5), stream)[0]) for stream in range(5000)], minlength=5)
    assert counts == pytest.approx([1000] * 5, abs=5 * np.sqrt(5000 * 0.2 * 0.8))


def test_the_number_of_the_batch_is_that_of_no_node() -> None:
    numbers = uniform(123, torch.arange(draws.NO_NODE, 1000))
    assert len(numbers.unique()) == 1001


@pytest.mark.parametrize("scheme", ["poisson", "fixed"])
def test_another_process_draws_the_same(scheme: draws.Scheme) -> None:
    probability = torch.linspace(0, 1, 50, dtype=torch.float64)
    one_by_one = PoissonLottery(Population(50), partial(iter, [probability.numpy()]))
    lottery = fixed(probability, 5) if scheme == "fixed" else one_by_one
    for other, own in zip(in_other_process(lottery.sample, 77), lottery.sample(77), strict=True):
        assert torch.equal(other, own)


@pytest.mark.parametrize("slack", [-4.0, 0.0, 6.0])
@pytest.mark.parametrize("count", [1, 20, 99, 100])
@pytest.mark.parametrize("chunk", [7, 100])
def test_a_simple_random_sample_has_the_smallest_hashes(
    chunk: int, count: int, slack: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's bits are torch's, and neither chunks nor too few candidates at first matter."""
    monkeypatch.setattr("gssl.samplers.draws._CHUNK", chunk)
    monkeypatch.setattr("gssl.samplers.draws._SLACK", slack)
    ids = torch.arange(0, 300, 3)
    expected = hash64(5, ids).argsort()[:count].sort().values
    assert torch.equal(smallest_hashes(Population.of(ids), count, 5), expected)
