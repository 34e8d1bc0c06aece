"""Neighbor sampling on a large graph: ids, edges and local numbers of a mini-batch, against PyG's NeighborLoader."""

from __future__ import annotations

import tempfile
import time
import warnings
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numba import njit
from torch import Tensor

from gssl.benchmarks.perf.graphs import load_pattern, store_rmat
from gssl.benchmarks.perf.machine import describe
from gssl.benchmarks.perf.measure import Side, Step, in_fresh_process, measure, take_turns
from gssl.benchmarks.perf.result import PerfResult, compare
from gssl.common.options import Positive, PositiveInt
from gssl.graph.sparse import Pattern
from gssl.samplers.propagation.expansion import Engine
from gssl.samplers.propagation.growing import Hop

PEER = "PyG NeighborLoader on torch-sparse"
_GATHERS = 4_000_000


@dataclass(frozen=True)
class Size:
    """What is sampled.

    Attributes:
        folder: where the graph's offsets and columns are.
        fanouts: in-edges of each node, those of the targets first.
        batch_size: targets of a batch.
        batches: batches of a step.
    """

    folder: str
    fanouts: tuple[int, ...]
    batch_size: int
    batches: int

    def pattern(self) -> Pattern:
        return load_pattern(self.folder)

    def targets(self, pattern: Pattern) -> list[Tensor]:
        """The targets of each batch, among the nodes with an in-edge, shape (batch_size,), int64."""
        rng = torch.Generator().manual_seed(1)
        alive = pattern.counts.nonzero().squeeze(1)
        return [alive[torch.randperm(len(alive), generator=rng)[: self.batch_size]] for _ in range(self.batches)]


def run(
    *,
    nodes: PositiveInt = 2_000_000,
    degree: Positive = 23.0,
    fanouts: tuple[int, ...] = (15, 10, 5),
    second_fanouts: tuple[int, ...] = (10, 10),
    batch_size: PositiveInt = 1024,
    batches: PositiveInt = 8,
    repeats: PositiveInt = 7,
    threads: PositiveInt = 1,
) -> PerfResult:
    """Neighbor sampling without replacement: node ids, edges and local numbers, against NeighborLoader's sampler.

    The graph is an R-MAT whose ids are shuffled, targets are drawn among the nodes with an in-edge, no features are
    gathered. Ours samples anew in every layer for all nodes above it, NeighborLoader for the nodes that are new, so
    ours yields more edges in a batch; the ratio is of seconds a batch, ``edge_ratio`` of seconds an edge.

    Args:
        nodes: of the graph.
        degree: mean number of neighbors.
        fanouts: in-edges of each node, those of the targets first.
        second_fanouts: the same for a second comparison, reported among the figures.
        batch_size: targets of a batch.
        batches: batches of a step.
        repeats: measured steps of each side.
        threads: of both sides.
    """
    installed = find_spec("torch_sparse") is not None
    absent = {} if installed else {PEER: "pip install --no-deps a wheel of torch-sparse (0.6.18) for this Python"}
    with tempfile.TemporaryDirectory(prefix="gssl-perf-") as folder:
        edges = in_fresh_process(store_rmat, folder, nodes, degree)
        size, second = (Size(folder, f, batch_size, batches) for f in (fanouts, second_fanouts))
        sides = [sides_of(size, installed), sides_of(second, installed)]
        costs, figures = measure(sides[0], partial(check, size, installed), repeats=repeats, threads=threads)
        times, others = in_fresh_process(take_turns, sides[1], partial(check, second, installed), repeats, threads)
    figures = described(figures, [c.seconds for c in costs], batches)
    others = described(others, times, batches)
    figures |= {f"second_{key}": value for key, value in others.items() if key != "random_gather_nanoseconds"}
    config = {"nodes": nodes, "edges": edges, **asdict(size), "repeats": repeats, "threads": threads}
    config |= {"fanouts": str(list(fanouts)), "second_fanouts": str(list(second_fanouts))}
    del config["folder"]
    return compare(
        "neighbor",
        costs[0],
        costs[1:],
        absent=absent,
        figures=figures,
        config=config,
        environment=describe(threads),
    )


def described(figures: dict[str, float], times: list[tuple[float, ...]], batches: int) -> dict[str, float]:
    """The figures of the check with those that follow from the times of each side."""
    medians = [float(np.median(seconds)) / batches for seconds in times]
    figures = dict(figures)
    figures["milliseconds_per_batch"] = medians[0] * 1e3
    figures["edges_per_second"] = figures["edges_per_batch"] / medians[0]
    figures["nanoseconds_per_edge"] = 1e9 / figures["edges_per_second"]
    figures["times_a_random_gather"] = figures["nanoseconds_per_edge"] / figures["random_gather_nanoseconds"]
    if len(medians) > 1:
        figures["peer_milliseconds_per_batch"] = medians[1] * 1e3
        figures["peer_edges_per_second"] = figures["peer_edges_per_batch"] / medians[1]
        figures["ratio"] = medians[1] / medians[0]
        figures["edge_ratio"] = figures["edges_per_second"] / figures["peer_edges_per_second"]
    return figures


