"""One training by several processes of one thread each, against the same training by one process of one thread."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median

import psutil
import torch

from gssl.benchmarks.perf.graphs import REAL, load_graph, real_graph_is_there, store_rmat
from gssl.benchmarks.perf.machine import describe
from gssl.benchmarks.perf.measure import in_fresh_process
from gssl.benchmarks.perf.result import Measured, PerfResult, compare
from gssl.common.errors import TrainingError
from gssl.common.options import NonNegativeInt, Positive, PositiveInt
from gssl.config.components import sampler_factory
from gssl.methods.bgrl import BGRL
from gssl.models.gcn import GCN
from gssl.testing.processes import free_port, variables
from gssl.training.config import TrainConfig
from gssl.training.group import opened
from gssl.training.loop import pretrain

PEER = "one process"


@dataclass(frozen=True)
class Work:
    """What is trained: BGRL with a GCN of two layers on batches of GraphSAGE's sampler.

    Attributes:
        folder: of an R-MAT graph; None for the real one.
        features: of a node of the R-MAT graph.
        hidden: width of both layers.
        batch_size: targets of a batch, of all processes together.
        batches: updates of a repeat.
        prefetch: batches that a thread of each process makes ahead.
        threads: of each process.
    """

    folder: str | None
    features: int
    hidden: int
    batch_size: int
    batches: int
    prefetch: int
    threads: int


@dataclass(frozen=True)
class Cost:
    """Of one repeat: targets, seconds in batches and updates, mean loss, peak memory of the largest process in MiB."""

    targets: int
    seconds: float
    loss: float
    memory_mb: float


def serve(work: Work, told: dict[str, str], orders: Connection) -> None:
    """What each process does: a training whenever it is told so, until the other end closes.

    Args:
        work: what is trained.
        told: variables of a launcher; empty for a process alone.
        orders: where it is told, and where it says what the training cost.
    """
    os.environ |= told
    torch.set_num_threads(work.threads)
    graph = load_graph(work.folder, work.features)
    chosen = torch.randperm(graph.num_nodes, generator=torch.Generator().manual_seed(0))
    items = chosen[: work.batch_size * work.batches].sort().values
    config = TrainConfig(epochs=1)
    with opened(told) as group:
        while True:
            orders.send(None)  # ready
            try:
                orders.recv()
            except EOFError:
                return
            torch.manual_seed(0)
            method = BGRL(GCN(graph.in_dim, hidden_dim=work.hidden))
            sampler = sampler_factory("graphsage")(
                graph, num_layers=2, items=items, batch_size=work.batch_size, prefetch=work.prefetch
            )
            result = pretrain(method, sampler, config, seed=0, group=group)
            orders.send(Cost(len(items), result.seconds, result.curve[-1].loss, result.peak_memory_mb))


@contextmanager
def side(work: Work, world: int) -> Iterator[list[Connection]]:
    """Processes that wait for orders; they end with the context."""
    context, port = get_context("spawn"), free_port()
    with ExitStack() as undo:
        ends = []
        for rank in range(world):
            mine, theirs = context.Pipe()
            told = {} if world == 1 else variables(rank, world, port)
            process = context.Process(target=serve, args=(work, told, theirs), daemon=True)
            process.start()
            theirs.close()
            undo.callback(process.join)
            ends.append(mine)
        for end in ends:
            undo.callback(end.close)
        for end in ends:
            _received(end)
        yield ends


def repeat(ends: list[Connection]) -> Cost:
    """Let the processes of a side train once; the cost as the first of them saw it."""
    try:
        for end in ends:
            end.send(None)
    except OSError:
        raise TrainingError("a process of the benchmark ended; what it wrote says why") from None
    costs = [_received(end) for end in ends]
    for end in ends:
        _received(end)
    first = costs[0]
    assert isinstance(first, Cost)
    return first


def _received(end: Connection) -> object:
    try:
        return end.recv()
    except EOFError:
        raise TrainingError("a process of the benchmark ended; what it wrote says why") from None


def run(
    *,
    processes: PositiveInt = 2,
    nodes: PositiveInt = 100_000,
    degree: Positive = 20.0,
    features: PositiveInt = 128,
    hidden: PositiveInt = 256,
    batch_size: PositiveInt = 1024,
    batches: PositiveInt = 20,
    prefetch: NonNegativeInt = 0,
    repeats: PositiveInt = 7,
    threads: PositiveInt = 1,
) -> PerfResult:
    """Updates of BGRL by several processes that share every batch, against one process.

    All sides live at the same time and take turns, so that a busy machine is busy for all. The first repeat of each
    is thrown away. Draws are the same; views are drawn by each process. Shares of a batch have neighbors in common, so
    that all of them together have more nodes than the batch; ``grown_ratio`` is without that: targets in a second of
    processes whose batch is as many times larger as they are.

    Args:
        processes: that share the batches.
        nodes: of the R-MAT graph, which is taken where ogbn-wordnet is not there.
        degree: its mean number of neighbors.
        features: of its nodes.
        hidden: width of both layers.
        batch_size: targets of a batch, of all processes together.
        batches: updates of a repeat.
        prefetch: batches that a thread of each process makes ahead; its time comes on top of ``threads``.
        repeats: measured ones of each side.
        threads: of each process.
    """
    with tempfile.TemporaryDirectory(prefix="gssl-perf-") as folder:
        real = real_graph_is_there()
        if not real:
            in_fresh_process(store_rmat, folder, nodes, degree)
        work = Work(None if real else folder, features, hidden, batch_size, batches, prefetch, threads)
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # as the command line does under a launcher
        grown = replace(work, batch_size=processes * batch_size)
        with side(work, 1) as alone, side(work, processes) as together, side(grown, processes) as apart:
            turns = [(repeat(alone), repeat(together), repeat(apart)) for _ in range(repeats + 1)][1:]
    theirs, ours, _ = zip(*turns, strict=True)
    return compare(
        "torchrun",
        _measured(f"{processes} processes", ours),
        [_measured(PEER, theirs)],
        absent={},
        figures={
            "paired_ratio": median(one.seconds / several.seconds for one, several, _ in turns),
            "grown_ratio": median(more.targets / more.seconds * one.seconds / one.targets for one, _, more in turns),
            "loss_of_one": theirs[-1].loss,
            "loss_of_several": ours[-1].loss,
            "load": psutil.getloadavg()[0],
        },
        config={
            "graph": REAL if real else "rmat",
            "processes": processes,
            "nodes": nodes,
            "degree": degree,
            "features": features,
            "hidden": hidden,
            "batch_size": batch_size,
            "batches": batches,
            "prefetch": prefetch,
            "repeats": repeats,
            "threads": threads,
        },
        environment=describe(threads),
    )


def _measured(name: str, costs: tuple[Cost, ...]) -> Measured:
    return Measured(name, tuple(cost.seconds for cost in costs), max(cost.memory_mb for cost in costs))
