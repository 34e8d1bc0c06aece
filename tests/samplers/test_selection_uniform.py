"""Uniform selection, and what the protocol asks of every registered one."""

from collections.abc import Callable
from itertools import combinations, islice
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import options_of
from gssl.graph.storage import Graph
from gssl.registry import SELECTIONS
from gssl.samplers.selection.base import Draw, Selection
from gssl.samplers.selection.uniform import Uniform
from gssl.testing.compare import in_other_process
from gssl.testing.toy import toy_graph

ITEMS = torch.tensor([30, 2, 5, 41, 8, 11, 44, 17, 20, 3, 26, 29])
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "uniform": [{"draw": "shuffle"}, {"draw": "fixed"}, {"draw": "poisson"}],
    "degree": [{"draw": "poisson"}, {"draw": "fixed"}, {"size": "column"}],
    "walk": [{}, {"walk_length": 3, "presample": 400}],
    "cluster": [{}, {"partition": "random", "num_parts": 7}],
    "minvar": [
        {"gamma": 0.5},
        {"gamma": 1.0, "draw": "fixed", "refresh": False, "mix": 0.0, "floor": 0.2},
        {"norms": "online", "renew_every": 2, "staleness": 0.1},
        {"norms": "online", "draw": "fixed"},
    ],
}
CASES = [(name, options) for name, choices in OPTIONS.items() for options in choices]
every = pytest.mark.parametrize(("name", "options"), CASES, ids=str)


def term(ids: Tensor) -> Tensor:
    """Something to sum over the items that is unlike any probability."""
    return (ids % 7).double() - 1.5 + ids.double() / 40


def build(name: str, graph: Graph | None = None, **options: Any) -> Selection:
    given = {"items": ITEMS, "batch_size": 4, **options}
    return SELECTIONS.get(name)(toy_graph(seed=3) if graph is None else graph, **given)


def run(selection: Selection, epochs: range) -> list[list[Draw]]:
    """Draws of some epochs, in which a selection that asks for gradient norms is told some."""
    found: list[list[Draw]] = []
    for epoch in epochs:
        found.append([])
        for draw in selection.epoch(epoch):
            found[-1].append(draw)
            if draw.measure:
                selection.observe(draw.ids, (term(draw.ids).abs() + 0.1).float())
    return found


def numbers(name: str, options: dict[str, Any], epoch: int) -> list[tuple[list[int], list[float], bool, bool]]:
    """An epoch as plain numbers; another process calls it too."""
    draws = run(build(name, **options), range(epoch, epoch + 1))[0]
    return [(d.ids.tolist(), d.probability.tolist(), d.step, d.measure) for d in draws]


def test_every_registered_selection_is_tested_here() -> None:
    assert set(OPTIONS) == set(SELECTIONS.names())
    for name in OPTIONS:
        assert 10 < len(SELECTIONS.summary(name)) <= 120


@every
def test_draws_are_valid(name: str, options: dict[str, Any]) -> None:
    for draws in run(build(name, **options), range(10)):
        assert draws[-1].step, "an epoch ends with an update"
        assert len({draw.key for draw in draws}) == len(draws), "two batches with the same random numbers"
        for draw in draws:
            assert draw.ids.dtype == torch.int64
            assert draw.probability.dtype == torch.float64
            assert 0 < len(draw.ids) == len(draw.ids.unique()) == len(draw.probability)
            assert bool(torch.isin(draw.ids, ITEMS).all())
            assert bool(((draw.probability > 0) & (draw.probability <= 1)).all())


@every
def test_horvitz_thompson_sums_are_unbiased(name: str, options: dict[str, Any]) -> None:
    """Within 4.5 standard errors over 600 epochs. Empty draws are estimates of zero."""
    selection = build(name, **options)
    drawn = [draw for draws in run(selection, range(600)) for draw in draws if draw.step]
    sums = np.array([float((term(d.ids) / d.probability).sum()) for d in drawn] + [0.0] * selection.empty_draws)
    error = sums.std() / np.sqrt(len(sums))
    assert sums.std() > 0
    assert abs(sums.mean() - float(term(ITEMS).sum())) < 4.5 * error


@every
def test_the_number_of_targets_is_the_batch_size_in_expectation(name: str, options: dict[str, Any]) -> None:
    selection = build(name, **options)
    sizes = [len(d.ids) for draws in run(selection, range(300)) for d in draws if not d.exact]
    mean = sum(sizes) / (len(sizes) + selection.empty_draws)
    assert mean == pytest.approx(4, rel=0.08 if name != "cluster" else 0.5)


@every
def test_same_seed_and_epoch_same_draws_in_every_process(name: str, options: dict[str, Any]) -> None:
    expected = numbers(name, options, 2)
    selection = build(name, **options)
    list(selection.epoch(5))  # what came before must not matter, as nothing was observed
    again = run(selection, range(2, 3))[0]
    assert [(d.ids.tolist(), d.probability.tolist(), d.step, d.measure) for d in again] == expected
    assert in_other_process(numbers, name, options, 2) == expected


