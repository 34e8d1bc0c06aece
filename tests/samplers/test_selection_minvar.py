"""Minimal-variance selection: Algorithm 1, norms learnt on line, and what it refuses."""

from collections.abc import Callable
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gssl.benchmarks.perf.footprint import tensors_of
from gssl.common.errors import InputError, TrainingError
from gssl.common.options import options_of, validate
from gssl.registry import SAMPLERS
from gssl.samplers import probability
from gssl.samplers.draws import keyed_order
from gssl.samplers.population import Ids
from gssl.samplers.probability import inclusion_probability
from gssl.samplers.selection import minvar
from gssl.samplers.selection.base import Draw, Selection
from gssl.samplers.selection.minvar import MinimalVariance
from gssl.samplers.selection.uniform import Uniform
from gssl.testing.toy import toy_graph


def norm_of(ids: Tensor) -> Tensor:
    return 0.2 + (ids % 5).float() ** 2


def build(**options: Any) -> MinimalVariance:
    return MinimalVariance(toy_graph(num_nodes=40), **{"batch_size": 5, "gamma": 0.5, **options})


def run(selection: Selection, epoch: int, norms: Callable[[Tensor], Tensor] = norm_of) -> list[Draw]:
    draws = []
    for draw in selection.epoch(epoch):
        draws.append(draw)
        if draw.measure:
            selection.observe(draw.ids, norms(draw.ids))
    return draws


def kinds(draws: list[Draw]) -> str:
    """An epoch as letters: C for a checkpoint, b for a batch."""
    return "".join("C" if draw.exact else "b" for draw in draws)


def test_checkpoints_come_first_and_every_k_batches() -> None:
    selection = build(checkpoint_every=3, draw="fixed")
    draws = run(selection, 0)
    assert kinds(draws) == "CbbbCbbbCbb"
    assert [draw.key.step for draw in draws] == list(range(11))
    assert selection.batches_per_epoch == 8
    for draw in draws:
        assert draw.measure
        assert draw.step != draw.exact
        assert len(draw.ids) == (20 if draw.exact else 5)
    assert draws[0].probability.tolist() == [0.5] * 20


def test_batches_come_from_the_last_checkpoint() -> None:
    pool: set[int] = set()
    pools = []
    for draw in run(build(checkpoint_every=3), 2):
        if draw.exact:
            pool = set(draw.ids.tolist())
            pools.append(pool)
        else:
            assert set(draw.ids.tolist()) <= pool
    assert len(pools) == 3
    assert pools[0] != pools[1] != pools[2]


@pytest.mark.parametrize("floor", [0.0, 1.0])
@pytest.mark.parametrize("mix", [0.0, 0.3])
@pytest.mark.parametrize("scheme", ["poisson", "fixed"])
def test_probabilities_are_those_of_the_theorem_within_the_pool(floor: float, mix: float, scheme: str) -> None:
    checkpoint, *batches = run(build(floor=floor, mix=mix, draw=scheme, gamma=0.6), 1)
    expected = inclusion_probability(norm_of(checkpoint.ids), 5, floor=floor, mix=mix) * 24 / 40
    of = dict(zip(checkpoint.ids.tolist(), expected.tolist(), strict=True))
    for batch in batches:
        assert batch.probability.tolist() == pytest.approx([of[i] for i in batch.ids.tolist()], rel=1e-12)


def test_unbiased_by_enumeration_of_pools_and_poisson_outcomes() -> None:
    """Every pool of 3 out of 5 and each of its 8 outcomes, weighted by what the selection says of the drawn items."""
    term = torch.tensor([3.0, -1.0, 0.5, 7.0, 2.0], dtype=torch.float64)
    said: dict[tuple[int, ...], dict[int, float]] = {}
    selection = MinimalVariance(toy_graph(num_nodes=5), batch_size=2, gamma=0.6, refresh=False)
    for epoch in range(600):
        checkpoint, *batches = run(selection, epoch)
        of_pool = said.setdefault(tuple(checkpoint.ids.tolist()), {})
        for batch in batches:
            of_pool.update(zip(batch.ids.tolist(), batch.probability.tolist(), strict=True))
    assert set(said) == set(combinations(range(5), 3))
    mean = 0.0
    for pool, chances in said.items():
        p = inclusion_probability(norm_of(torch.tensor(pool)), 2, mix=0.1).tolist()
        assert set(chances) == set(pool)
        for outcome in product([False, True], repeat=3):
            chance = np.prod([q if drawn else 1 - q for q, drawn in zip(p, outcome, strict=True)])
            estimate = sum(float(term[i]) / chances[i] for i, drawn in zip(pool, outcome, strict=True) if drawn)
            mean += float(chance) * estimate / len(said)
    assert mean == pytest.approx(float(term.sum()), rel=1e-12)


