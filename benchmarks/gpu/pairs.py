"""Losses and gradients of every target selection with every propagation on the device, against the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from gssl.benchmarks.gpu.report import Report
from gssl.benchmarks.gpu.setup import Setup
from gssl.benchmarks.gpu.toys import ON_THE_HOST, pair, pair_options, wide_pair
from gssl.benchmarks.gpu.trace import FLOAT32, Make, compare
from gssl.registry import PROPAGATIONS, SELECTIONS
from gssl.training.config import TrainConfig

CONFIG = TrainConfig(epochs=2, lr=0.01, optimizer="sgd")


def run(setup: Setup, report: Report) -> None:
    """Two epochs of BGRL with a GCN by every pair, then what the propagations have beside."""
    for name, make in setup.some(cases()):
        report.add(compare(name, make, CONFIG, setup.device, tolerance=FLOAT32))


def cases() -> Iterator[tuple[str, Make]]:
    """Every pair; sparse features with every propagation; minimal variance with its other sources of norms; wide
    features that stay on the host.
    """
    for selection in SELECTIONS.names():
        for propagation in PROPAGATIONS.names():
            options = pair_options(selection, propagation)
            yield f"{selection}+{propagation}", partial(pair, selection, propagation, options)
    for propagation in PROPAGATIONS.names():
        options = pair_options("uniform", propagation)
        yield f"uniform+{propagation}, sparse features", partial(pair, "uniform", propagation, options, sparse=True)
    for propagation in ("exact", "history", "adjoint", "neighbor"):
        options = pair_options("minvar", propagation)
        for extra in ({"norms": "online"}, {"checkpoint_batch": 7}):
            (name, value), *_ = extra.items()
            yield f"minvar+{propagation}, {name}={value}", partial(pair, "minvar", propagation, options | extra)
    for propagation in ("neighbor", "exact", "history"):
        for way, extra in ON_THE_HOST.items():
            options = pair_options("uniform", propagation) | extra
            yield f"uniform+{propagation}, features on the host, {way}", partial(wide_pair, propagation, options)
