"""Batches that a thread makes ahead: the same ones, whatever the depth, and nothing left running."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import pytest
import torch
from torch import Tensor

from gssl.common.errors import TrainingError
from gssl.common.options import options_of
from gssl.graph.batch import MiniBatch
from gssl.methods.supervised import Supervised
from gssl.models.gcn import GCN
from gssl.registry import PROPAGATIONS, SAMPLERS, SELECTIONS
from gssl.samplers.pair import PairSampler
from gssl.samplers.prefetch import prefetched
from gssl.testing.compare import tensors_of
from gssl.testing.toy import toy_dataset, toy_graph
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

Item = tuple[int, bool]
Trained = TypeVar("Trained", bound=Supervised)
PAIRS = [f"uniform+{name}" for name in PROPAGATIONS.names()] + [f"{name}+neighbor" for name in SELECTIONS.names()]
LEARNING: list[dict[str, object]] = [
    {"norms": "checkpoint", "refresh": True},
    {"norms": "checkpoint", "refresh": False, "step_at_checkpoint": True},
    {"norms": "checkpoint", "growth": 1, "staleness": 0.2},
    {"norms": "online", "renew_every": 3, "staleness": 0.2},
    {"norms": "online", "renew_every": 1},
    {"norms": "online", "renew_every": 4, "batch_size": 1},  # most draws are empty
]


@pytest.fixture(autouse=True)
def nothing_stays_behind() -> Iterator[None]:
    yield
    assert not running()


def running() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "gssl-prefetch"]


def build(name: str, prefetch: int, **options: object) -> PairSampler:
    factory = SAMPLERS.get(name)
    given: dict[str, object] = {"num_layers": 2, "batch_size": 6, "seed": 3, "prefetch": prefetch}
    if "gamma" in options_of(factory):
        given |= {"gamma": 0.5, "checkpoint_every": 3}
    sampler = factory(toy_graph(), **{**given, **options})
    assert isinstance(sampler, PairSampler)
    return sampler


def norms_of(ids: Tensor, time: int) -> Tensor:
    """Norms that change with time, so that a draw that missed an observation differs."""
    return 0.1 + ((ids * 7 + time * 5) % 11).float() ** 2


def epochs(sampler: PairSampler, number: int = 3) -> list[dict[str, list[float]]]:
    """Every tensor and mark of every batch, with what is learnt on the way."""
    found = []
    for epoch in range(number):
        for batch in sampler.epoch(epoch):
            plain = batch.planned(history=None)
            numbers = {path: tensor.flatten().tolist() for path, tensor in tensors_of(plain)}
            found.append(numbers | {"marks": [batch.plan.time, batch.plan.step, batch.plan.measure, batch.plan.scale]})
            if batch.plan.measure:
                sampler.observe(batch, norms_of(batch.node_ids[: batch.num_targets], batch.plan.time))
        found.append({"empty": [sampler.empty_draws]})
    return found


@pytest.mark.parametrize("name", PAIRS)
def test_batches_do_not_depend_on_the_depth(name: str) -> None:
    expected = epochs(build(name, 0), 2)
    assert expected == epochs(build(name, 1), 2) == epochs(build(name, 5), 2)


@pytest.mark.parametrize("options", LEARNING, ids=str)
@pytest.mark.parametrize("draw", ["poisson", "fixed"])
def test_draws_that_learn_wait_for_what_they_learn_from(options: dict[str, object], draw: str) -> None:
    options = {**options, "draw": draw}
    expected = epochs(build("minvar+exact", 0, **options))
    assert expected == epochs(build("minvar+exact", 1, **options)) == epochs(build("minvar+exact", 5, **options))


def test_norms_learnt_on_line_leave_room_to_run_ahead() -> None:
    """Otherwise the depth would be worth nothing where it matters most."""
    sampler = build("minvar+exact", 0, norms="online", renew_every=4, draw="fixed")
    awaited = [draw.is_awaited for draw in sampler.selection.epoch(0)]
    assert awaited == [False, False, False, True] * 2


def counted(log: list[int], awaited: tuple[int, ...] = (), total: int = 6) -> Callable[[], Iterator[Item]]:
    def make() -> Iterator[Item]:
        try:
            for number in range(total):
                log.append(number)
                yield number, number in awaited
        finally:
            log.append(-1)

    return make


@pytest.mark.parametrize("depth", [1, 2, 9])
def test_every_item_comes_once_and_in_order(depth: int) -> None:
    assert list(prefetched(counted([]), depth)) == list(range(6))
    assert list(prefetched(counted([], awaited=(0, 2, 5)), depth)) == list(range(6))
    assert not list(prefetched(counted([], total=0), depth))


def test_an_item_that_decides_is_waited_for() -> None:
    log: list[int] = []
    items = prefetched(counted(log, awaited=(1, 3)), 5)
    for number in items:
        time.sleep(0.02)  # a thread that does not wait is done long before
        assert max(log) == {0: 1, 1: 1, 2: 3, 3: 3, 4: 5, 5: 5}[number]


def test_the_thread_runs_ahead_but_not_too_far() -> None:
    log: list[int] = []
    third = threading.Event()

    def make() -> Iterator[Item]:
        for item in counted(log, total=9)():
            if item[0] == 2:
                third.set()
            yield item

    items = prefetched(make, 2)
    assert next(items) == 0
    assert third.wait(10), "two more are made without being asked for"
    time.sleep(0.02)
    assert max(log) == 2
    items.close()


def test_closing_early_ends_the_thread_and_closes_what_it_ran() -> None:
    log: list[int] = []
    items = prefetched(counted(log), 2)
    assert next(items) == 0
    assert running()
    items.close()
    assert log[-1] == -1
    waiting = prefetched(counted(log, awaited=(0,)), 2)
    assert next(waiting) == 0
    waiting.close()
    assert log[-1] == -1


LEFT_OPEN = """
import torch
from gssl.samplers.prefetch import prefetched

