"""The degree-corrected block model, fitted to one graph."""

from __future__ import annotations

import math

import numpy as np
import torch

from gssl.augment.redraw_edge import partition
from gssl.datasets.generators import locate, simple_edges
from gssl.generate.features import mixed_columns
from gssl.graph.sparse import Features
from gssl.graph.storage import Graph

_ROUNDS = 20
_DONORS = 64  # nodes of a block that a new node's features are mixed from


def from_blocks(
    graph: Graph, rng: np.random.Generator, *, nodes: int, blocks: int | None = None
) -> tuple[np.ndarray, Features]:
    """A graph drawn from the degree-corrected block model of another (Karrer and Newman, 2011, arXiv:1008.3926).

    Blocks are METIS parts. A new node takes block and degree from a node that is drawn uniformly; as many edges as the
    data have between two blocks (a Poisson number in the model, times ``nodes`` over theirs, to a whole number in
    expectation) get ends that are drawn by degree. Loops and repeats are drawn anew for some rounds. Each column of a
    new node's features is that of some node of its block.

    Args:
        graph: what the model is fitted to; directions of its edges are not looked at.
        rng: of all draws.
        nodes: of the new graph.
        blocks: None for the square root of the number of nodes.

    Returns:
        Each edge once, shape (2, num_edges), int64, and features, shape (nodes, dim).
    """
    size = graph.num_nodes
    count = max(1, min(size, blocks or round(math.sqrt(size))))
    block = partition(graph.block.pattern, count).numpy()
    edges = simple_edges(graph.block.edge_index.numpy(), size)
    degree = np.bincount(edges.ravel(), minlength=size)
    like = rng.integers(size, size=nodes)
    like = like[np.argsort(block[like], kind="stable")]
    drawn = _edges(rng, block[edges], block[like], degree[like], count=count, scale=nodes / size)
    return drawn, mixed_columns(graph.x, torch.from_numpy(_of_block(rng, block, block[like])), rng)


def _edges(
    rng: np.random.Generator, ends: np.ndarray, block: np.ndarray, degree: np.ndarray, *, count: int, scale: float
) -> np.ndarray:
    """Edges between blocks, each once, shape (2, num_edges).

    Args:
        rng: of the draws.
        ends: blocks of the ends of every edge of the data, shape (2, m).
        block: of each new node, ascending, shape (n,).
        degree: by which new nodes are drawn, shape (n,).
        count: blocks.
        scale: edges of the new graph for one of the data.
    """
    nodes = len(block)
    low, high = np.minimum(*ends), np.maximum(*ends)
    pairs, number = np.unique(low * count + high, return_counts=True)
    reach = np.concatenate([[0.0], np.cumsum(degree, dtype=np.float64)])
    bounds = np.searchsorted(block, np.arange(count + 1))
    start, stop = reach[bounds[:-1]], reach[bounds[1:]]
    able = (stop > start)[pairs // count] & (stop > start)[
        pairs % count
    ]  # a block may have no node, or none with edges
    wanted = np.where(able, np.floor(number * scale + rng.random(len(pairs))), 0).astype(np.int64)
    found = np.empty((2, 0), dtype=np.int64)
    for _ in range(_ROUNDS):
        here = np.sort(block[found], axis=0)
        there = np.searchsorted(pairs, here[0] * count + here[1])
        missing = wanted - np.bincount(there, minlength=len(pairs))
        if missing.sum() == 0:
            break
        pair = np.repeat(pairs, missing)
        new = [
            locate(reach, start[side] + rng.random(len(pair)) * (stop - start)[side])
            for side in (pair // count, pair % count)
        ]
        found = simple_edges(np.concatenate([found, np.stack(new)], axis=1), nodes)
    return found


def _of_block(rng: np.random.Generator, block: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Nodes of the wanted blocks, drawn uniformly, shape (len(wanted), 64)."""
    order = np.argsort(block, kind="stable")
    bounds = np.searchsorted(block[order], np.arange(block.max() + 2))
    first, size = bounds[:-1][wanted], np.diff(bounds)[wanted]
    draws = rng.random((len(wanted), _DONORS))
    return np.asarray(order[first[:, None] + (draws * size[:, None]).astype(np.int64)])
