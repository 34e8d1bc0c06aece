"""A training step by MVS, its checkpoints included, against one by GraphSAGE's sampler."""

from __future__ import annotations

from typing import Any

from gssl.benchmarks.gpu.products import products_graph
from gssl.benchmarks.gpu.report import Figure, Report
from gssl.benchmarks.gpu.setup import Setup
from gssl.benchmarks.gpu.training_steps import Steps

_EVERY = 20  # steps between two checkpoints, and of a measurement
_POOL = 24_576  # nodes of a checkpoint, as a share of the items below


def run(setup: Setup, report: Report) -> None:
    """Twenty steps of each with the same encoder, loss, targets and size of batches."""
    sizes = setup.sizes
    graph = products_graph(sizes, setup.place)
    gamma = min(1.0, max(_POOL * sizes.scale, 2 * sizes.batch) / sizes.train)
    variants: dict[str, tuple[str, dict[str, Any]]] = {
        "graphsage": ("graphsage", {"fanouts": sizes.fanouts}),
        "mvs": ("mvs", {"gamma": gamma, "checkpoint_every": _EVERY, "checkpoint_batch": 4096}),
        "online": ("mvs", {"norms": "online", "renew_every": _EVERY}),
    }
    seconds: dict[str, float] = {}
    for name, (sampler, options) in variants.items():
        steps = Steps(setup, graph, sampler, options)
        steps.take(3)
        seconds[name] = min(steps.seconds(_EVERY) for _ in range(2 if setup.device == "cuda" else 1)) / _EVERY
        report.note(**{f"{name}_milliseconds_per_step": 1e3 * seconds[name]})
        report.note(**{f"{name}_notes": "; ".join(steps.sampler.notes)})
        if name == "mvs":
            report.add(_figure(setup, "step of MVS against GraphSAGE", seconds["mvs"], seconds["graphsage"]))
    report.note(online_ratio=seconds["online"] / seconds["graphsage"], gamma=gamma)


def _figure(setup: Setup, name: str, ours: float, peer: float) -> Figure:
    return Figure(
        name, ours / peer, "times", 1.5, False, setup.judged,
        f"seconds of a step by MVS, a checkpoint every {_EVERY} steps included, over those of a step by GraphSAGE",
        ours, peer, "graphsage",
    )  # fmt: skip
