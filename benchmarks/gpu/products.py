"""A graph of ogbn-products' size, drawn where it is needed, since nothing can be downloaded to most GPUs."""

from __future__ import annotations

import torch
from torch import Tensor

from gssl.benchmarks.gpu.setup import Sizes
from gssl.graph.block import Block
from gssl.graph.sparse import Pattern, index_dtype
from gssl.graph.storage import Graph

# Of the logarithm of the degrees of ogbn-products; its largest degree.
_MEAN, _DEVIATION, _LARGEST = 3.26, 1.15, 17_481


def products_pattern(sizes: Sizes, device: torch.device) -> Pattern:
    """In-edges of a random graph with log-normal degrees, every node a source as often as its degree says (the
    configuration model, directed, with whatever repeats and loops come up), int32.

    The numbers depend on the kind of device that draws them; the graph is to be drawn once and copied.
    """
    rng = torch.Generator(device).manual_seed(0)
    logarithm = torch.randn(sizes.nodes, device=device, generator=rng) * _DEVIATION + _MEAN
    degree = logarithm.exp().clamp(1, min(_LARGEST, sizes.nodes - 1)).double()
    degree = (degree * (sizes.edges / degree.sum())).round().clamp(min=1).long()
    stubs = torch.arange(sizes.nodes, device=device, dtype=torch.int32).repeat_interleave(degree)
    col = stubs[torch.randint(len(stubs), (len(stubs),), device=device, generator=rng)]
    rowptr = torch.zeros(sizes.nodes + 1, dtype=index_dtype(len(stubs)), device=device)
    rowptr[1:] = degree.cumsum(0)
    return Pattern(rowptr, col.to(rowptr.dtype), sizes.nodes)


def products_graph(sizes: Sizes, device: torch.device) -> Graph:
    """The graph on the CPU with standard normal features, drawn on the device."""
    pattern = products_pattern(sizes, device).to(torch.device("cpu"))
    return Graph(Block(pattern), random_features(sizes))


def random_features(sizes: Sizes) -> Tensor:
    """Shape (nodes, features), float32, on the CPU."""
    return torch.randn(sizes.nodes, sizes.features, generator=torch.Generator().manual_seed(1))


def targets(sizes: Sizes, batches: int) -> list[Tensor]:
    """The targets of some batches, shape (batch,), int64, on the CPU."""
    rng = torch.Generator().manual_seed(2)
    return [torch.randperm(sizes.nodes, generator=rng)[: sizes.batch] for _ in range(batches)]
