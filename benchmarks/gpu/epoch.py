"""An epoch of supervised GraphSAGE on a graph of ogbn-products' size, through the program's own loop."""

from __future__ import annotations

import torch

from gssl.benchmarks.gpu.products import products_graph
from gssl.benchmarks.gpu.report import Figure, Report
from gssl.benchmarks.gpu.setup import Setup
from gssl.benchmarks.gpu.training_steps import Steps
from gssl.training.memory import PeakMemory

_SOME = 12  # steps from which the whole epoch is foretold
_TARGET = 2.0


def run(setup: Setup, report: Report) -> None:
    """Some steps, then the whole epoch if there is time for it; else it is extrapolated, and the report says so."""
    graph = products_graph(setup.sizes, setup.place)
    steps = Steps(setup, graph, "graphsage", {"fanouts": setup.sizes.fanouts})
    steps.take(3)
    memory = PeakMemory(setup.place)
    number = min(_SOME, steps.per_epoch)
    step = steps.seconds(number) / number
    whole = step * steps.per_epoch < report.left / 2
    seconds = steps.seconds(steps.per_epoch) if whole else step * steps.per_epoch
    report.add(
        Figure(
            "epoch of GraphSAGE", seconds, "s", _TARGET, False, setup.judged,
            "seconds of an epoch over the training nodes" + ("" if whole else f", extrapolated from {number} steps"),
            seconds,
        )
    )  # fmt: skip
    report.note(
        updates=steps.per_epoch,
        milliseconds_per_step=1e3 * seconds / steps.per_epoch,
        extrapolated=not whole,
        peak_mib=memory.mib(),
        threads=torch.get_num_threads(),
        notes="; ".join(steps.sampler.notes),
    )