def test_pools_are_equally_likely() -> None:
    counts = dict.fromkeys(combinations(range(5), 3), 0)
    selection = MinimalVariance(toy_graph(num_nodes=5), batch_size=2, gamma=0.6)
    for epoch in range(2000):
        counts[tuple(next(selection.epoch(epoch)).ids.tolist())] += 1
    assert list(counts.values()) == pytest.approx([200] * 10, abs=5 * np.sqrt(2000 * 0.1 * 0.9))


@pytest.mark.parametrize("norms", ["checkpoint", "online"])
def test_it_varies_less_than_uniform_draws(norms: str) -> None:
    """The point of it all, where norms tell the terms exactly; the pool is everything, so that only draws vary."""

    def variance(selection: Selection) -> float:
        draws = [draw for epoch in range(60) for draw in run(selection, epoch)]
        sums = [float((norm_of(d.ids) / d.probability).sum()) for d in draws[20:] if not d.exact]
        return float(np.var(sums))

    graph = toy_graph(num_nodes=40)
    mine = MinimalVariance(graph, batch_size=5, gamma=1.0, norms=norms, mix=0.0, draw="fixed")  # type: ignore[arg-type]
    assert variance(mine) < 0.05 * variance(Uniform(graph, batch_size=5, draw="fixed"))


def test_step_at_the_checkpoint() -> None:
    selection = build(step_at_checkpoint=True, checkpoint_every=4)
    assert all(draw.step for draw in run(selection, 0))
    assert selection.batches_per_epoch == 10


def test_without_refresh_batches_are_not_measured() -> None:
    draws = run(build(refresh=False, draw="fixed"), 0)
    assert [draw.measure for draw in draws] == [True] + [False] * 8


def test_refreshed_norms_change_the_next_batch() -> None:
    """Norms of drawn items vanish: the batches after it are drawn from the others, and can say so."""
    drawn: list[set[int]] = []
    selection = build(mix=0.0, draw="fixed", batch_size=4)
    for draw in selection.epoch(0):
        selection.observe(draw.ids, torch.ones(len(draw.ids)) if draw.exact else torch.zeros(len(draw.ids)))
        if not draw.exact:
            drawn.append(set(draw.ids.tolist()))
            remaining = 20 - 4 * (len(drawn) - 1)
            assert draw.probability.tolist() == pytest.approx([4 / remaining * 0.5] * 4)
        if len(drawn) == 4:
            break
    assert len(set.union(*drawn)) == 16


def test_checkpoints_move_apart_and_the_training_remembers_how_far() -> None:
    selection = build(checkpoint_every=2, growth=1, draw="fixed")
    epochs = [kinds(run(selection, epoch)) for epoch in range(4)]
    assert epochs == ["CbbCbbbCbbb", "CbbbbbCbbb", "CbbbbbbbCb", "Cbbbbbbbb"]
    assert kinds(run(build(checkpoint_every=2, growth=1, draw="fixed"), 2)) == epochs[2], "it depends on the past"


def test_items_without_a_norm_are_within_reach_only_by_mixing_or_a_floor() -> None:
    def norms(ids: Tensor) -> Tensor:
        return (ids < 20).float()

    def seen(**options: float) -> int:
        selection = build(gamma=1.0, **options)
        return max(int(d.ids.max()) for epoch in range(30) for d in run(selection, epoch, norms) if not d.exact)

    assert seen(mix=0.0) < 20
    assert seen(mix=0.1) >= 20
    assert seen(mix=0.0, floor=0.1) >= 20


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("norms", ["checkpoint", "online"])
def test_norms_that_are_all_zero_or_unknown_give_uniform_draws(told: bool, norms: str) -> None:
    selection = build(norms=norms)
    draws = run(selection, 0, torch.zeros_like) if told else list(selection.epoch(0))
    for draw in draws:
        if not draw.exact:
            assert draw.probability.tolist() == pytest.approx([5 / 40] * len(draw.ids))


def test_on_line_there_is_no_checkpoint_and_draws_begin_uniform() -> None:
    selection = build(norms="online", draw="fixed", gamma=0.01)  # gamma plays no part
    draws = run(selection, 0)
    assert kinds(draws) == "b" * 8
    assert selection.batches_per_epoch == 8
    assert all(draw.measure and draw.step for draw in draws)
    assert draws[0].probability.tolist() == pytest.approx([5 / 40] * 5)


