"""The batches of MVS, with its checkpoints and probabilities, against uniform targets with history."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from statistics import median

import torch
from torch import Tensor

from gssl.benchmarks.perf.graphs import REAL, load_graph, real_graph_is_there, store_rmat
from gssl.benchmarks.perf.machine import describe
from gssl.benchmarks.perf.measure import Side, Step, in_fresh_process, measure, take_turns
from gssl.benchmarks.perf.result import PerfResult, compare
from gssl.common.errors import InputError
from gssl.common.options import Fraction, Positive, PositiveInt
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.samplers.named import mvs
from gssl.samplers.pair import PairSampler, make_pair
from gssl.samplers.probability import inclusion_probability
from gssl.samplers.propagation.history import HistoryPropagation
from gssl.samplers.selection.uniform import Uniform

PEER = "uniform + history"
_ROUNDS = 9


@dataclass(frozen=True)
class Size:
    """What batches are made of.

    Attributes:
        folder: of an R-MAT graph; None for the real one.
        features: of a node of the R-MAT graph.
        batch_size: expected targets of a batch.
        batches: batches of a step, and between two checkpoints.
        gamma: share of the nodes in V_S.
    """

    folder: str | None
    features: int
    batch_size: int
    batches: int
    gamma: float

    def graph(self) -> Graph:
        return load_graph(self.folder, self.features)

    def sampler(self, kind: str, graph: Graph) -> PairSampler:
        """``uniform``, ``mvs``, ``fixed`` (norms of V_S stay those of the checkpoint) or ``online``."""
        given = {"num_layers": 2, "batch_size": self.batch_size, "prefetch": 0}
        if kind == "uniform":
            return make_pair(Uniform, HistoryPropagation)(graph, **given)
        if kind == "online":
            return mvs(graph, **given, norms="online", renew_every=self.batches)
        return mvs(graph, **given, gamma=self.gamma, checkpoint_every=self.batches, refresh=kind == "mvs")


def run(
    *,
    nodes: PositiveInt = 1_000_000,
    degree: Positive = 20.0,
    features: PositiveInt = 128,
    batch_size: PositiveInt = 1024,
    batches: PositiveInt = 20,
    gamma: Fraction = 0.1,
    rmat_gamma: Fraction = 0.01,
    norms: PositiveInt = 1_000_000,
    repeats: PositiveInt = 25,
    threads: PositiveInt = 1,
) -> PerfResult:
    """Making the batches of MVS against uniform targets with the same propagation.

    A step makes ``batches`` batches, for MVS after the checkpoint that they are drawn from (its exact batch, and the
    probabilities, which are renewed after every batch). Features are read once and not copied, since on the CPU layers
    sum them where they lie. What trains on the batches is not measured, its gradient norms are log-normal numbers. No
    thread makes batches ahead, which would give the peer those made between the steps. The graph is
    ogbn-wordnet where it is there, and an R-MAT graph whose figures stand apart (the first in its place else).
    ``inner`` is a batch without checkpoint, ``online`` the variant without any.

    Args:
        nodes: of the R-MAT graph.
        degree: its mean number of neighbors.
        features: of its nodes.
        batch_size: expected targets of a batch.
        batches: between two checkpoints, K.
        gamma: size of V_S on the real graph, as a share of its nodes.
        rmat_gamma: the same on the R-MAT graph.
        norms: how many the probability step is timed with.
        repeats: measured steps of each side; the first ones touch memory that the machine has not handed out yet, and
            are several times as slow.
        threads: of both sides.

    Raises:
        InputError: V_S of the R-MAT graph would be smaller than a batch.
    """
    if int(rmat_gamma * nodes) < batch_size:
        raise InputError(
            f"rmat_gamma={rmat_gamma:g} of {nodes} nodes is fewer than a batch of {batch_size}: raise it, or lower "
            "batch_size"
        )
    figures = in_fresh_process(probability_milliseconds, norms, threads)
    with tempfile.TemporaryDirectory(prefix="gssl-perf-") as folder:
        edges = in_fresh_process(store_rmat, folder, nodes, degree)
        random = Size(folder, features, batch_size, batches, rmat_gamma)
        real = replace(random, folder=None, gamma=gamma) if real_graph_is_there() else None
        costs, parts = measure(
            sides_of(real or random), partial(apart, real or random), repeats=repeats, threads=threads
        )
        figures |= described(parts, [cost.seconds for cost in costs], batches)
        if real is not None:
            sides = sides_of(random)
            times, parts = in_fresh_process(take_turns, sides, partial(apart, random), repeats, threads)
            figures |= {f"rmat_{key}": value for key, value in described(parts, times, batches).items()}
    return compare(
        "mvs",
        costs[0],
        costs[1:2],
        absent={},
        figures=figures,
        config={
            "graph": "rmat" if real is None else REAL,
            "nodes": nodes,
            "edges": edges,
            "features": features,
            "batch_size": batch_size,
            "batches": batches,
            "gamma": gamma,
            "rmat_gamma": rmat_gamma,
            "norms": norms,
            "repeats": repeats,
            "threads": threads,
        },
        environment=describe(threads),
    )


def sides_of(size: Size) -> list[Side]:
    """MVS, the peer, and the variant that learns norms on line."""
    names = {"mvs": "gssl", "uniform": PEER, "online": "norms learnt on line"}
    return [Side(name, partial(interval, size, kind)) for kind, name in names.items()]


def described(parts: dict[str, float], times: list[tuple[float, ...]], batches: int) -> dict[str, float]:
    """The figures of the parts with those that follow from the times of each side."""
    ours, peer, online = (1e3 * median(seconds) / batches for seconds in times)
    return parts | {
        "milliseconds_per_batch": ours,
        "peer_milliseconds_per_batch": peer,
        "online_milliseconds_per_batch": online,
        "cost": ours / peer,
        "inner_cost": parts["inner_milliseconds"] / parts["uniform_milliseconds"],
        "fixed_cost": parts["fixed_milliseconds"] / parts["uniform_milliseconds"],
        "online_cost": online / peer,
        "checkpoint_amortised_milliseconds": parts["checkpoint_milliseconds"] / batches,
    }


def interval(size: Size, kind: str) -> Step:
    """What makes the next batches of a sampler, up to its next checkpoint."""
    stream = Stream(size.sampler(kind, size.graph()))
    return lambda: stream.take(size.batches, lambda batch, seconds: None)


class Stream:
    """The batches of a sampler, epoch after epoch, whose targets show log-normal gradient norms."""

    def __init__(self, sampler: PairSampler) -> None:
        self.sampler = sampler
        self.batches: Iterator[MiniBatch] = (batch for epoch in count() for batch in sampler.epoch(epoch))
        self.norms = heavy_tailed(sampler.propagation.graph.num_nodes)

    def take(self, number: int, tell: Callable[[MiniBatch, float], None]) -> None:
        """Make so many batches that the optimizer steps after, and tell what each took with its observation."""
        while number:
            start = time.perf_counter()
            batch = next(self.batches)
            if batch.plan.measure:
                self.sampler.observe(batch, self.norms.index_select(0, batch.node_ids[: batch.num_targets]))
            tell(batch, time.perf_counter() - start)
            number -= batch.plan.step


def apart(size: Size) -> dict[str, float]:
    """Median milliseconds of a batch and of a checkpoint of each kind, and their sizes."""
    graph, figures = size.graph(), dict[str, float]()
    for kind in ("uniform", "mvs", "fixed", "online"):
        stream = Stream(size.sampler(kind, graph))
        steps: list[float] = []
        checkpoints: list[float] = []
        nodes: list[int] = []

        def tell(batch: MiniBatch, seconds: float, own: tuple[list[float], list[float], list[int]]) -> None:
            took, checkpoint, widths = own
            (took if batch.plan.step else checkpoint).append(seconds)
            if batch.plan.step:
                widths.append(batch.num_nodes)

        stream.take(size.batches, lambda batch, seconds: None)
        stream.take(2 * size.batches, partial(tell, own=(steps, checkpoints, nodes)))
        figures["inner_milliseconds" if kind == "mvs" else f"{kind}_milliseconds"] = 1e3 * median(steps)
        figures[f"{kind}_nodes_per_batch"] = sum(nodes) / len(nodes)
        if kind == "mvs":
            figures["checkpoint_milliseconds"] = 1e3 * median(checkpoints)
    return figures


def heavy_tailed(number: int) -> Tensor:
    """Log-normal norms whose logarithm has a standard deviation of 2, shape (number,), float32."""
    return torch.empty(number).log_normal_(0.0, 2.0, generator=torch.Generator().manual_seed(0))


def probability_milliseconds(number: int, threads: int) -> dict[str, float]:
    """The least of some rounds of the probability step, for norms that all differ and for norms that mostly tie."""
    torch.set_num_threads(threads)
    norms, figures = heavy_tailed(number), dict[str, float]()
    for name, values in (("probability", norms), ("probability_with_ties", norms.round())):
        rounds: list[float] = []
        for _ in range(_ROUNDS):
            start = time.perf_counter()
            inclusion_probability(values, min(1024, number), mix=0.1)
            rounds.append(time.perf_counter() - start)
        figures[f"{name}_milliseconds"] = 1e3 * min(rounds)
        figures[f"{name}_median_milliseconds"] = 1e3 * median(rounds)
    return figures
