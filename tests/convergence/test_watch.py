"""When trainings are observed, and that observing costs neither time nor randomness."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from gssl.common.errors import TrainingError
from gssl.convergence import watch as module
from gssl.convergence.watch import Clock, ObservationPlan, Observer, gradient_error
from gssl.methods.bgrl import BGRL
from gssl.methods.supervised import Supervised
from gssl.models.gcn import GCN
from gssl.registry import SAMPLERS
from gssl.samplers.full import FullBatch
from gssl.testing.toy import toy_dataset
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

DATASET = toy_dataset("node")


class FakeClocks:
    """Wall and processor time that pass only when they are told to."""

    def __init__(self) -> None:
        self.wall = self.cpu = 100.0

    def spend(self, wall: float, cpu: float = 0.0) -> None:
        self.wall += wall
        self.cpu += cpu


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> FakeClocks:
    fake = FakeClocks()
    table: dict[Clock, Callable[[], float]] = {"wall": lambda: fake.wall, "cpu": lambda: fake.cpu}
    monkeypatch.setattr(module, "CLOCKS", table)
    return fake


def supervised(dropout: float = 0.0) -> Supervised:
    torch.manual_seed(0)
    method = Supervised(GCN(DATASET.graph.in_dim, hidden_dim=8), dropout=dropout)
    assert DATASET.labels is not None
    method.fit_labels(DATASET.labels, DATASET.splits[0])
    return method


def watch(plan: ObservationPlan, clocks: FakeClocks, observing: float = 50.0) -> Observer:
    """A watch whose observations take ``observing`` seconds."""

    def validate() -> float:
        clocks.spend(observing, observing)
        return 0.5

    return Observer(plan, validate, supervised())


@pytest.mark.parametrize("clock", ["wall", "cpu"])
def test_observing_takes_no_time_and_the_right_clock_is_read(clock: Clock, clocks: FakeClocks) -> None:
    seen = watch(ObservationPlan(4.0, 3, 2, clock), clocks)
    ended = []
    for step in range(8):
        clocks.spend(1.0, 2.0)
        ended.append(seen(10.0 - step))
    rate = 1.0 if clock == "wall" else 2.0
    assert [p.seconds / rate for p in seen.points] == [p.step + 1 for p in seen.points]
    assert seen.points[0].step == 0, "the first point is of the weights before any update"
    reached = max(4.0 / rate - 1, 3.0)  # updates before both plans are fulfilled
    assert ended.index(True) == reached
    assert seen.points[[p.step for p in seen.points].index(int(reached))].step == reached, "the end is observed"


def test_the_weights_at_the_start_can_be_left_out(clocks: FakeClocks) -> None:
    seen = watch(ObservationPlan(10.0, 100, 2, first=False), clocks)
    while True:
        clocks.spend(1.0)
        if seen(1.0):
            break
    assert [p.step for p in seen.points] == [4, 9, 50, 100]


def test_moments_are_spread_over_both_plans(clocks: FakeClocks) -> None:
    seen = watch(ObservationPlan(10.0, 100, 2), clocks)
    while True:
        clocks.spend(1.0)
        if seen(1.0):
            break
    # Seconds 0, 5 and 10, after the update during which they passed; steps 0, 50 and 100.
    assert [p.step for p in seen.points] == [0, 4, 9, 50, 100]


def test_a_slow_step_is_observed_once(clocks: FakeClocks) -> None:
    seen = watch(ObservationPlan(10.0, 2, 5), clocks)
    clocks.spend(1000.0)
    assert not seen(1.0)
    assert [p.step for p in seen.points] == [0]
    assert not seen(1.0)
    assert seen(1.0)
    assert [p.step for p in seen.points] == [0, 1, 2]


def test_the_loss_is_the_mean_since_the_last_point(clocks: FakeClocks) -> None:
    seen = watch(ObservationPlan(0.5, 4, 2), clocks)
    for loss in (8.0, 1.0, 3.0, 5.0, 9.0):
        clocks.spend(1.0)
        seen(loss)
    assert [p.loss for p in seen.points] == [8.0, 2.0, 7.0]


def test_a_score_that_is_not_finite_ends_the_training(clocks: FakeClocks) -> None:
    seen = Observer(ObservationPlan(1.0, 1, 1), lambda: float("nan"), supervised())
    with pytest.raises(TrainingError, match="validation score is nan after 0 steps"):
        seen(1.0)


@pytest.mark.parametrize("measured", [False, True])
def test_a_watched_training_is_the_training(measured: bool) -> None:
    """Dropout, views and batch norm: nothing of what observing draws or computes may reach the training."""

    def train(watched: bool) -> list[torch.Tensor]:
        torch.manual_seed(0)
        method = BGRL(GCN(DATASET.graph.in_dim, hidden_dim=8, norm="batch", dropout=0.3))
        full = DATASET.graph.full_batch()
        sampler = SAMPLERS.get("graphsage")(DATASET.graph, num_layers=2, batch_size=40)

        def validate() -> float:
            torch.rand(3)
            return method.embed(full).mean().item()

        seen = Observer(ObservationPlan(1e-9, 7, 7), validate, method, full if measured else None)
        # Three batches an epoch: both trainings make eight updates.
        pretrain(
            method,
            sampler,
            TrainConfig(epochs=3, lr=0.01),
            seed=0,
            watch=(lambda x: seen(x) and False) if watched else None,
        )
        assert len(seen.points) == (8 if watched else 0)
        assert all((p.gradient_error is not None) == measured for p in seen.points)
        return [value.clone() for value in method.state_dict().values()]

    for mine, theirs in zip(train(True), train(False), strict=True):
        assert torch.equal(mine, theirs)


def test_training_ends_when_the_watch_has_seen_enough() -> None:
    method, steps = supervised(), []

    def enough(loss: float) -> bool:
        steps.append(loss)
        return len(steps) == 4

    result = pretrain(method, FullBatch(DATASET.graph), TrainConfig(epochs=100, lr=0.1), seed=0, watch=enough)
    assert len(steps) == 4
    assert result.epochs == 4


def test_the_gradient_of_the_whole_graph_has_no_error() -> None:
    method, full = supervised(), DATASET.graph.full_batch()
    method.loss(full).backward()
    assert gradient_error(method.eval(), full) == pytest.approx(0, abs=1e-10)
    for parameter in method.parameters():
        assert parameter.grad is not None
        parameter.grad *= 3
    assert gradient_error(method, full) == pytest.approx(4)  # |3 g - g|^2 / |g|^2
    for parameter in method.parameters():
        parameter.grad = None
    assert gradient_error(method, full) == pytest.approx(1)


def test_a_full_gradient_of_zero_has_no_relative_error() -> None:
    method, full = supervised(), DATASET.graph.full_batch()
    method.known[:] = False
    assert gradient_error(method.eval(), full) is None