@every
def test_epochs_and_seeds_differ(name: str, options: dict[str, Any]) -> None:
    first = numbers(name, options, 0)
    assert first != numbers(name, options, 1)
    assert first != numbers(name, {**options, "seed": 1}, 0)


@every
def test_a_restored_run_goes_on_as_it_would_have(name: str, options: dict[str, Any]) -> None:
    selection = build(name, **options)
    run(selection, range(3))
    restored = build(name, **options)
    restored.load_state_dict({key: value.clone() for key, value in selection.state_dict().items()})
    for expected, got in zip(run(selection, range(3, 6)), run(restored, range(3, 6)), strict=True):
        assert [d.ids.tolist() for d in got] == [d.ids.tolist() for d in expected]
        assert [d.probability.tolist() for d in got] == [d.probability.tolist() for d in expected]
    assert restored.empty_draws == selection.empty_draws


@every
def test_all_nodes_are_the_population_by_default(name: str, options: dict[str, Any]) -> None:
    selection = build(name, items=None, batch_size=8, **options)
    assert len(selection.items) == 48
    seen = torch.cat([draw.ids for draws in run(selection, range(20)) for draw in draws])
    assert len(seen.unique()) > 40


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("size", [0, 13])
def test_a_batch_that_the_population_does_not_have(name: str, size: int) -> None:
    with pytest.raises(InputError, match="population of 12 nodes"):
        build(name, batch_size=size)


@pytest.mark.parametrize("name", OPTIONS)
def test_options_are_keywords_with_documented_meaning(name: str) -> None:
    component = SELECTIONS.get(name)
    for option in options_of(component):
        assert f"        {option}: " in (component.__doc__ or ""), f"{option} of {name} is not in its docstring"


def test_unknown_selections_are_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'minvar'"):
        SELECTIONS.get("minvr")


def test_unknown_ways_to_draw() -> None:
    with pytest.raises(InputError, match=r"'draw' of selection uniform.*'shuffle'"):
        build("uniform", draw="shufle")


def test_an_epoch_of_shuffled_batches_has_every_item_once() -> None:
    draws = list(build("uniform", batch_size=5).epoch(4))
    assert [len(draw.ids) for draw in draws] == [5, 5, 2]
    assert sorted(torch.cat([draw.ids for draw in draws]).tolist()) == sorted(ITEMS.tolist())
    assert [float(draw.probability[0]) for draw in draws] == pytest.approx([5 / 12, 5 / 12, 2 / 12])
    share = [len(draw.ids) / 12 for draw in draws]
    sums = [float((term(draw.ids) / draw.probability).sum()) for draw in draws]
    assert np.dot(share, sums) == pytest.approx(float(term(ITEMS).sum()))


def subsets(draw: Callable[[int], Draw], size: int) -> dict[tuple[int, ...], int]:
    """How often each subset of four items was drawn by 3000 seeds."""
    counts = dict.fromkeys(combinations([2, 3, 5, 8], size), 0)
    for seed in range(3000):
        counts[tuple(sorted(draw(seed).ids.tolist()))] += 1
    return counts


@pytest.mark.parametrize(("kind", "step"), [("fixed", 0), ("fixed", 1), ("shuffle", 0), ("shuffle", 1)])
def test_every_subset_is_equally_likely(kind: str, step: int) -> None:
    """By enumeration of all six: a chunk of a poor permutation, or the last one, would prefer some."""
    graph, items = toy_graph(), torch.tensor([5, 2, 8, 3])

    def draw(seed: int) -> Draw:
        selection = Uniform(graph, items=items, batch_size=2, seed=seed, draw=kind)  # type: ignore[arg-type]
        return next(islice(selection.epoch(0), step, None))

    counts = subsets(draw, 2)
    assert list(counts.values()) == pytest.approx([500] * 6, abs=5 * np.sqrt(3000 * (1 / 6) * (5 / 6)))


def test_the_whole_population_is_one_batch_with_weight_one() -> None:
    for draw in ("shuffle", "fixed", "poisson"):
        (only,) = build("uniform", batch_size=12, draw=draw).epoch(0)
        assert sorted(only.ids.tolist()) == sorted(ITEMS.tolist())
        assert only.probability.tolist() == [1.0] * 12


def test_empty_draws_are_skipped_and_counted() -> None:
    selection = build("uniform", batch_size=1, draw="poisson")
    epochs = [list(selection.epoch(epoch)) for epoch in range(40)]
    assert all(draw.ids.numel() for draws in epochs for draw in draws)
    tried = 40 * selection.batches_per_epoch
    assert sum(map(len, epochs)) + selection.empty_draws == tried
    assert selection.empty_draws / tried == pytest.approx((11 / 12) ** 12, abs=0.1)


def test_an_epoch_goes_on_until_a_draw_is_not_empty() -> None:
    graph = toy_graph()
    for seed in range(30):
        selection = Uniform(graph, items=torch.tensor([1]), batch_size=1, seed=seed, draw="poisson")
        selection.probability[:] = 0.2
        draws = list(selection.epoch(0))
        assert len(draws) == 1
        if draws[0].key.step:
            assert selection.empty_draws == draws[0].key.step
            return
    raise AssertionError("no draw was empty")
