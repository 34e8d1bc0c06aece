"""Two real sets that ship with scikit-learn, one for each level: no download."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import kneighbors_graph
from threadpoolctl import threadpool_limits

from gssl.datasets.assemble import Arrays, assemble
from gssl.datasets.catalog import DatasetSpec
from gssl.datasets.labels import make_labels
from gssl.datasets.splits import preset_split, random_split
from gssl.datasets.store import Store
from gssl.datasets.types import Dataset, Split

_NEIGHBORS = 10
_SIDE = 8


def digits(spec: DatasetSpec, store: Store) -> Dataset:
    """Digits as nodes with 64 pixels, joined where one is among the other's 10 nearest; a Planetoid-like split."""
    pixels, y = load_digits(return_X_y=True)
    with threadpool_limits(1):  # which of several equally near ones are taken depends on the threads
        near = kneighbors_graph(pixels, _NEIGHBORS, include_self=False)
    near = near.maximum(near.T).tocoo()
    arrays = Arrays(
        edge_index=np.stack([near.col, near.row]).astype(np.int64),
        x=(pixels / 16).astype(np.float32),
        y=torch.from_numpy(y),
        splits=(_planetoid_like(y),),
    )
    return assemble(spec, arrays)


def digit_graphs(spec: DatasetSpec, store: Store) -> Dataset:
    """Digits as graphs: lit pixels with their intensity, row and column, joined to those of the 8 around them."""
    images, y = load_digits(return_X_y=True)
    image, row, column = np.nonzero(images.reshape(-1, _SIDE, _SIDE))
    intensity = images.reshape(-1, _SIDE, _SIDE)[image, row, column] / 16
    edges = _grid_edges(image, row, column, len(images))
    labels = make_labels(torch.from_numpy(y), len(y), kind="multiclass")
    drawn = random_split(len(y), train=0.6, val=0.2, seed=0, labels=labels)
    return assemble(
        spec,
        Arrays(
            edge_index=edges,
            x=np.stack([intensity, row / (_SIDE - 1), column / (_SIDE - 1)], axis=1).astype(np.float32),
            y=torch.from_numpy(y),
            ptr=torch.from_numpy(np.concatenate([[0], np.cumsum(np.bincount(image, minlength=len(images)))])),
            splits=(Split("preset", drawn.train, drawn.val, drawn.test),),
        ),
    )


def _grid_edges(image: np.ndarray, row: np.ndarray, column: np.ndarray, count: int) -> np.ndarray:
    """Edges between neighbouring lit pixels, both directions, shape (2, num_edges), int64."""
    node = np.full((count, _SIDE + 2, _SIDE + 2), -1)  # a dark frame spares the borders their own case
    node[image, row + 1, column + 1] = np.arange(len(image))
    edges = []
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            other = node[image, row + 1 + down, column + 1 + right]
            lit = (other >= 0) & ((down, right) != (0, 0))
            edges.append(np.stack([other[lit], np.flatnonzero(lit)]))
    return np.concatenate(edges, axis=1).astype(np.int64)


def _planetoid_like(y: np.ndarray) -> Split:
    """20 training items of each class, 500 for validation and 1000 for the test, drawn once and for all."""
    order = np.random.RandomState(0).permutation(len(y))
    train = np.concatenate([order[y[order] == digit][:20] for digit in range(10)])
    rest = order[~np.isin(order, train)]
    parts = (torch.from_numpy(part.astype(np.int64)) for part in (train, rest[:500], rest[500:1500]))
    return preset_split("public", len(y), *parts)
