"""Trainings with stored embeddings on the device, against the CPU, in every storage and precision of the rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from tempfile import mkdtemp
from typing import Any

from gssl.benchmarks.gpu.report import Report
from gssl.benchmarks.gpu.setup import Setup
from gssl.benchmarks.gpu.toys import pair, pair_options
from gssl.benchmarks.gpu.trace import FLOAT32, Make, compare
from gssl.common.options import options_of
from gssl.method import Method
from gssl.registry import PROPAGATIONS
from gssl.samplers.base import Sampler
from gssl.training.config import TrainConfig

CONFIG = TrainConfig(epochs=3, lr=0.01, optimizer="sgd")
STORAGES = ("device", "pinned", "mmap")
TOLERANCES = {"float32": FLOAT32, "bfloat16": 10 * FLOAT32}
"""A row that is rounded to bfloat16 may fall to either side of a boundary."""


def run(setup: Setup, report: Report) -> None:
    """Three epochs of BGRL by every propagation with a history, so that rows are written and read."""
    for name, make, tolerance in setup.some(cases()):
        report.add(compare(name, make, CONFIG, setup.device, tolerance=tolerance))


def cases() -> Iterator[tuple[str, Make, float]]:
    """A name, what builds the training, and the tolerance."""
    with_history = [name for name in PROPAGATIONS.names() if "history_storage" in options_of(PROPAGATIONS.get(name))]
    for propagation in with_history:
        for storage in STORAGES:
            for precision, tolerance in TOLERANCES.items():
                options = {"history_storage": storage, "history_precision": precision}
                yield f"{propagation}, {storage}, {precision}", partial(stored, propagation, options), tolerance


def stored(propagation: str, options: dict[str, Any]) -> tuple[Method, Sampler]:
    """The training, with a new folder for files."""
    given = pair_options("uniform", propagation) | options
    if options["history_storage"] == "mmap":
        given["history_folder"] = mkdtemp(prefix="gssl-check-")
    return pair("uniform", propagation, given)
