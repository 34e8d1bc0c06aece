"""What is imported: a graph whose parts are read piece by piece from somebody's files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gssl.datasets.types import Labels, Metric, Split

Pieces = Callable[[], Iterator[np.ndarray]]
"""Starts a stream from the beginning."""


@dataclass(frozen=True, kw_only=True)
class RawGraph:
    """One graph in files that need not fit the memory.

    Attributes:
        name: of the dataset.
        num_nodes: rows of the features.
        num_edges: of the input.
        in_dim: columns of the features.
        edges: pieces of shape (2, n), integers, sources in row 0.
        features: pieces of shape (n, in_dim), numbers.
        labels: what the items are labelled with, made when it is asked for; None in it if there are none. With it come
            notes on how labels were read.
        splits: the preset splits, given the labels.
        metric: by convention; None for that of the kind of the labels.
        probe: that judges by default.
        inverse: whether the data mean each edge in both directions.
        undirected: whether the reverse of every edge is added.
        vocabulary: name of the meaning of the columns; None if it is not known.
        notes: what should be said of the source.
        files: what is read, so that a source that has changed is noticed.
    """

    name: str
    num_nodes: int
    num_edges: int
    in_dim: int
    edges: Pieces
    features: Pieces
    labels: Callable[[], tuple[Labels | None, tuple[str, ...]]]
    splits: Callable[[Labels | None], tuple[tuple[Split, ...], tuple[str, ...]]]
    metric: Metric | None = None
    probe: str = "LBFGS"
    inverse: bool = False
    undirected: bool = False
    vocabulary: str | None = None
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = field(default=())

    def state(self) -> list[list[object]]:
        """Changes whenever a file of the source does: name, bytes and time of each."""
        found = [(path.name, path.stat()) for path in self.files]
        return [[name, status.st_size, status.st_mtime_ns] for name, status in found]