def make():
    while True:
        for _ in range(200):
            torch.mm(torch.ones(64, 64), torch.ones(64, 64))
        yield 0, False

items = prefetched(make, 1_000_000)
next(items)
"""


def test_a_program_may_end_with_batches_left() -> None:
    done = subprocess.run([sys.executable, "-c", LEFT_OPEN], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_exception_in_the_thread_reaches_whoever_takes() -> None:
    def make() -> Iterator[Item]:
        yield 1, False
        raise TrainingError("out of nodes")

    items = prefetched(make, 3)
    assert next(items) == 1
    with pytest.raises(TrainingError, match="out of nodes"):
        next(items)


DATASET = toy_dataset("node")


class Stumbling(Supervised):
    """Fails, or is interrupted, in its third step."""

    failure: BaseException
    steps = 0

    def loss(self, batch: MiniBatch) -> Tensor:
        self.steps += 1
        if self.steps == 3:
            raise self.failure
        return super().loss(batch)


def method(kind: type[Trained]) -> Trained:
    torch.manual_seed(0)
    made = kind(GCN(DATASET.graph.in_dim, hidden_dim=8), dropout=0.3)
    assert DATASET.labels is not None
    made.fit_labels(DATASET.labels, DATASET.splits[0])
    return made


def sampler(name: str, prefetch: int, **options: object) -> PairSampler:
    made = SAMPLERS.get(name)(DATASET.graph, num_layers=2, batch_size=8, prefetch=prefetch, **options)
    assert isinstance(made, PairSampler)
    return made


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("graphsage", {}),
        ("vrgcn", {}),
        ("mvs", {"gamma": 0.5}),
        ("minvar+adjoint", {"norms": "online", "renew_every": 3}),
        ("minvar+lmc", {"norms": "online", "renew_every": 3}),
    ],
)
def test_training_is_the_same_to_the_last_bit(name: str, options: dict[str, object]) -> None:
    """Weights, curve, staleness, clock of the history and what was learnt."""

    def train(prefetch: int) -> tuple[object, ...]:
        trained, source = method(Supervised), sampler(name, prefetch, **options)
        result = pretrain(trained, source, TrainConfig(epochs=3, lr=0.05), seed=0)
        curve = [replace(record, seconds=0.0, cpu_seconds=None, load=None) for record in result.curve]
        clock = None if source.store is None else source.store.clock
        learnt = {k: v.tolist() for k, v in source.selection.state_dict().items()}
        return curve, clock, learnt, [p.tolist() for p in trained.parameters()]

    assert repr(train(0)) == repr(train(1)) == repr(train(4))  # norms that were never observed are NaN


@pytest.mark.parametrize("failure", [TrainingError("stumbled"), KeyboardInterrupt()])
def test_training_that_fails_or_is_interrupted_leaves_no_thread(failure: BaseException) -> None:
    stumbling = method(Stumbling)
    stumbling.failure = failure
    with pytest.raises(type(failure)):
        pretrain(stumbling, sampler("graphsage", 3), TrainConfig(epochs=3), seed=0)
    assert not running()


def test_training_that_was_watched_enough_leaves_no_thread() -> None:
    losses: list[float] = []

    def watch(loss: float) -> bool:
        losses.append(loss)
        return len(losses) == 3

    result = pretrain(method(Supervised), sampler("graphsage", 3), TrainConfig(epochs=9), seed=0, watch=watch)
    assert result.epochs == 1
    assert not running()


def test_a_batch_that_cannot_be_made_fails_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    source = sampler("graphsage", 3)

    def batch(draw: object) -> None:
        raise TrainingError("no such node")

    monkeypatch.setattr(source.propagation, "batch", batch)
    with pytest.raises(TrainingError, match="no such node"):
        pretrain(method(Supervised), source, TrainConfig(epochs=3), seed=0)


def test_batches_on_the_cpu_are_not_pinned() -> None:
    source = sampler("graphsage", 1)
    pretrain(method(Supervised), source, TrainConfig(epochs=1), seed=0)
    assert not source.pin


@pytest.mark.parametrize("name", ["uniform+exact", "uniform+vrgcn"])
@pytest.mark.parametrize("sparse", [False, True])
def test_every_tensor_of_a_batch_travels(name: str, sparse: bool) -> None:
    """To the device and to pinned memory alike; a tensor that stayed would be copied in the middle of a step."""
    graph = toy_graph(sparse=sparse, attributes=True)
    batch = next(iter(SAMPLERS.get(name)(graph, num_layers=2, batch_size=6, prefetch=0).epoch(0)))
    _ = [block.pattern.transposed for block in batch.blocks]
    moved = batch.to(torch.device("meta"), non_blocking=True).planned(history=None)
    assert {tensor.device.type for _, tensor in tensors_of(moved)} == {"meta"}
    for block in moved.blocks:
        turned, order = block.pattern.__dict__["transposed"]
        assert {turned.rowptr.device.type, turned.col.device.type, order.device.type} == {"meta"}
    if torch.cuda.is_available():
        assert all(tensor.is_pinned() for _, tensor in tensors_of(batch.pin_memory().planned(history=None)))
