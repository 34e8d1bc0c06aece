"""Neighbor sampling on the device, against one core of the CPU by our own engine and against the bytes' time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from gssl.benchmarks.gpu.batches import kernels
from gssl.benchmarks.gpu.clock import Clock, copy_rate
from gssl.benchmarks.gpu.products import products_pattern, random_features, targets
from gssl.benchmarks.gpu.report import Case, Figure, Report
from gssl.benchmarks.gpu.setup import Setup
from gssl.benchmarks.perf.neighbor import load_kernels, sample
from gssl.samplers.propagation.expansion import Engine
from gssl.samplers.propagation.growing import Hop

BATCHES = 8
_SECTOR = 32  # bytes, the least that a GPU reads at a random place
Sampled = tuple[Tensor, list[Hop]]


def run(setup: Setup, report: Report) -> None:
    """The same batches on both sides: ids, edges and local numbers; and with the rows of features gathered."""
    sizes, clock = setup.sizes, Clock(setup.place)
    torch.set_num_threads(1)
    pattern = products_pattern(sizes, setup.place)
    host = pattern.to(torch.device("cpu"))
    load_kernels(host)
    ids = targets(sizes, BATCHES)
    there = [targets_of.to(setup.place) for targets_of in ids]
    report.add(kernels(setup.place))  # else torch operators are measured
    ours = Engine(host, "numba")
    engine = Engine(pattern) if setup.device == "cuda" else Engine(pattern, "torch")
    expected = [sample(ours, batch, sizes.fanouts, 100 * number) for number, batch in enumerate(ids)]
    for number, batch in enumerate(there):
        report.add(same(f"batch {number}", expected[number], sample(engine, batch, sizes.fanouts, 100 * number)))

    start = time.perf_counter()
    for number, batch in enumerate(ids):
        sample(ours, batch, sizes.fanouts, 100 * number)
    core = (time.perf_counter() - start) / BATCHES
    seconds = clock.seconds(partial(_all, engine, there, sizes.fanouts)) / BATCHES
    report.add(
        Figure(
            "sampling against one core", core / seconds, "times", 30.0, True, setup.judged,
            "seconds of a batch on one core of the CPU over those on the device", seconds, core, "numba, one core",
        )
    )  # fmt: skip
    _against_bytes(setup, report, clock, engine, there, expected)


def _all(engine: Engine, ids: Sequence[Tensor], fanouts: tuple[int, ...]) -> None:
    for number, batch in enumerate(ids):
        sample(engine, batch, fanouts, 100 * number)


def _against_bytes(
    setup: Setup, report: Report, clock: Clock, engine: Engine, ids: Sequence[Tensor], expected: Sequence[Sampled]
) -> None:
    """The figure of a batch with its features, which are most of its bytes."""
    sizes, table = setup.sizes, random_features(setup.sizes).to(setup.place)

    def gathered() -> None:
        for number, batch in enumerate(ids):
            nodes, _ = sample(engine, batch, sizes.fanouts, 100 * number)
            table.index_select(0, nodes)

    seconds = clock.seconds(gathered) / BATCHES
    rate = copy_rate(clock, sizes.copied)
    structure = sum(bytes_of(*found) for found in expected) / BATCHES
    rows = sum(len(nodes) for nodes, _ in expected) / BATCHES
    least = (structure + 2 * rows * sizes.features * table.element_size()) / rate
    report.add(
        Figure(
            "batch against the bytes' time", seconds / least, "times", 3.0, False, setup.judged,
            "seconds of a batch with its rows of features over the time in which the device copies as many bytes",
            seconds, least, "copy of the bytes",
        )
    )  # fmt: skip
    report.note(
        engine=engine.kind,
        notes="; ".join(engine.notes),
        nodes_per_batch=rows,
        edges_per_batch=sum(hop.pattern.nnz for _, hops in expected for hop in hops) / BATCHES,
        structure_bytes_per_batch=structure,
        copied_bytes_per_second=rate,
    )


def bytes_of(nodes: Tensor, hops: Sequence[Hop]) -> float:
    """What sampling must move at least: a sector for the offsets of each row, for each edge one of its column and one
    of the table of numbers, and the edge, number and ids that are written.
    """
    rows = sum(hop.pattern.num_rows for hop in hops)
    edges = sum(hop.pattern.nnz for hop in hops)
    return rows * (_SECTOR + 4) + edges * (2 * _SECTOR + 8) + 8 * len(nodes)


def same(name: str, expected: Sampled, found: Sampled) -> Case:
    """Whether ids, offsets, local numbers and edges are equal, bit by bit."""
    nodes, hops = found
    pairs = [("nodes", expected[0], nodes)]
    for number, (own, other) in enumerate(zip(expected[1], hops, strict=True)):
        pairs += [
            (f"offsets of hop {number}", own.pattern.rowptr, other.pattern.rowptr),
            (f"numbers of hop {number}", own.pattern.col, other.pattern.col),
            (f"edges of hop {number}", own.position, other.position),
        ]
    for what, a, b in pairs:
        if not torch.equal(a.long(), b.cpu().long()):
            return Case(name, "differs", None, 0.0, what)
    return Case(name, "same", 0.0, 0.0)
