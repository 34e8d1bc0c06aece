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
    """Some draws of every propagation, of targets that are given."""
    for name in setup.some(PROPAGATIONS.names()):
        report.add(same_batches(name, setup.place))


def same_batches(name: str, device: torch.device) -> Case:
    """Whether every tensor of some batches of a propagation has the same numbers on the device.

    Features may be gathered in different ways, so their rows are compared. The device's side works by torch operators,
    or by what else suits it; on the CPU it is made to.
    """
    graph = toy_graph(num_nodes=60, in_dim=8, attributes=True)
    try:
        for step in range(_STEPS):
            expected = dict(numbers(made(name, graph, torch.device("cpu"), step)))
            found = dict(numbers(made(name, graph, device, step, again=True)))
            if expected.keys() != found.keys():
                missing = sorted(expected.keys() ^ found.keys())
                return Case(name, "differs", tolerance=0.0, detail=f"tensors on one side alone: {missing}"[:300])
            for path, values in expected.items():
                if not torch.equal(values, found[path]):
                    return Case(name, "differs", tolerance=0.0, detail=f"step {step}: {path}")
    except Exception as error:
        return Case(name, "failed", detail=told(error))
    return Case(name, "same", 0.0, 0.0)


def made(name: str, graph: Graph, device: torch.device, step: int, *, again: bool = False) -> MiniBatch:
    """A batch of twelve targets; ``again`` by torch operators, where there is nothing but the CPU to compare."""
    assert isinstance(graph.x, Tensor)
    here = Graph(graph.block.to(device), graph.x.to(device))
    maker, options = PROPAGATIONS.get(name), pair_options("uniform", name)
    if again and device.type == "cpu" and "backend" in options_of(maker):
        options["backend"] = "torch"
    propagation = maker(here, num_layers=2, **options)
    ids, chance = torch.arange(step, 60, 5, device=device), torch.full((12,), 0.2, device=device).double()
    return propagation.batch(Draw(ids, chance, Key(0, 0, step)))


def numbers(batch: MiniBatch) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a batch, on the CPU, features as rows, without what is between sampler and loop."""
    plain = replace(batch, x=dense_features(batch.x), plan=Plan())
    return ((path, tensor.cpu()) for path, tensor in tensors_of(plain))
