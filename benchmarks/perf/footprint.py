"""What a process holds while it trains, part by part."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import fmean, median

import numpy as np
import psutil
import torch
from torch import Tensor

from gssl.benchmarks.perf.graphs import load_rmat
from gssl.benchmarks.perf.measure import return_freed_pages
from gssl.datasets.generators import rmat
from gssl.graph.batch import MiniBatch
from gssl.graph.history import History
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.methods.bgrl import BGRL
from gssl.models.gcn import GCN
from gssl.samplers.base import Sampler
from gssl.samplers.named import mvs
from gssl.samplers.pair import PairSampler
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain
from gssl.training.memory import PeakMemory

_MIB = 2**20
_ROWS = 65_536
_WARM = 10  # steps


@dataclass(frozen=True)
class Case:
    """One training.

    Attributes:
        folder: where the graph's offsets and columns are.
        features: of a node.
        hidden: width of both layers of the encoder.
        batch_size: targets of a batch.
        repeats: measured steps.
        options: of MVS.
    """

    folder: str
    features: int
    hidden: int
    batch_size: int
    repeats: int
    options: Mapping[str, object]


@dataclass(frozen=True)
class Footprint:
    """What it took. Memory in bytes, times in seconds.

    Attributes:
        nodes, edges: of the graph.
        graph: offsets, columns and degrees.
        features: of all nodes.
        history: rows and the step of each.
        tables: what the sampler keeps of every node, its gradient norm, and the norms that are to be taken in.
        resident: resident memory after training, with the libraries.
        rest: peak of the resident memory in training, without libraries, graph, features and history. It includes
            the tables.
        libraries: resident memory after a tiny training, before the graph was loaded.
        steps: seconds of each measured step, without checkpoints.
        building: the part of each step in which its batch was made.
        checkpoints: seconds of each checkpoint, with all its pieces.
        nodes_per_batch: mean number.
        edges_per_batch: mean number.
        largest: nodes of the largest batch or piece of a checkpoint, which is that of the largest hub among them.
    """

    nodes: int
    edges: int
    graph: int
    features: int
    history: int
    tables: int
    resident: int
    rest: int
    libraries: int
    steps: tuple[float, ...]
    building: tuple[float, ...]
    checkpoints: tuple[float, ...]
    nodes_per_batch: float
    edges_per_batch: float
    largest: int

    @property
    def training(self) -> tuple[float, ...]:
        """Steps without the making of their batches."""
        return tuple(step - built for step, built in zip(self.steps, self.building, strict=True))

    def figures(self) -> dict[str, float | str]:
        """For the result file; MiB and milliseconds."""
        sizes = ("graph", "features", "history", "tables", "resident", "libraries", "rest")
        figures: dict[str, float | str] = {f"{name}_mb": getattr(self, name) / _MIB for name in sizes}
        figures["step_milliseconds"] = 1e3 * median(self.steps)
        figures["batch_milliseconds"] = 1e3 * median(self.building)
        figures["training_milliseconds"] = 1e3 * median(self.training)
        figures["nodes_per_batch"], figures["edges_per_batch"] = self.nodes_per_batch, self.edges_per_batch
        figures["largest_batch_nodes"] = self.largest
        if self.checkpoints:
            figures["checkpoint_milliseconds"] = 1e3 * median(self.checkpoints)
        return figures


class Stopwatch(Sampler):
    """A sampler that times what it makes and what is done with it.

    Attributes:
        steps: seconds of each batch that the optimizer steps after, from asking for it to asking for the next.
        building: the part of each in which it was made.
        checkpoints: seconds of each run of other batches.
        nodes, edges: of each batch that the optimizer steps after.
        largest: nodes of the largest batch of all.
    """

    def __init__(self, sampler: PairSampler) -> None:
        self.sampler = sampler
        self.steps: list[float] = []
        self.building: list[float] = []
        self.checkpoints: list[float] = []
        self.nodes: list[int] = []
        self.edges: list[int] = []
        self.largest = 0

    @property
    def batches_per_epoch(self) -> int:
        return self.sampler.batches_per_epoch

    def epoch(self, epoch: int) -> Iterator[MiniBatch]:
        batches = self.sampler.epoch(epoch)
        checkpoint = 0.0
        while True:
            start = time.perf_counter()
            batch = next(batches, None)
            made = time.perf_counter()
            if batch is None:
                return
            self.largest = max(self.largest, batch.num_nodes)
            yield batch
            end = time.perf_counter()
            if not batch.plan.step:
                checkpoint += end - start
                continue
            if checkpoint:
                self.checkpoints.append(checkpoint)
                checkpoint = 0.0
            self.steps.append(end - start)
            self.building.append(made - start)
            self.nodes.append(batch.num_nodes)
            self.edges.append(batch.blocks[0].num_edges)

    def observe(self, batch: MiniBatch, gradient_norms: Tensor) -> None:
        self.sampler.observe(batch, gradient_norms)


def train(case: Case, threads: int) -> Footprint:
    """Train for some steps and see what the process holds. Call it in a fresh process."""
    torch.set_num_threads(threads)
    tiny = rmat(nodes=2048, degree=8, features=case.features).graph
    for options in ({"gamma": 1.0, "checkpoint_every": 2, "checkpoint_batch": 512}, {"norms": "online"}):
        MvsTraining(tiny, replace(case, batch_size=256, options=options), warm=1, steps=2).run()
    libraries = _resident()
    graph = load_rmat(case.folder, case.features)
    training = MvsTraining(graph, case, warm=_WARM, steps=case.repeats)
    training.run()
    watch, store, pattern = training.watch, training.store, graph.block.pattern
    held = {
        "graph": _bytes(pattern.rowptr, pattern.col, graph.block.degree),
        "features": _bytes(dense_features(graph.x)),
        "history": store.nbytes + 4 * graph.num_nodes * len(store.places),
    }
    return Footprint(
        nodes=graph.num_nodes,
        edges=graph.num_edges,
        **held,
        tables=_bytes(*tensors_of(watch.sampler, besides=(graph, store))),
        resident=_resident(),
        rest=training.peak - libraries - sum(held.values()),
        libraries=libraries,
        steps=tuple(watch.steps[_WARM:]),
        building=tuple(watch.building[_WARM:]),
        checkpoints=tuple(watch.checkpoints[1:] or watch.checkpoints),
        nodes_per_batch=fmean(watch.nodes),
        edges_per_batch=fmean(watch.edges),
        largest=watch.largest,
    )


class MvsTraining:
    """BGRL by MVS for a number of steps.

    Attributes:
        watch: the sampler, timed.
        store: the history.
        peak: of the resident memory after ``warm`` steps, with every row of the history there, in bytes.
    """

    def __init__(self, graph: Graph, case: Case, *, warm: int, steps: int) -> None:
        torch.manual_seed(0)
        encoder = GCN(graph.in_dim, hidden_dim=case.hidden)
        self.method = BGRL(encoder)
        sampler = mvs(
            graph, num_layers=2, batch_size=case.batch_size, seed=0, history_precision="bfloat16", **case.options
        )
        self.watch = Stopwatch(sampler)
        assert isinstance(sampler.store, History)
        self.store = sampler.store
        self.peak = 0
        self._warm, self._total = warm, warm + steps
        self._done = 0
        self._memory: PeakMemory | None = None

    def run(self) -> None:
        """Train; the loop is that of every other training."""
        pretrain(self.method, self.watch, TrainConfig(epochs=self._total + 1), seed=0, watch=self._enough)

    def _enough(self, loss: float) -> bool:
        if self._done == self._warm:
            self._touch_history()
            _resident()
            self._memory = PeakMemory(torch.device("cpu"))
        if self._done == self._total and self._memory is not None:
            self.peak = int(self._memory.mib() * _MIB)
        self._done += 1
        return self._done > self._total

    def _touch_history(self) -> None:
        """Write every row back, since memory that was never written is not resident."""
        for place in self.store.places:
            width = self.method.encoder.out_dim
            for ids in torch.arange(self.store.num_nodes).split(_ROWS):
                self.store.push(place, ids, self.store.pull(place, ids, torch.empty(1, width)))


def tensors_of(root: object, *, besides: tuple[object, ...]) -> list[Tensor]:
    """Every tensor and array that an object of the samplers holds, each once.

    Args:
        root: where to begin.
        besides: objects that are not gone into.
    """
    found: dict[int, Tensor] = {}
    seen = {id(other) for other in besides}
    left = [root]
    while left:
        value = left.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(value)
        if isinstance(value, Tensor):
            found.setdefault(value.data_ptr(), value)
        elif isinstance(value, list | tuple):
            left += value
        elif isinstance(value, dict):
            left += value.values()
        elif type(value).__module__.startswith("gssl.samplers") or isinstance(value, threading.local):
            left.append(vars(value))
    kept = [tensor.data_ptr() for graph in besides if isinstance(graph, Graph) for tensor in graph_tensors(graph)]
    return [tensor for place, tensor in found.items() if place not in kept]


def graph_tensors(graph: Graph) -> list[Tensor]:
    """Its offsets, columns, degrees and features."""
    pattern = graph.block.pattern
    return [pattern.rowptr, pattern.col, graph.block.degree, dense_features(graph.x)]


def _bytes(*tensors: Tensor) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _resident() -> int:
    """Resident memory once what was freed is given back, in bytes."""
    gc.collect()
    return_freed_pages()
    return int(psutil.Process().memory_info().rss)
