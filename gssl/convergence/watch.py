"""Observing a training at planned times and steps, with the clock stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch

from gssl.common.errors import TrainingError
from gssl.convergence.record import Point
from gssl.graph.batch import MiniBatch
from gssl.method import Method, scalar
from gssl.training.embed import device_of

Clock = Literal["wall", "cpu"]
CLOCKS: dict[Clock, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass(frozen=True)
class ObservationPlan:
    """When a training is observed; it ends when both the time and the steps are reached.

    Attributes:
        seconds: of training.
        steps: updates.
        points: moments, evenly spread over the time and over the steps (twice as many in all).
        clock: of the seconds: ``wall``, or ``cpu`` for the time that all threads of the process computed, which
            does not depend on what else the machine does.
        first: whether the weights before the first update are observed too.
    """

    seconds: float
    steps: int
    points: int
    clock: Clock = "wall"
    first: bool = True


@dataclass
class Observer:
    """What :func:`~gssl.training.loop.pretrain` calls before each update. Its clock starts when it is made.

    Observing leaves the training as it was: weights, gradients, running statistics and random streams are the same
    as without it.

    Attributes:
        plan: when to observe.
        validate: score of the weights, higher is better, on a method in evaluation mode.
        method: under training.
        full: the whole graph, for the error of the gradient; None leaves it out.
        points: what was observed.
    """

    plan: ObservationPlan
    validate: Callable[[], float]
    method: Method
    full: MiniBatch | None = None
    points: list[Point] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._clock = CLOCKS[self.plan.clock]
        self._elapsed, self._mark = 0.0, self._read()
        self._steps, self._due_time, self._due_step = 0, *((0, 0) if self.plan.first else (1, 1))
        self._losses: list[float] = []

    def _read(self) -> float:
        """The time, when the device has done what it was given."""
        if device_of(self.method).type == "cuda":
            torch.cuda.synchronize()
        return self._clock()

    def __call__(self, loss: float) -> bool:
        self._elapsed += self._read() - self._mark
        self._losses.append(loss)
        plan = self.plan
        by_time = self._due_time <= plan.points and self._elapsed >= plan.seconds * self._due_time / plan.points
        by_step = self._due_step <= plan.points and self._steps >= plan.steps * self._due_step // plan.points
        if by_time or by_step:
            self._observe()
        while self._due_time <= plan.points and self._elapsed >= plan.seconds * self._due_time / plan.points:
            self._due_time += 1
        while self._due_step <= plan.points and self._steps >= plan.steps * self._due_step // plan.points:
            self._due_step += 1
        self._steps += 1
        self._mark = self._read()
        return min(self._due_time, self._due_step) > plan.points

    def _observe(self) -> None:
        method = self.method
        device = device_of(method)
        on_cuda = device.type == "cuda"
        states = torch.get_rng_state(), method.rng.get_state(), torch.cuda.get_rng_state(device) if on_cuda else None
        method.eval()
        error = None
        if self.full is not None:
            self.full = self.full.to(device)
            error = gradient_error(method, self.full)
        val = self.validate()
        if not math.isfinite(val):
            raise TrainingError(f"the validation score is {val} after {self._steps} steps")
        method.train()
        torch.set_rng_state(states[0])
        method.rng.set_state(states[1])
        if states[2] is not None:
            torch.cuda.set_rng_state(states[2], device)
        mean = sum(self._losses) / len(self._losses)
        self._losses.clear()
        self.points.append(Point(step=self._steps, seconds=self._elapsed, loss=mean, val=val, gradient_error=error))


def gradient_error(method: Method, full: MiniBatch) -> float | None:
    """Squared distance of the gradients that the parameters hold to the full gradient, relative to its norm squared.

    The full gradient is without dropout and, for methods with random views, of views drawn for it, so that even
    training on the whole graph has an error then.

    Args:
        method: in evaluation mode; its gradients are not touched.
        full: the whole graph.

    Returns:
        None where the full gradient vanishes or the error is not finite.
    """
    parameters = [p for p in method.parameters() if p.requires_grad]
    truth = torch.autograd.grad(scalar(method.loss(full)) * method.mass(full), parameters, allow_unused=True)
    distance = norm = 0.0
    for parameter, true in zip(parameters, truth, strict=True):
        true = torch.zeros_like(parameter) if true is None else true
        own = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        distance += float((own - true).square().sum())
        norm += float(true.square().sum())
    error = distance / norm if norm else math.inf
    return error if math.isfinite(error) else None