def test_on_line_probabilities_are_renewed_every_so_often_from_what_was_seen() -> None:
    selection = build(norms="online", draw="fixed", renew_every=3, mix=0.0)
    known: dict[int, float] = {}
    expected = torch.full((40,), 5 / 40, dtype=torch.float64)
    for number, draw in enumerate(draw for epoch in range(4) for draw in run_lazily(selection, epoch)):
        if number % 8 in (0, 3, 6) and known:
            mean = np.mean(list(known.values()))
            norms = torch.tensor([known.get(i, mean) for i in range(40)], dtype=torch.float64)
            expected = inclusion_probability(norms, 5)
        assert draw.probability.tolist() == pytest.approx(expected[draw.ids].tolist(), rel=1e-6)
        known.update(zip(draw.ids.tolist(), norm_of(draw.ids).tolist(), strict=True))
    assert len(known) > 30


def priced_norms(selection: MinimalVariance, ids: Tensor, norms: Tensor, cost: float) -> Tensor:
    degree = torch.bincount(selection.graph.block.edge_index[1], minlength=selection.graph.num_nodes)
    assert degree.unique().numel() > 3
    return norms / (1 + cost * degree[ids].double()).sqrt()


@pytest.mark.parametrize("piece", [7, 1 << 15])
def test_with_a_cost_hubs_are_drawn_less_often(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The floor is of the norms, not of what they cost; and what has no norm yet costs what it costs."""
    monkeypatch.setattr("gssl.samplers.selection.norms.PIECE", piece)
    monkeypatch.setattr("gssl.samplers.selection.minvar.PIECE", piece)
    items = torch.arange(39, 3, -1)
    given = {"items": items, "norms": "online", "renew_every": 7, "mix": 0.0, "floor": 0.9, "cost": 2.0}
    selection = build(draw="fixed", **given)
    known = torch.full((40,), torch.nan, dtype=torch.float64)
    seen = []
    for number, draw in enumerate(run_lazily(selection, 0)):
        if number % 7 == 0:
            norms = known[items].nan_to_num(float(known.nanmean().nan_to_num(1.0)))
            norms = norms.clamp(min=0.9 * float(norms.mean()))
            p = torch.zeros(40, dtype=torch.float64)
            p[items] = inclusion_probability(priced_norms(selection, items, norms, 2.0), 5)
            seen.append(p)
        assert draw.probability.tolist() == pytest.approx(p[draw.ids].tolist(), rel=1e-6)
        known[draw.ids] = norm_of(draw.ids).double()
    assert len(seen) == 2
    assert not torch.allclose(seen[0], seen[1], rtol=0.1)


@pytest.mark.parametrize("scheme", ["poisson", "fixed"])
def test_costs_are_those_of_the_items_of_a_checkpoint(scheme: str) -> None:
    selection = build(draw=scheme, gamma=0.6, cost=0.5)
    checkpoint, *batches = run(selection, 1)
    priced = priced_norms(selection, checkpoint.ids, norm_of(checkpoint.ids), 0.5)
    expected = inclusion_probability(priced, 5, mix=0.1) * 24 / 40
    of = dict(zip(checkpoint.ids.tolist(), expected.tolist(), strict=True))
    for batch in batches:
        assert batch.probability.tolist() == pytest.approx([of[i] for i in batch.ids.tolist()], rel=1e-6)


@pytest.mark.parametrize("scheme", ["poisson", "fixed"])
def test_draws_of_a_large_population_do_not_change_between_renewals(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches are made ahead by a thread, so what is observed meanwhile must not reach them."""
    first = [draw for epoch in range(3) for draw in run_lazily(build(norms="online", draw=scheme), epoch)]
    monkeypatch.setattr(probability, "_AT_HAND", 0)  # probabilities are made anew for every draw
    again = [draw for epoch in range(3) for draw in run_lazily(build(norms="online", draw=scheme), epoch)]
    assert len(first) == len(again)
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one.ids, other.ids)
        assert torch.equal(one.probability, other.probability)


def run_lazily(selection: Selection, epoch: int) -> Any:
    for draw in selection.epoch(epoch):
        yield draw
        selection.observe(draw.ids, norm_of(draw.ids))


def test_what_is_kept_for_each_node_is_its_norm() -> None:
    """4 bytes: what is kept of all nodes is what the memory of a training grows by with the graph."""
    graph = toy_graph(num_nodes=3000)
    for options, width in (({"norms": "online"}, 4), ({"norms": "online", "staleness": 0.1}, 8), ({"gamma": 0.01}, 4)):
        selection = MinimalVariance(graph, batch_size=20, **options)
        run(selection, 0)
        selection._table.estimate(now=0)  # nothing waits to be taken into the table
        kept = sum(t.numel() * t.element_size() for t in tensors_of(selection, besides=(graph,)))
        assert width * 3000 <= kept < width * 3000 + 1000, options


