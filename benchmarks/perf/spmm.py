"""Message passing: a two-layer GCN, forward and backward, against PyG on ``edge_index``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

import torch
from torch import Tensor
from torch_geometric.nn import models as pyg_models

from gssl.benchmarks.perf.machine import describe, thread_count
from gssl.benchmarks.perf.measure import Side, Step, measure
from gssl.benchmarks.perf.result import PerfResult, compare
from gssl.common.options import PositiveInt
from gssl.graph.storage import Graph
from gssl.models.gcn import GCN


@dataclass(frozen=True)
class Size:
    """A uniform random directed graph and a GCN of constant width."""

    nodes: int
    edges: int
    dim: int


@dataclass(frozen=True)
class Model:
    """One side.

    Attributes:
        forward: computes the embeddings, shape (nodes, dim).
        parameters: weight and bias of each layer.
    """

    forward: Callable[[], Tensor]
    parameters: list[Tensor]


def run(
    *,
    nodes: PositiveInt = 100_000,
    edges: PositiveInt = 2_000_000,
    dim: PositiveInt = 128,
    repeats: PositiveInt = 5,
    threads: PositiveInt | None = None,
) -> PerfResult:
    """Forward and backward of a two-layer GCN on a large graph, against PyG on edge_index.

    Each side has prepared what depends on the graph alone: we the transpose, PyG the normalised edges.

    Args:
        nodes: of the graph.
        edges: directed edges, drawn uniformly.
        dim: width of features and layers.
        repeats: measured steps of each side.
        threads: of both sides; PyTorch's default if None.
    """
    size, threads = Size(nodes, edges, dim), thread_count(threads)
    sides = [Side("gssl", partial(step, ours, size)), Side("PyG GCN on edge_index", partial(step, pyg, size))]
    (mine, peer), figures = measure(sides, partial(agreement, size), repeats=repeats, threads=threads)
    return compare(
        "spmm",
        mine,
        [peer],
        absent={},
        figures=figures,
        config={**asdict(size), "repeats": repeats, "threads": threads},
        environment=describe(threads),
    )


def ours(edge_index: Tensor, x: Tensor) -> Model:
    """Our encoder on the graph's stored rows and columns."""
    batch = Graph.from_edge_index(edge_index, x).full_batch()
    _ = batch.block(0).pattern.transposed
    encoder = GCN(x.shape[1], hidden_dim=x.shape[1], num_layers=2, final_activation=False).to(x.device)
    return Model(lambda: encoder(batch), list(encoder.parameters()))


def pyg(edge_index: Tensor, x: Tensor) -> Model:
    """PyG's model of the same layers."""
    encoder = pyg_models.GCN(x.shape[1], x.shape[1], num_layers=2, cached=True).to(x.device)
    parameters = [p for conv in encoder.convs for p in (conv.lin.weight, conv.bias)]
    return Model(lambda: encoder(x, edge_index), parameters)


def step(make: Callable[[Tensor, Tensor], Model], size: Size) -> Step:
    """Forward and backward of one side with a fixed gradient of the embeddings."""
    model = make(*random_graph(size))
    gradient = torch.ones(size.nodes, size.dim)

    def forward_and_backward() -> None:
        torch.autograd.grad(model.forward(), model.parameters, gradient)

    return forward_and_backward


def agreement(size: Size) -> dict[str, float]:
    """What :func:`agreement_on` says, for a graph of this size."""
    return agreement_on(*random_graph(size))


def agreement_on(edge_index: Tensor, x: Tensor) -> dict[str, float]:
    """Relative difference, in norm, between both sides: of the embeddings, and the largest of any gradient."""
    mine, peer = ours(edge_index, x), pyg(edge_index, x)
    with torch.no_grad():
        for own, theirs in zip(mine.parameters, peer.parameters, strict=True):
            theirs.copy_(_turned(own))
    outputs = [model.forward() for model in (mine, peer)]
    gradient = torch.randn_like(outputs[0])
    grads = [torch.autograd.grad(out, m.parameters, gradient) for out, m in zip(outputs, (mine, peer), strict=True)]
    return {
        "output_difference": _difference(*(out.detach() for out in outputs)),
        "gradient_difference": max(_difference(a, _turned(b)) for a, b in zip(*grads, strict=True)),
    }


def random_graph(size: Size) -> tuple[Tensor, Tensor]:
    """Edges as PyG writes them and standard normal features, on the CPU."""
    rng = torch.Generator().manual_seed(0)
    source = torch.randint(size.nodes, (size.edges,), generator=rng)
    offset = torch.randint(1, size.nodes, (size.edges,), generator=rng)  # no self-loops: both sides add them
    return torch.stack([source, (source + offset) % size.nodes]), torch.randn(size.nodes, size.dim, generator=rng)


def _turned(parameter: Tensor) -> Tensor:
    """PyG stores weights as (out, in), we as (in, out); biases are the same."""
    return parameter.T if parameter.dim() == 2 else parameter


def _difference(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())
