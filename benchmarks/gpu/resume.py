"""A training that was stopped and resumed ends like one that was not, with the device's own random numbers."""

from __future__ import annotations

import os
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from gssl.benchmarks.gpu.report import Case, Report
from gssl.benchmarks.gpu.setup import Setup
from gssl.benchmarks.gpu.toys import pair, pair_options, training
from gssl.benchmarks.gpu.trace import Make, told
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

TOLERANCE = 1e-5
"""Where the device does not repeat itself bit by bit (sums whose order is not fixed)."""
CONFIG = TrainConfig(epochs=4, lr=0.01, checkpoint_seconds=1e-6)  # a checkpoint after every update


def run(setup: Setup, report: Report) -> None:
    """Each training without a stop, once more, and with one."""
    warnings.simplefilter("ignore")
    for name, make, updates in setup.some(cases()):
        report.add(resumed(name, make, updates, setup.device))


def cases() -> Iterator[tuple[str, Make, int]]:
    """A name, what builds the training, and the update at which it is stopped, in the second epoch.

    Samplers that remember have checkpoints between epochs only, so that they begin the second one anew.
    """
    for method in ("GRACE", "BGRL", "GraphMAE"):
        yield method, partial(training, method, "dense"), 2
    without = ("uniform+neighbor", "uniform+labor", "uniform+ladies", "cluster+induced")
    stateful = ("minvar+history", "uniform+history", "uniform+adjoint", "cluster+lmc", "uniform+vrgcn")
    for sampler in (*without, *stateful):
        selection, _, propagation = sampler.partition("+")
        yield sampler, partial(pair, selection, propagation, pair_options(selection, propagation)), 8


def resumed(name: str, make: Make, updates: int, device: str) -> Case:
    """Whether weights and losses are those of a training without a stop: bit by bit if two of these are."""
    try:
        with tempfile.TemporaryDirectory(prefix="gssl-check-") as folder:
            whole, again = (trained(make, device, None) for _ in range(2))
            file = Path(folder) / "checkpoint.pt"
            with suppress(KeyboardInterrupt):
                trained(make, device, file, watch=Stopper(updates))
                return Case(name, "failed", detail="it did not stop")
            if not file.is_file():
                return Case(name, "failed", detail="no checkpoint was written")
            found = trained(make, device, file)
    except Exception as error:
        return Case(name, "failed", detail=told(error))
    repeats = distance(whole, again)
    worst = distance(whole, found)
    tolerance = 0.0 if repeats == 0 else TOLERANCE
    detail = "" if repeats == 0 else f"two trainings without a stop differ by {repeats:.2g}"
    return Case(name, "same" if worst <= tolerance else "differs", worst, tolerance, detail)


class Stopper:
    """A watch that sends this process a signal before an update."""

    def __init__(self, updates: int) -> None:
        self.left = updates

    def __call__(self, loss: float) -> bool:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return False


def trained(
    make: Make,
    device: str,
    checkpoint: Path | None,
    *,
    watch: Callable[[float], bool] | None = None,
) -> list[Tensor]:
    """Losses of all epochs and the weights in the end, on the CPU."""
    method, sampler = make()
    result = pretrain(method, sampler, CONFIG, seed=0, device=device, checkpoint=checkpoint, watch=watch)
    losses = torch.tensor([record.loss for record in result.curve], dtype=torch.float64)
    return [losses, *(parameter.detach().cpu().double() for parameter in method.parameters())]


def distance(expected: list[Tensor], found: list[Tensor]) -> float:
    """The largest difference in norm, relative to the norm; infinite where shapes differ or a number is not finite."""
    if [t.shape for t in expected] != [t.shape for t in found]:
        return float("inf")
    worst = 0.0
    for a, b in zip(expected, found, strict=True):
        away = float((a - b).norm()) / max(float(a.norm()), 1e-6)
        worst = max(worst, away if away == away else float("inf"))
    return worst
