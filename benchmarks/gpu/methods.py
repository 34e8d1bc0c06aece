"""Losses and gradients of every registered method on the device, against the CPU."""

from __future__ import annotations

from gssl.benchmarks.gpu.report import Report
from gssl.benchmarks.gpu.setup import Setup
from gssl.benchmarks.gpu.toys import trainings
from gssl.benchmarks.gpu.trace import FLOAT32, compare
from gssl.training.config import TrainConfig

CONFIG = TrainConfig(epochs=3, lr=0.01, optimizer="sgd")


def run(setup: Setup, report: Report) -> None:
    """Three epochs of every method on each kind of toy data that it takes."""
    for name, make in setup.some(trainings()):
        report.add(compare(name, make, CONFIG, setup.device, tolerance=FLOAT32))