def sides_of(size: Size, installed: bool) -> list[Side]:
    """Ours, and the peer where it is there."""
    sides = [Side("gssl", partial(ours, size))]
    return [*sides, Side(PEER, partial(peer, size))] if installed else sides


def sample(engine: Engine, targets: Tensor, fanouts: tuple[int, ...], stream: int) -> tuple[Tensor, list[Hop]]:
    """Node ids of one batch and the edges of each layer, with their local numbers and their place in the graph."""
    batch = engine.start(targets)
    hops = [batch.uniform(fanout, stream + layer) for layer, fanout in enumerate(fanouts)]
    return batch.nodes, hops


def ours(size: Size) -> Step:
    """Our engine, with numba kernels."""
    pattern = size.pattern()
    load_kernels(pattern)
    engine, targets = Engine(pattern, "numba"), size.targets(pattern)
    return lambda: [sample(engine, ids, size.fanouts, 100 * i) for i, ids in enumerate(targets)]


def load_kernels(pattern: Pattern) -> None:
    """Compile the kernels or read them from their cache, on two nodes, for the index types of a graph."""
    dtype = pattern.rowptr.dtype
    tiny = Pattern(torch.tensor([0, 2, 2], dtype=dtype), torch.tensor([1, 0], dtype=dtype), 2)
    engine = Engine(tiny, "numba")
    for hop in sample(engine, torch.tensor([0]), (1, 1), 0)[1]:
        engine.with_transpose(hop.pattern)


def peer(size: Size) -> Step:
    """What NeighborLoader calls for each batch, before it gathers features."""
    sampler, targets = _neighbor_loader(size)
    return lambda: [sampler(ids) for ids in targets]


def _neighbor_loader(size: Size):  # type: ignore[no-untyped-def]  # noqa: ANN202  PyG's types are those of the peer
    # PyG needs one operator of torch-sparse here. The package's own import also wants torch-scatter, which this
    # operator does not use, so only its library is loaded.
    spec = find_spec("torch_sparse")
    assert spec is not None
    assert spec.origin is not None
    torch.ops.load_library(str(Path(spec.origin).parent / "_neighbor_sample_cpu.so"))
    import torch_geometric.typing
    from torch_geometric.data import Data
    from torch_geometric.loader import NeighborLoader
    from torch_geometric.sampler import NodeSamplerInput

    torch_geometric.typing.WITH_TORCH_SPARSE = True
    pattern = size.pattern()
    data = Data(edge_index=torch.stack([pattern.col.long(), pattern.row.long()]), num_nodes=pattern.num_rows)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Using 'NeighborSampler' without a 'pyg-lib'")
        sampler = NeighborLoader(data, list(size.fanouts), is_sorted=True).node_sampler
    return lambda ids: sampler.sample_from_nodes(NodeSamplerInput(None, ids)), size.targets(pattern)


def check(size: Size, installed: bool) -> dict[str, float]:
    """Nodes and edges of a batch on each side, whether both take as many in the first hop, and what memory allows."""
    pattern = size.pattern()
    load_kernels(pattern)
    engine, targets = Engine(pattern, "numba"), size.targets(pattern)
    batches = [sample(engine, ids, size.fanouts, 100 * i) for i, ids in enumerate(targets)]
    first = sum(hops[0].pattern.nnz for _, hops in batches)
    figures = {
        "edges_per_batch": sum(hop.pattern.nnz for _, hops in batches for hop in hops) / len(batches),
        "nodes_per_batch": sum(len(nodes) for nodes, _ in batches) / len(batches),
        "random_gather_nanoseconds": random_gather_nanoseconds(pattern.col),
    }
    start = time.perf_counter()
    for _, hops in batches:
        for hop in hops:
            engine.with_transpose(hop.pattern)
    seconds = time.perf_counter() - start
    figures["transpose_nanoseconds_per_edge"] = seconds / len(batches) / figures["edges_per_batch"] * 1e9
    if installed:
        sampler, _ = _neighbor_loader(size)
        outputs = [sampler(ids) for ids in targets]
        figures["peer_edges_per_batch"] = sum(len(out.row) for out in outputs) / len(outputs)
        figures["peer_nodes_per_batch"] = sum(len(out.node) for out in outputs) / len(outputs)
        theirs = sum(int((out.col < size.batch_size).sum()) for out in outputs)
        figures["first_hop_difference"] = abs(first - theirs) / first
    return figures


def random_gather_nanoseconds(values: Tensor, rounds: int = 5) -> float:
    """Nanoseconds of one read at a random place, when many are under way at once: the least of some rounds."""
    places = torch.randint(len(values), (_GATHERS,), generator=torch.Generator().manual_seed(0))
    array, index = values.numpy(), places.to(torch.int32).numpy()
    _read(array, index[:1])
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        _read(array, index)
        best = min(best, time.perf_counter() - start)
    return best / _GATHERS * 1e9


@njit(nogil=True, cache=True)
def _read(values: np.ndarray, index: np.ndarray) -> int:
    total = 0
    for place in index:
        total += values[place]
    return total
