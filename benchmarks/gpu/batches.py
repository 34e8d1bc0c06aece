"""Batches from a graph that lies on the device, against those of the CPU for the same key: bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from gssl.benchmarks.gpu.report import Case, Report
from gssl.benchmarks.gpu.setup import Setup
from gssl.benchmarks.gpu.toys import ON_THE_HOST, pair_options, wide_pair
from gssl.benchmarks.gpu.trace import told
from gssl.common.options import options_of
from gssl.graph.batch import MiniBatch
from gssl.graph.gpu import support
from gssl.graph.gpu.aggregate import unfused
from gssl.graph.plan import Plan
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.registry import PROPAGATIONS
from gssl.samplers.pair import PairSampler
from gssl.samplers.propagation.base import Propagation
from gssl.samplers.propagation.expansion import chosen
from gssl.samplers.rng import Key
from gssl.samplers.selection.base import Draw
from gssl.testing.compare import tensors_of
from gssl.testing.toy import toy_graph

_STEPS = 3
_EPOCHS = 2
_BUSY = 4096
"""Rows of the square matrices whose product keeps a device busy, for longer than it takes to gather a batch."""


def run(setup: Setup, report: Report) -> None:
    """Some draws of every propagation, of targets that are given, by what suits the device and by torch operators."""
    report.add(kernels(setup.place))
    for name, backend in setup.some(cases()):
        report.add(same_batches(name, setup.place, backend))
    for way in setup.some(ON_THE_HOST):
        report.add(delivered(f"features from the host, {way}", setup.place, ON_THE_HOST[way]))


def cases() -> Iterator[tuple[str, str | None]]:
    """Every propagation, with the engine that works for it on the device; None where there is no choice."""
    for name in PROPAGATIONS.names():
        choice = "backend" in options_of(PROPAGATIONS.get(name))
        yield from ((name, backend) for backend in (("auto", "torch") if choice else (None,)))


def with_triton(device: torch.device) -> bool:
    """Whether a device is one whose batches Triton should make, as it is installed."""
    return device.type == "cuda" and find_spec("triton") is not None and not support.INTERPRETED


def kernels(device: torch.device) -> Case:
    """Whether every kernel of Triton compiles and has the right numbers on the device."""
    name = "kernels of Triton"
    if device.type != "cuda" or support.INTERPRETED:
        return Case(name, "skipped", detail="they are for a CUDA device")
    obstacle = unfused(device) or next(iter(chosen("auto", device)[1]), None)
    if obstacle is None:
        return Case(name, "same", 0.0, 0.0)
    return Case(name, "failed" if with_triton(device) else "skipped", detail=obstacle)


def same_batches(propagation: str, device: torch.device, backend: str | None) -> Case:
    """Whether every tensor of some batches of a propagation has the same numbers on the device.

    Features may be gathered in different ways, so their rows are compared. What made the batches is told, and where
    Triton is installed for the device it must be that, unless another engine was asked for.
    """
    name = propagation if backend is None else f"{propagation}, backend={backend}"
    graph = toy_graph(num_nodes=60, in_dim=8, attributes=True)
    try:
        here, there = built(propagation, graph, None), built(propagation, graph.to(device), backend)
        kind = engine_of(there)
        for step in range(_STEPS):
            expected, found = dict(numbers(made(here, step))), dict(numbers(made(there, step)))
            if expected.keys() != found.keys():
                missing = sorted(expected.keys() ^ found.keys())
                return Case(name, "differs", tolerance=0.0, detail=f"tensors on one side alone: {missing}"[:300])
            for path, values in expected.items():
                if not torch.equal(values, found[path]):
                    return Case(name, "differs", tolerance=0.0, detail=f"step {step}: {path}, {made_by(kind)}")
    except Exception as error:
        return Case(name, "failed", detail=told(error))
    if with_triton(device) and backend == "auto" and kind != "triton":
        notes = "; ".join(there.notes)
        return Case(name, "failed", detail=f"{made_by(kind)}, though Triton is installed: {notes}"[:400])
    return Case(name, "same", 0.0, 0.0, made_by(kind))


def built(name: str, graph: Graph, backend: str | None) -> Propagation:
    """A propagation on a graph, wherever that is; None for the backend that it takes by itself."""
    options = pair_options("uniform", name) | ({} if backend is None else {"backend": backend})
    way: Propagation = PROPAGATIONS.get(name)(graph, num_layers=2, **options)
    return way


def made(way: Propagation, step: int) -> MiniBatch:
    """A batch of twelve targets."""
    device = way.graph.device
    ids, chance = torch.arange(step, 60, 5, device=device), torch.full((12,), 0.2, device=device).double()
    return way.batch(Draw(ids, chance, Key(0, 0, step)))


def engine_of(way: Propagation) -> str:
    """What makes the batches of a propagation: ``numba``, ``torch`` or ``triton``; empty where it has no engine."""
    return str(getattr(getattr(way, "engine", None), "kind", ""))


def made_by(kind: str) -> str:
    """How a case says it."""
    return {
        "numba": "made by numba kernels",
        "torch": "made by torch operators",
        "triton": "made by Triton kernels",
    }.get(kind, "")


def delivered(name: str, device: torch.device, options: Mapping[str, Any]) -> Case:
    """Whether the features of all batches arrive as they are, bit by bit, while the device and the lane to it are busy.

    A buffer that is filled again before its copy has left, memory that is given away before it was read, or a read
    before the copy is there would be seen in their rows.
    """
    samplers: list[PairSampler] = []
    for _ in range(2):
        _, made_anew = wide_pair("neighbor", pair_options("uniform", "neighbor") | dict(options))
        assert isinstance(made_anew, PairSampler)
        samplers.append(made_anew)
    here, there = samplers
    try:
        there.place(device)
        matrix = torch.ones(_BUSY, _BUSY, device=device) if device.type == "cuda" else torch.ones(1, 1, device=device)
        arrived: list[Tensor] = []
        for epoch in range(_EPOCHS):
            for batch in there.epoch(epoch):
                with there.lane.beside() if there.lane is not None else nullcontext():
                    _ = matrix @ matrix  # what is sent next waits for it
                _ = matrix @ matrix
                arrived.append(dense_features(batch.x).clone())
        expected = [dense_features(batch.x) for epoch in range(_EPOCHS) for batch in here.epoch(epoch)]
        pairs = list(zip(expected, arrived, strict=True))
        wrong = [str(number) for number, (ours, theirs) in enumerate(pairs) if not torch.equal(ours, theirs.cpu())]
    except Exception as error:
        return Case(name, "failed", detail=told(error))
    if wrong:
        return Case(name, "differs", tolerance=0.0, detail=f"batches {', '.join(wrong)} of {len(arrived)}"[:300])
    return Case(name, "same", 0.0, 0.0, f"{len(arrived)} batches")


def numbers(batch: MiniBatch) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a batch, on the CPU, features as rows, without what is between sampler and loop."""
    plain = replace(batch, x=dense_features(batch.x), plan=Plan())
    return ((path, tensor.cpu()) for path, tensor in tensors_of(plain))
