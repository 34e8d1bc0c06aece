"""Training with batches that a thread makes ahead, against training that makes each when it needs it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch

from gssl.benchmarks.perf.graphs import REAL, load_graph, real_graph_is_there, store_rmat
from gssl.benchmarks.perf.handover import handover_figures
from gssl.benchmarks.perf.machine import describe
from gssl.benchmarks.perf.measure import Side, Step, in_fresh_process, measure, take_turns
from gssl.benchmarks.perf.result import PerfResult, compare
from gssl.common.options import Positive, PositiveInt
from gssl.config.components import sampler_factory
from gssl.methods.bgrl import BGRL
from gssl.models.gcn import GCN
from gssl.samplers.delivery import SlowLane
from gssl.samplers.pair import PairSampler
from gssl.training.config import TrainConfig
from gssl.training.countdown import Countdown
from gssl.training.loop import pretrain

PEER = "no prefetching"
_OTHERS = ("labor", "minvar+adjoint", "mvs")


@dataclass(frozen=True)
class Size:
    """What is trained: BGRL with a GCN of two layers.

    Attributes:
        folder: of an R-MAT graph; None for the real one.
        features: of a node of the R-MAT graph.
        hidden: width of both layers.
        batch_size: targets of a batch.
        batches: of a step.
    """

    folder: str | None
    features: int
    hidden: int
    batch_size: int
    batches: int

    def training(self, sampler: str, depth: int, rate: float | None = None) -> Step:
        """A step: ``batches`` updates of the same weights, each time by a new optimizer.

        Args:
            sampler: its name.
            depth: batches that are made ahead.
            rate: bytes a second at which batches arrive on an emulated device; None to use them where they are.
        """
        graph = load_graph(self.folder, self.features)
        torch.manual_seed(0)
        method = BGRL(GCN(graph.in_dim, hidden_dim=self.hidden))
        batches = sampler_factory(sampler)(graph, num_layers=2, batch_size=self.batch_size, prefetch=depth)
        if rate is not None:
            assert isinstance(batches, PairSampler)
            batches.deliver(SlowLane(rate))
        config = TrainConfig(epochs=self.batches)
        return lambda: pretrain(method, batches, config, seed=0, watch=Countdown(self.batches))


def run(
    *,
    nodes: PositiveInt = 100_000,
    degree: Positive = 20.0,
    features: PositiveInt = 128,
    hidden: PositiveInt = 256,
    batch_size: PositiveInt = 512,
    batches: PositiveInt = 20,
    depth: PositiveInt = 2,
    megabytes_per_second: Positive = 100.0,
    repeats: PositiveInt = 7,
    threads: PositiveInt = 1,
) -> PerfResult:
    """Updates of BGRL whose batches a thread makes ahead, against making each when it is needed.

    A step is ``batches`` updates by GraphSAGE's sampler, with the start of the thread; the ratios of other samplers
    stand apart. Those whose next batch depends on what the last one showed (``mvs``) cannot gain much. With as many
    ``threads`` as cores the thread takes time from the training.

    Args:
        nodes: of the R-MAT graph, which is taken where ogbn-wordnet is not there.
        degree: its mean number of neighbors.
        features: of its nodes.
        hidden: width of both layers.
        batch_size: targets of a batch.
        batches: of a step.
        depth: batches that are made ahead.
        megabytes_per_second: at which batches arrive on an emulated slow device (``slow_device_ratio``).
        repeats: measured steps of each side.
        threads: of the training; the thread that makes batches comes on top.
    """
    with tempfile.TemporaryDirectory(prefix="gssl-perf-") as folder:
        real = real_graph_is_there()
        if not real:
            in_fresh_process(store_rmat, folder, nodes, degree)
        size = Size(None if real else folder, features, hidden, batch_size, batches)
        costs, figures = measure(sides_of(size, "graphsage", depth), dict, repeats=repeats, threads=threads)
        figures |= others(size, depth, 1e6 * megabytes_per_second, repeats, threads)
    figures |= in_fresh_process(handover_figures, 2 * nodes, features, nodes, repeats, threads)
    return compare(
        "prefetch",
        costs[0],
        costs[1:],
        absent={},
        figures=figures,
        config={
            "graph": REAL if real else "rmat",
            "nodes": nodes,
            "degree": degree,
            "features": features,
            "hidden": hidden,
            "batch_size": batch_size,
            "batches": batches,
            "depth": depth,
            "megabytes_per_second": megabytes_per_second,
            "repeats": repeats,
            "threads": threads,
        },
        environment=describe(threads),
    )


def others(size: Size, depth: int, rate: float, repeats: int, threads: int) -> dict[str, float]:
    """Milliseconds of an update, and the ratio to one without the thread: of other samplers, and on a slow device."""
    figures: dict[str, float] = {}
    cases = {name: sides_of(size, name, depth) for name in _OTHERS}
    cases["slow_device"] = sides_of(size, "graphsage", depth, rate)
    for name, sides in cases.items():
        times, _ = in_fresh_process(take_turns, sides, dict, repeats, threads)
        ahead, peer = (1e3 * median(seconds) / size.batches for seconds in times)
        figures |= {f"{name}_milliseconds": ahead, f"{name}_ratio": peer / ahead}
    return figures


def sides_of(size: Size, sampler: str, depth: int, rate: float | None = None) -> list[Side]:
    """With and without the thread."""
    return [
        Side("gssl", partial(size.training, sampler, depth, rate)),
        Side(PEER, partial(size.training, sampler, 0, rate)),
    ]
