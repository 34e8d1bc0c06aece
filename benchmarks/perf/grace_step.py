"""One training step of GRACE on Cora against other libraries of graph contrastive learning."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch

from gssl.benchmarks.perf import ours
from gssl.benchmarks.perf.cases import build_ours
from gssl.benchmarks.perf.grace_peers import LIBRARIES, Library
from gssl.benchmarks.perf.machine import describe, thread_count
from gssl.benchmarks.perf.measure import Side, measure
from gssl.benchmarks.perf.result import PerfResult, compare
from gssl.benchmarks.perf.setups import NodeSetup, available_data
from gssl.common.options import PositiveInt
from gssl.objectives.info_nce import info_nce
from gssl.results.environment import installed


def run(
    *,
    data: Literal["auto", "Cora", "random"] = "auto",
    nodes: PositiveInt = 2_708,
    repeats: PositiveInt = 9,
    threads: PositiveInt | None = None,
) -> PerfResult:
    """One GRACE training step on Cora (both views, all negatives, update), against PyGCL and DIG.

    Args:
        data: Cora, a random graph of its size and sparsity, or Cora where its files are here.
        nodes: of a random graph.
        repeats: measured steps of each side.
        threads: of all sides; PyTorch's default if None.
    """
    threads = thread_count(threads)
    setup = NodeSetup(data=available_data() if data == "auto" else data, nodes=nodes)
    peers = [library for library in LIBRARIES if library.installed]
    sides = [Side("gssl", partial(build_ours, ours.grace, setup))] + [
        Side(peer.name, partial(peer.build, setup)) for peer in peers
    ]
    (mine, *theirs), figures = measure(sides, partial(agreement, peers, setup), repeats=repeats, threads=threads)
    environment = describe(threads)
    environment["peers"] = installed(tuple(peer.distribution for peer in peers))
    return compare(
        "grace-step",
        mine,
        theirs,
        absent={p.name: f"pip install --no-deps {p.distribution}" for p in LIBRARIES if p not in peers},
        figures=figures,
        config={
            "data": setup.data,
            "nodes": len(setup.plain()[1]),
            "encoder": f"GCN {setup.features}-{setup.hidden}-{setup.out}",
            "temperature": setup.temperature,
            "repeats": repeats,
            "threads": threads,
        },
        environment=environment,
    )


def agreement(libraries: Sequence[Library], setup: NodeSetup) -> dict[str, float]:
    """Relative difference between our loss, and the norm of its gradient's difference, and each peer's."""
    rng = torch.Generator().manual_seed(0)
    z1 = torch.randn(min(setup.nodes, 500), setup.out, generator=rng)
    z2 = (z1 + torch.randn(z1.shape, generator=rng)).requires_grad_()
    z1.requires_grad_()
    loss = info_nce(z1, z2, temperature=setup.temperature)
    gradient = torch.cat(torch.autograd.grad(loss, (z1, z2)))
    figures = {}
    for library in libraries:
        other = library.loss(z1, z2, setup.temperature)
        theirs = torch.cat(torch.autograd.grad(other, (z1, z2)))
        figures[f"{library.name} loss_difference"] = abs(loss.item() / other.item() - 1)
        figures[f"{library.name} gradient_difference"] = float((gradient - theirs).norm() / theirs.norm())
    return figures