@pytest.mark.parametrize(("norms", "orders"), [("online", [1, 1]), ("checkpoint", [3, 3])])
def test_the_order_of_fixed_draws_is_made_once_for_an_epoch_or_pool(
    norms: str, orders: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sorting anew at every renewal would cost more than everything else that a draw takes."""
    made = []

    def counted(ids: Ids, stream: int) -> Tensor:
        made.append(stream)
        return keyed_order(ids, stream)

    monkeypatch.setattr(minvar, "keyed_order", counted)
    selection = build(norms=norms, draw="fixed", renew_every=1, checkpoint_every=3)
    for epoch, expected in enumerate(orders):
        before = len(made)
        run(selection, epoch)
        assert len(made) - before == expected
    assert len(set(made)) == sum(orders)


def test_staleness_flattens_probabilities() -> None:
    def spread(staleness: float) -> float:
        selection = build(norms="online", staleness=staleness, draw="fixed", mix=0.0)
        draws = [draw for epoch in range(12) for draw in run(selection, epoch)]
        return float(torch.cat([draw.probability for draw in draws[-8:]]).std())

    assert spread(0.3) < 0.5 * spread(0.0)


def test_items_need_not_be_in_order() -> None:
    items = torch.tensor([30, 2, 17, 8, 9, 21])
    for options in ({"gamma": 0.8}, {"norms": "online"}):
        selection = build(items=items, batch_size=2, **options)
        for epoch in range(5):
            for draw in run(selection, epoch):
                assert bool(torch.isin(draw.ids, items).all())


def test_empty_draws_are_counted_and_an_update_follows_each_checkpoint() -> None:
    selection = build(batch_size=1, checkpoint_every=1, refresh=False)
    letters = "".join(kinds(run(selection, epoch)) for epoch in range(5))
    assert selection.empty_draws > 20
    assert set(letters.split("C")) == {"", "b"}
    assert letters.count("C") == letters.count("b")


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_norm_that_is_not_finite_ends_training(bad: float) -> None:
    selection = build()
    draw = next(selection.epoch(0))
    norms = norm_of(draw.ids)
    norms[3] = bad
    with pytest.raises(TrainingError, match="1 of 20 gradient norms are not finite"):
        selection.observe(draw.ids, norms)
    assert bool(selection.state_dict()["norm"].isnan().all())


@pytest.mark.parametrize(
    ("ids", "norms", "message"),
    [
        ([1, 2], [1.0], "gradient norms for"),
        ([1, 40], [1.0, 1.0], "not in the population"),
        ([1, -1], [1.0, 1.0], "not in the population"),
        ([1], [-1.0], "negative"),
    ],
)
@pytest.mark.parametrize("items", [None, torch.arange(0, 40, 2) + 1])
def test_observations_that_cannot_be(ids: list[int], norms: list[float], message: str, items: Tensor | None) -> None:
    with pytest.raises(InputError, match=message):
        build(items=items).observe(torch.tensor(ids), torch.tensor(norms))


@pytest.mark.parametrize(
    "option",
    [
        {"gamma": 1.2},
        {"gamma": -0.1},
        {"gamma": float("nan")},
        {"checkpoint_every": 0},
        {"checkpoint_every": 2.5},
        {"growth": -1},
        {"renew_every": 0},
        {"floor": -0.1},
        {"floor": float("inf")},
        {"mix": 1.5},
        {"cost": -0.5},
        {"staleness": 1.0},
        {"draw": "bernoulli"},
        {"norms": "offline"},
    ],
    ids=str,
)
def test_options_out_of_range(option: dict[str, object]) -> None:
    with pytest.raises(InputError, match=f"option '{next(iter(option))}' of selection minvar"):
        build(**option)
    with pytest.raises(InputError):  # as a command line would find it
        validate(MinimalVariance, option, what="selection minvar")


@pytest.mark.parametrize(("gamma", "least"), [(0.0, 0.125), (0.1, 0.125)])
def test_a_pool_below_the_batch(gamma: float, least: float) -> None:
    with pytest.raises(InputError, match=f"raise gamma to {least} or more"):
        build(gamma=gamma)
    assert build(gamma=least).pool_size == 5


def test_the_pool_is_the_floor_of_the_fraction() -> None:
    assert MinimalVariance(toy_graph(num_nodes=100), batch_size=5, gamma=0.29).pool_size == 29  # 28.999999999999996


def test_a_state_of_another_population() -> None:
    with pytest.raises(InputError, match="of 6 nodes, but there are 40"):
        build().load_state_dict(build(items=torch.arange(6), gamma=1.0).state_dict())


@pytest.mark.parametrize(("name", "norms"), [("mvs", "checkpoint"), ("minvar+adjoint", "online")])
def test_adjoint_history_learns_norms_from_its_own_batches(name: str, norms: str) -> None:
    assert options_of(SAMPLERS.get(name))["norms"].default == norms
