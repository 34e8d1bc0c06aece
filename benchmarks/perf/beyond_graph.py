"""A graph with features beyond the memory, drawn piece by piece and imported as any other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from gssl.datasets.imported.raw import RawGraph
from gssl.datasets.imported.write import Imported, import_raw
from gssl.datasets.store import Store
from gssl.datasets.types import Labels

_PIECE = 1 << 20
_STRIDE = 2_654_435_761  # a prime, so that every node has one rank, and ids do not follow degrees
_CLASSES = 10


@dataclass(frozen=True)
class BeyondGraph:
    """A graph whose nodes are the ends of edges with probabilities that fall as a power of their rank.

    Attributes:
        nodes: of it, fewer than 2 ** 31.
        pairs: undirected pairs that are drawn; copies among them are merged.
        features: of a node, uniform in [-1, 1).
        seed: of everything.
    """

    nodes: int
    pairs: int
    features: int
    seed: int = 0

    def edges(self) -> Iterator[np.ndarray]:
        """Pieces of shape (2, n), int64; no more than one is in memory."""
        for number, start in enumerate(range(0, self.pairs, _PIECE)):
            rng = np.random.default_rng([self.seed, 0, number])
            rank = (rng.random((2, min(_PIECE, self.pairs - start))) ** 2 * self.nodes).astype(np.int64)
            yield rank * _STRIDE % self.nodes

    def rows(self) -> Iterator[np.ndarray]:
        """Pieces of the features, shape (n, features), float32."""
        size = max(1, (1 << 23) // self.features)
        for number, start in enumerate(range(0, self.nodes, size)):
            rng = np.random.default_rng([self.seed, 1, number])
            yield rng.random((min(size, self.nodes - start), self.features), np.float32) * 2 - 1

    def labels(self) -> tuple[Labels, tuple[str, ...]]:
        """Classes at random, which no figure depends on."""
        y = torch.from_numpy(np.random.default_rng([self.seed, 2]).integers(0, _CLASSES, self.nodes))
        return Labels(y, "multiclass", _CLASSES), ()

    def raw(self) -> RawGraph:
        """What an import takes."""
        return RawGraph(
            name=f"beyond-{self.nodes}",
            num_nodes=self.nodes,
            num_edges=self.pairs,
            in_dim=self.features,
            edges=self.edges,
            features=self.rows,
            labels=self.labels,
            splits=lambda labels: ((), ()),
            undirected=True,
        )


def make(graph: BeyondGraph, folder: str, memory_mib: int, say: bool = False) -> Imported:
    """Draw and import a graph into ``folder/graph``."""
    told = partial(print, flush=True) if say else (lambda _: None)
    return import_raw(graph.raw(), Path(folder) / "graph", Store(Path(folder)), memory_mib=memory_mib, say=told)
