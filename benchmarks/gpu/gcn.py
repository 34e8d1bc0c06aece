"""Forward and backward pass of a GCN of two layers on the device, against PyG on ``edge_index``."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gssl.benchmarks.gpu.clock import Clock, Step
from gssl.benchmarks.gpu.report import Case, Figure, Report
from gssl.benchmarks.gpu.setup import Setup
from gssl.benchmarks.perf.spmm import Model, Size, agreement_on, ours, pyg, random_graph

PEER = "PyG GCN on edge_index"
TOLERANCE = 1e-3
_SMALL = Size(2_000, 40_000, 64)


def run(setup: Setup, report: Report) -> None:
    """Agreement on a small graph, then time and memory of both sides on the large one."""
    clock, sizes = Clock(setup.place), setup.sizes
    for name, away in agreement_on(*_there(random_graph(_SMALL), setup.place)).items():
        report.add(Case(f"{PEER}: {name}", "same" if away <= TOLERANCE else "differs", away, TOLERANCE))
    graph = _there(random_graph(Size(sizes.gcn_nodes, sizes.gcn_edges, sizes.gcn_dim)), setup.place)
    gradient = torch.ones_like(graph[1])
    mine = _step(ours, graph, gradient)
    memory = clock.peak_mib(mine)
    report.note(ours_peak_mib=memory)
    theirs = _step(pyg, graph, gradient)
    try:
        peer_memory = clock.peak_mib(theirs)
    except torch.OutOfMemoryError as error:
        report.note(ours_seconds=clock.seconds(mine), peer_failed=f"out of memory: {error}"[:200])
        return
    seconds, peer = clock.turns([mine, theirs], repeats=7)
    report.add(
        Figure(
            "GCN against PyG", peer / seconds, "times", 3.0, True, setup.judged,
            "seconds of PyG's forward and backward pass over ours", seconds, peer, PEER,
        ),
        Figure(
            "memory of GCN against PyG", peer_memory / memory, "times", 4.0, True, setup.judged,
            "peak MiB of PyG's pass above graph and features over ours", memory, peer_memory, PEER,
        ),
    )  # fmt: skip


def _there(graph: tuple[Tensor, Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    edge_index, x = graph
    return edge_index.to(device), x.to(device)


def _step(make: Callable[[Tensor, Tensor], Model], graph: tuple[Tensor, Tensor], gradient: Tensor) -> Step:
    model = make(*graph)

    def forward_and_backward() -> None:
        torch.autograd.grad(model.forward(), model.parameters, gradient)

    return forward_and_backward
