"""Sets of graphs from the spectra of those of a set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.storage import Graph

MOST_NODES = 2000  # of a graph whose eigenvectors are found


@dataclass(frozen=True, eq=False)
class DrawnGraphs:
    """A set of graphs side by side.

    Attributes:
        edges: both directions of each edge, node ids count over all graphs, shape (2, num_edges), int64.
        attributes: of the edges as the edge of the data whose attributes each takes, shape (num_edges,), int64.
        like: node of the data whose features each node takes, shape (num_nodes,), int64.
        ptr: offsets of the graphs, shape (num_graphs + 1,), int64.
    """

    edges: Tensor
    attributes: Tensor
    like: Tensor
    ptr: Tensor


def from_spectra(graph: Graph, rng: np.random.Generator, *, graphs: int, rank: float, neighbors: int) -> DrawnGraphs:
    """Graphs drawn as generalised random dot product graphs (Rubin-Delanchy et al., 2022, arXiv:1709.05506).

    A graph of the data is drawn uniformly. Its adjacency matrix is replaced by the part that belongs to its largest
    eigenvalues, cut to [0, 1] and scaled to the same number of edges: the positions of its nodes in that space say how
    probable an edge is. Edges are drawn from that, independently. A node has the features of one of the nodes of that
    graph with the nearest positions, itself among them. Attributes of an edge are those of the edge of the data if
    there is one, else of some edge of its graph.

    Args:
        graph: a set of graphs; directions of edges are not looked at.
        rng: of all draws.
        graphs: how many to draw.
        rank: eigenvalues kept, as a share of the nodes; at least one.
        neighbors: nodes that features are drawn from.

    Raises:
        InputError: a graph is too large.
    """
    assert graph.ptr is not None
    largest = int(graph.ptr.diff().max())
    if largest > MOST_NODES:
        raise InputError(
            f"model=spectral finds the eigenvectors of every graph, but one has {largest:,} nodes (at most "
            f"{MOST_NODES:,})"
        )
    pattern, ptr = graph.block.pattern, graph.ptr.numpy()
    rows, columns = pattern.row.numpy().astype(np.int64), pattern.col.numpy().astype(np.int64)
    bounds = pattern.rowptr.numpy()[ptr]
    edges, attributes, like, sizes = [], [], [], []
    total = 0
    for number in rng.integers(graph.num_graphs, size=graphs).tolist():
        first, size = int(ptr[number]), int(ptr[number + 1] - ptr[number])
        own = slice(int(bounds[number]), int(bounds[number + 1]))
        ends = np.stack([rows[own], columns[own]]) - first
        drawn, positions = _graph(ends, size, rng, rank)
        edges.append(drawn + total)
        attributes.append(_attributes(ends, drawn, size, rng) + own.start)
        like.append(_nearest(positions, neighbors, rng) + first)
        sizes.append(size)
        total += size
    return DrawnGraphs(
        torch.from_numpy(np.concatenate(edges, axis=1)),
        torch.from_numpy(np.concatenate(attributes)),
        torch.from_numpy(np.concatenate(like)),
        torch.from_numpy(np.cumsum([0, *sizes])),
    )


def _graph(ends: np.ndarray, size: int, rng: np.random.Generator, rank: float) -> tuple[np.ndarray, np.ndarray]:
    """Both directions of the edges of a new graph, shape (2, m), and positions of its nodes, shape (size, k)."""
    adjacency = np.zeros((size, size))
    adjacency[ends[0], ends[1]] = adjacency[ends[1], ends[0]] = 1
    np.fill_diagonal(adjacency, 0)
    values, vectors = np.linalg.eigh(adjacency)
    kept = np.argsort(-np.abs(values), kind="stable")[: max(1, round(rank * size))]
    probable = np.triu(np.clip((vectors[:, kept] * values[kept]) @ vectors[:, kept].T, 0, 1), 1)
    wanted = adjacency.sum() / 2
    for _ in range(10):  # what is cut at 1 is given to the others
        mass = probable.sum()
        if mass <= 0 or abs(mass - wanted) < 1e-6 * max(wanted, 1):
            break
        probable = np.minimum(probable * (wanted / mass), 1)
    drawn = np.stack(np.nonzero(rng.random((size, size)) < probable))
    positions = vectors[:, kept] * np.sqrt(np.abs(values[kept]))
    return np.concatenate([drawn, drawn[::-1]], axis=1), positions


def _nearest(positions: np.ndarray, neighbors: int, rng: np.random.Generator) -> np.ndarray:
    """For each node one of those with the nearest positions, itself among them, shape (size,)."""
    square = (positions**2).sum(1)
    distance = square[:, None] + square - 2 * positions @ positions.T
    np.fill_diagonal(distance, -1)
    near = np.argsort(distance, axis=1, kind="stable")[:, :neighbors]
    return np.asarray(near[np.arange(len(near)), rng.integers(near.shape[1], size=len(near))])


def _attributes(ends: np.ndarray, drawn: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Edge of the data (its number in ``ends``) whose attributes each drawn edge takes, the same in both directions."""
    if not drawn.shape[1]:
        return np.empty(0, dtype=np.int64)
    known = np.full((size, size), -1)
    known[ends[0], ends[1]] = np.arange(ends.shape[1])
    half = drawn.shape[1] // 2
    forth, back = known[drawn[0, :half], drawn[1, :half]], known[drawn[1, :half], drawn[0, :half]]
    other = rng.integers(ends.shape[1], size=half)
    opposite = known[ends[1, other], ends[0, other]]
    new = forth < 0
    forth, back = np.where(new, other, forth), np.where(new, np.where(opposite < 0, other, opposite), back)
    return np.concatenate([forth, np.where(back < 0, forth, back)])
