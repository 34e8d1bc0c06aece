"""Trainings in mixed precision on the device, against float32 on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Literal

from gssl.benchmarks.gpu.report import Case, Report
from gssl.benchmarks.gpu.setup import Setup
from gssl.benchmarks.gpu.toys import pair, pair_options, training
from gssl.benchmarks.gpu.trace import Make, compare
from gssl.config.components import method_class
from gssl.registry import ENCODERS, METHODS, PROPAGATIONS
from gssl.training.config import TrainConfig

Mixed = Literal["bf16-mixed", "16-mixed"]
TOLERANCES: dict[Mixed, float] = {"bf16-mixed": 0.05, "16-mixed": 0.02}
"""Of the first loss: bfloat16 keeps 8 bits of a number, float16 keeps 11."""


def run(setup: Setup, report: Report) -> None:
    """Two epochs of node methods, encoders and propagations, in both precisions.

    In float16 the first losses alone are compared, and others must be finite: gradients carry the scale of the loss,
    and steps are skipped until it fits.
    """
    exact = TrainConfig(epochs=2, lr=0.01, optimizer="sgd")
    for precision, name, make in setup.some(cases()):
        label = f"{name}, {precision}"
        if precision == "16-mixed" and setup.device == "cpu":
            report.add(Case(label, "skipped", detail="float16 with a scaled loss needs a CUDA device"))
            continue
        mixed = replace(exact, precision=precision)
        tolerance = TOLERANCES[precision]
        half = precision == "16-mixed"
        report.add(compare(label, make, mixed, setup.device, tolerance=tolerance, reference=exact, first_only=half))


def cases() -> Iterator[tuple[Mixed, str, Make]]:
    """A precision, a name, and what builds the training."""
    methods = [name for name in METHODS.names() if method_class(name).trains and "node" in method_class(name).levels]
    methods = [name for name in methods if not method_class(name).needs_types]
    encoders = [name for name in ENCODERS.names() if not ENCODERS.get(name).needs_types]
    for precision in TOLERANCES:
        for propagation in PROPAGATIONS.names():
            # Not by gradient norms: with those of another precision other targets would be drawn.
            options = pair_options("uniform", propagation)
            yield precision, f"uniform+{propagation}", partial(pair, "uniform", propagation, options)
        for encoder in encoders:
            yield precision, f"GRACE with {encoder}", partial(training, "GRACE", "dense", encoder)
        for name in methods:
            yield precision, name, partial(training, name, "dense")
