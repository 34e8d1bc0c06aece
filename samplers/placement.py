"""What of a graph lives on the device that trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from gssl.graph.sparse import SparseMatrix
from gssl.graph.storage import Graph

FeaturesOn = Literal["auto", "device", "host"]
_SHARE = 0.5
"""Of the free memory; the rest is for weights, batches and what layers keep for the backward pass."""
_COPIES = 2
"""Of the edges: their transpose may be made, too."""


@dataclass(frozen=True)
class Placement:
    """What is kept on the device.

    Attributes:
        graph: the edges, so that batches are made there.
        features: the features.
        note: why something stayed behind; empty where nothing did, or by choice.
    """

    graph: bool
    features: bool
    note: str = ""


def placed(graph: Graph, free: int, features_on: FeaturesOn) -> Placement:
    """What of a graph is to live on a device.

    Args:
        graph: on the CPU.
        free: bytes of the device's memory.
        features_on: ``auto`` for where they fit.
    """
    room = int(_SHARE * free)
    edges, rows = _COPIES * graph_bytes(graph), feature_bytes(graph)
    if edges > room:
        return Placement(
            graph=False, features=False, note=_told("the graph", edges, room, "batches are made on the CPU")
        )
    if features_on == "host" or (features_on == "auto" and edges + rows > room):
        note = _told("the graph with its features", edges + rows, room, "features stay in host memory")
        return Placement(graph=True, features=False, note="" if features_on == "host" else note)
    return Placement(graph=True, features=True)


def graph_bytes(graph: Graph) -> int:
    """Of the edges with their weights and attributes, and of the degrees."""
    block = graph.block
    parts = (block.pattern.rowptr, block.pattern.col, block.weight, block.edge_attr)
    return sum(map(_bytes, parts)) + 4 * graph.num_nodes


def feature_bytes(graph: Graph) -> int:
    """Of the features."""
    x = graph.x
    if isinstance(x, SparseMatrix):
        return sum(map(_bytes, (x.pattern.rowptr, x.pattern.col, x.value)))
    return _bytes(x)


def _bytes(values: Tensor | None) -> int:
    return 0 if values is None else values.numel() * values.element_size()


def _told(what: str, needed: int, room: int, so: str) -> str:
    return f"{so}: {what} would take {needed / 2**30:.1f} of the {room / 2**30:.1f} GiB that the device has for it"
