"""Batches from a graph that lies on the device, against those of the CPU for the same key: bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from gssl.benchmarks.gpu.report import Case, Report
from gssl.benchmarks.gpu.setup import Setup
from gssl.benchmarks.gpu.toys import pair_options
from gssl.benchmarks.gpu.trace import told
from gssl.common.options import options_of
from gssl.graph.batch import MiniBatch
from gssl.graph.plan import Plan
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.registry import PROPAGATIONS
from gssl.samplers.rng import Key
from gssl.samplers.selection.base import Draw
from gssl.testing.compare import tensors_of
from gssl.testing.toy import toy_graph

_STEPS = 3


def run(setup: Setup, report: Report) -> None:
    """Some draws of every propagation, of targets that are given, by what suits the device and by torch operators."""
    for name, backend in setup.some(cases()):
        report.add(same_batches(name, setup.place, backend))


def cases() -> Iterator[tuple[str, str | None]]:
    """Every propagation, with the engine that works for it on the device; None where there is no choice."""
    for name in PROPAGATIONS.names():
        choice = "backend" in options_of(PROPAGATIONS.get(name))
        yield from ((name, backend) for backend in (("auto", "torch") if choice else (None,)))


def same_batches(propagation: str, device: torch.device, backend: str | None) -> Case:
    """Whether every tensor of some batches of a propagation has the same numbers on the device.

    Features may be gathered in different ways, so their rows are compared.
    """
    name = propagation if backend is None else f"{propagation}, backend={backend}"
    graph = toy_graph(num_nodes=60, in_dim=8, attributes=True)
    try:
        for step in range(_STEPS):
            expected = dict(numbers(made(propagation, graph, torch.device("cpu"), step, None)))
            found = dict(numbers(made(propagation, graph, device, step, backend)))
            if expected.keys() != found.keys():
                missing = sorted(expected.keys() ^ found.keys())
                return Case(name, "differs", tolerance=0.0, detail=f"tensors on one side alone: {missing}"[:300])
            for path, values in expected.items():
                if not torch.equal(values, found[path]):
                    return Case(name, "differs", tolerance=0.0, detail=f"step {step}: {path}")
    except Exception as error:
        return Case(name, "failed", detail=told(error))
    return Case(name, "same", 0.0, 0.0)


def made(name: str, graph: Graph, device: torch.device, step: int, backend: str | None) -> MiniBatch:
    """A batch of twelve targets."""
    options = pair_options("uniform", name) | ({} if backend is None else {"backend": backend})
    propagation = PROPAGATIONS.get(name)(graph.to(device), num_layers=2, **options)
    ids, chance = torch.arange(step, 60, 5, device=device), torch.full((12,), 0.2, device=device).double()
    return propagation.batch(Draw(ids, chance, Key(0, 0, step)))


def numbers(batch: MiniBatch) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a batch, on the CPU, features as rows, without what is between sampler and loop."""
    plain = replace(batch, x=dense_features(batch.x), plan=Plan())
    return ((path, tensor.cpu()) for path, tensor in tensors_of(plain))
