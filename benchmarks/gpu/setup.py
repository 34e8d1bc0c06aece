"""What a part of the check is given: a device, sizes, and time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TypeVar

import torch

T = TypeVar("T")

# ogbn-products (Hu et al., 2020, arXiv:2005.00687): every edge in both directions, and its training nodes.
_NODES, _EDGES, _TRAIN, _FEATURES, _CLASSES = 2_449_029, 123_718_280, 196_615, 100, 47


@dataclass(frozen=True)
class Sizes:
    """What is measured on; at ``scale`` 1 what the targets are meant for.

    Attributes:
        scale: share of the nodes and edges.
        nodes, edges, train: of the graph of ogbn-products' size.
        features, classes: of its nodes.
        batch: targets of a mini-batch.
        fanouts: of neighbor sampling, those of the targets first.
        hidden: width of GraphSAGE.
        gcn_nodes, gcn_edges, gcn_dim: of the graph that message passing is measured on.
        rows, dim: of both views together, and of the projections, for InfoNCE.
        copied, matrix: numbers whose copy, and rows of the square matrices whose product, measure the device.
    """

    scale: float
    nodes: int
    edges: int
    train: int
    batch: int
    gcn_nodes: int
    gcn_edges: int
    rows: int
    copied: int
    matrix: int
    features: int = _FEATURES
    classes: int = _CLASSES
    fanouts: tuple[int, ...] = (15, 10, 5)
    hidden: int = 256
    gcn_dim: int = 128
    dim: int = 128

    @classmethod
    def of(cls, scale: float) -> Sizes:
        """Numbers of nodes, edges and pairs of rows grow with the scale; smallest sizes keep everything non-trivial."""
        nodes = max(1000, round(_NODES * scale))
        train = max(100, round(_TRAIN * scale))
        return cls(
            scale=scale,
            nodes=nodes,
            edges=round(nodes * _EDGES / _NODES),
            train=train,
            batch=min(1024, max(50, train // 2)),
            gcn_nodes=max(500, round(1_000_000 * scale)),
            gcn_edges=20 * max(500, round(1_000_000 * scale)),
            rows=2 * max(128, round(50_000 * scale**0.5)),
            copied=max(2**20, round(2**28 * scale)),
            matrix=max(512, round(8192 * scale**0.5)),
        )

    def mapping(self) -> dict[str, object]:
        """All fields as JSON types."""
        return {**asdict(self), "fanouts": list(self.fanouts)}


@dataclass(frozen=True)
class Setup:
    """What a part is given.

    Attributes:
        device: ``cpu`` or ``cuda``.
        scale: of the sizes.
        every: every so-maniest case of a list is taken, to try the check itself; 1 takes all.
    """

    device: str
    scale: float = 1.0
    every: int = 1

    @property
    def sizes(self) -> Sizes:
        return Sizes.of(self.scale)

    @property
    def place(self) -> torch.device:
        """The device as tensors say it."""
        return torch.device(self.device, 0) if self.device == "cuda" else torch.device("cpu")

    @property
    def judged(self) -> bool:
        """Whether figures are those that targets are meant for."""
        return self.device == "cuda" and self.scale == 1

    def some(self, cases: Iterable[T]) -> Iterator[T]:
        """The cases that are taken."""
        return (case for number, case in enumerate(cases) if not number % self.every)
