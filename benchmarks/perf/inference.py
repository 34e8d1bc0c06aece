"""Embedding nodes: a perceptron that has learned to embed as a graph network does (SimMLP), against the network."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
from torch import Tensor

from gssl.benchmarks.perf.graphs import load_rmat, store_rmat
from gssl.benchmarks.perf.machine import describe, thread_count
from gssl.benchmarks.perf.measure import Side, in_fresh_process, measure, take_turns
from gssl.benchmarks.perf.result import PerfResult, compare
from gssl.common.options import Positive, PositiveInt
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.methods.simmlp import SimMLP
from gssl.models.gcn import GCN
from gssl.models.mlp import MLPEncoder
from gssl.samplers.propagation.exact import Exact
from gssl.samplers.selection.base import Draw
from gssl.samplers.selection.uniform import Uniform

PEER = "GCN with exact neighborhoods"
Embed = Callable[[MiniBatch], Tensor]
Answer = Callable[[], list[Tensor]]


@dataclass(frozen=True)
class Size:
    """What is embedded.

    Attributes:
        folder: where the graph is.
        features: of each node.
        hidden: width of both layers of each side.
        batch_size: nodes that are asked for at once.
        batches: such requests of a step.
    """

    folder: str
    features: int
    hidden: int
    batch_size: int
    batches: int

    def graph(self) -> Graph:
        return load_rmat(self.folder, self.features)

    def requests(self, graph: Graph) -> list[Draw]:
        """The nodes of each request, the same for both sides."""
        draws = Uniform(graph, batch_size=self.batch_size).epoch(0)
        return [draw for _, draw in zip(range(self.batches), draws, strict=False)]

    def perceptron(self) -> Embed:
        torch.manual_seed(0)
        encoder = MLPEncoder(self.features, hidden_dim=self.hidden, norm="batch", final_activation=False)
        return SimMLP(encoder, predictor_dim=8).eval().embed

    def network(self) -> Embed:
        torch.manual_seed(0)
        return GCN(self.features, hidden_dim=self.hidden, norm="batch", final_activation=False).eval()


def run(
    *,
    nodes: PositiveInt = 100_000,
    degree: Positive = 20.0,
    features: PositiveInt = 128,
    hidden: PositiveInt = 256,
    batch_size: PositiveInt = 512,
    batches: PositiveInt = 4,
    repeats: PositiveInt = 5,
    threads: PositiveInt | None = None,
) -> PerfResult:
    """Embeddings of nodes that are asked for in batches, by SimMLP's perceptron and by a GCN of the same width.

    The perceptron reads the features of the nodes that are asked for. The network reads those of their neighborhoods of
    two hops, which it must find first; nothing is drawn, so that both give what they give for the whole graph. Among
    the figures is the same for all nodes of the graph at once, where no neighborhood must be found.

    Args:
        nodes: of an R-MAT graph.
        degree: mean number of neighbors.
        features: of each node.
        hidden: width of both layers of each side.
        batch_size: nodes that are asked for at once.
        batches: such requests of a step.
        repeats: measured steps of each side.
        threads: of both sides; PyTorch's default if None.
    """
    threads = thread_count(threads)
    with tempfile.TemporaryDirectory(prefix="gssl-perf-") as folder:
        edges = in_fresh_process(store_rmat, folder, nodes, degree)
        size = Size(folder, features, hidden, batch_size, batches)
        sides = [Side("gssl", partial(of_perceptron, size)), Side(PEER, partial(of_network, size))]
        costs, figures = measure(sides, partial(agreement, size), repeats=repeats, threads=threads)
        whole = [Side(side.name, partial(of_whole_graph, size, n)) for n, side in enumerate(sides)]
        times, _ = in_fresh_process(take_turns, whole, dict, repeats, threads)
    mine, theirs = (1e3 * median(seconds) for seconds in times)
    figures |= {"whole_graph_milliseconds": mine, "whole_graph_peer_milliseconds": theirs}
    figures |= {"whole_graph_ratio": theirs / mine, "milliseconds_per_request": 1e3 * costs[0].median / batches}
    return compare(
        "inference",
        costs[0],
        costs[1:],
        absent={},
        figures=figures,
        config={
            "nodes": nodes,
            "edges": edges,
            "features": features,
            "hidden": hidden,
            "batch_size": batch_size,
            "batches": batches,
            "repeats": repeats,
            "threads": threads,
        },
        environment=describe(threads),
    )


def of_perceptron(size: Size) -> Answer:
    """The requests, by features alone."""
    graph, embed = size.graph(), size.perceptron()
    draws = size.requests(graph)
    return partial(answered, [partial(alone, graph, draw) for draw in draws], embed)


def of_network(size: Size) -> Answer:
    """The requests, with the neighborhoods that the network needs."""
    graph, embed = size.graph(), size.network()
    propagation = Exact(graph, num_layers=2)
    return partial(answered, [partial(propagation.batch, draw) for draw in size.requests(graph)], embed)


def of_whole_graph(size: Size, side: int) -> Answer:
    """All nodes at once, by the perceptron (0) or by the network (1)."""
    embed = size.network() if side else size.perceptron()
    return partial(answered, [size.graph().full_batch], embed)


@torch.no_grad()
def answered(requests: list[Callable[[], MiniBatch]], embed: Embed) -> list[Tensor]:
    """The embeddings that were asked for; making the batch is part of it."""
    return [embed(make()) for make in requests]


def alone(graph: Graph, draw: Draw) -> MiniBatch:
    """Some nodes without any edge."""
    assert isinstance(graph.x, Tensor)
    return Graph.from_edge_index(torch.zeros(2, 0, dtype=torch.int64), graph.x[draw.ids]).full_batch()


def agreement(size: Size) -> dict[str, float]:
    """Largest difference, for each side, between the rows that were asked for and those of the whole graph."""
    graph = size.graph()
    ids = torch.cat([draw.ids for draw in size.requests(graph)])
    found = {}
    for side, (name, make) in enumerate({"perceptron": of_perceptron, "network": of_network}.items()):
        rows = torch.cat(make(size)())
        (whole,) = of_whole_graph(size, side)()
        found[f"{name}_difference"] = float((rows - whole[ids]).abs().max())
    return found
