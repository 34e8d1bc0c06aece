"""How central nodes are, and what follows for edges and features (GCA, Zhu et al., 2021, arXiv:2010.14945, sec. 3.2).

Rows of a block are destinations, so what counts is what points to a node: in-degree, and shares of the centrality of
the sources of its in-edges.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from scipy.sparse import csr_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import eigs, eigsh
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.block import Block
from gssl.graph.sparse import Features, SparseMatrix

Centrality = Literal["degree", "eigenvector", "pagerank"]
Ends = Literal["target", "mean"]

_FLOOR = 1e-8  # what GCA's code adds to eigenvector centralities, some of which are zero
_SMALL = 16  # nodes of a graph that ARPACK need not be asked about
_ROWS = 65_536  # of dense features at a time


def centrality(block: Block, kind: Centrality) -> Tensor:
    """Centrality of every node, shape (num_nodes,), float64, by name; see the functions below."""
    return {"degree": degree_centrality, "eigenvector": eigenvector_centrality, "pagerank": pagerank}[kind](block)


def degree_centrality(block: Block) -> Tensor:
    """Weighted in-degree of every node, shape (num_nodes,), float64.

    Args:
        block: all edges of a graph.
    """
    _require_square(block)
    return block.degree.double()


def eigenvector_centrality(block: Block) -> Tensor:
    """The eigenvector of the adjacency matrix for its greatest eigenvalue, of norm 1.

    A graph in several parts gets that of the part with the greatest eigenvalue, and next to nothing elsewhere (where
    networkx refuses). Where directed edges form no cycle, no eigenvector tells nodes apart, and all are equal.

    Args:
        block: all edges of a graph.

    Returns:
        Shape (num_nodes,), float64, at least 1e-8, which GCA's code adds before it takes logarithms.
    """
    matrix = _adjacency(block)
    start = np.ones(block.num_dst) / max(block.num_dst, 1) ** 0.5
    parts = connected_components(matrix, connection="strong", return_labels=False) if matrix.nnz else block.num_dst
    if parts == block.num_dst and not matrix.diagonal().any():
        vector = start
    elif block.num_dst < _SMALL:
        vector = _dominant(matrix.toarray()) @ start
    else:
        symmetric = abs(matrix - matrix.T).max() < 1e-12
        solve, which = (eigsh, "LA") if symmetric else (eigs, "LR")
        vector = solve(matrix, k=1, which=which, v0=start, rng=0)[1][:, 0].real
        vector = vector * np.sign(vector.sum())
    vector = np.maximum(vector, 0) / max(float(np.linalg.norm(vector)), _FLOOR)
    return torch.from_numpy(vector + _FLOOR).to(block.pattern.col.device)


def pagerank(block: Block, *, damping: float = 0.85, tolerance: float = 1e-10) -> Tensor:
    """PageRank, the solution of ``s = damping * A D^-1 s + 1`` with out-degrees D.

    Args:
        block: all edges of a graph.
        damping: probability of following an edge.
        tolerance: of the largest relative change in the last iteration.

    Returns:
        Shape (num_nodes,), float64, at least 1: those of other programs times a constant.
    """
    # GCA's code iterates s = (1 - damping) s + damping A D^-1 s from ones (200 times for edges, 10 for features),
    # which has no teleport and tends to the stationary distribution of a walk, in undirected graphs the degree:
    # https://github.com/CRIPAC-DIG/GCA/blob/0f17497f3ae89718ed610c671a5b9f56033d4d51/pGRACE/utils.py
    matrix = _adjacency(block)
    step = damping * matrix @ diags_array(1 / np.maximum(matrix.sum(0), _FLOOR))
    found, before = np.ones(block.num_dst), np.zeros(block.num_dst)
    while np.abs(found - before).max(initial=0.0) > tolerance * found.max(initial=0.0):
        found, before = step @ found + 1, found
    return torch.from_numpy(found).to(block.pattern.col.device)


def edge_weight(target: Tensor, source: Tensor, ends: Ends) -> Tensor:
    """Centrality of edges from those of their ends, each of shape (num_edges,)."""
    return target if ends == "target" else (target + source) / 2


def feature_weight(x: Features, node: Tensor, *, binary: bool = True) -> Tensor:
    """How much each feature is used, by central nodes above all (GCA, sec. 3.2.2).

    Args:
        x: features of all nodes, shape (num_nodes, in_dim).
        node: their centrality, shape (num_nodes,).
        binary: whether what counts is that a node has a feature, as for words, and not its absolute value. Features
            that every node has, which continuous ones are as a rule, then all weigh the same.

    Returns:
        Shape (in_dim,), float64.
    """
    node = node.double()
    if isinstance(x, SparseMatrix):
        value = node[x.pattern.row.long()]
        value = value * (x.value != 0) if binary else value * x.value.double().abs()
        return value.new_zeros(x.shape[1]).index_add(0, x.pattern.col.long(), value)
    total = node.new_zeros(x.shape[1])
    for rows, weight in zip(x.split(_ROWS), node.split(_ROWS), strict=True):
        total += weight @ ((rows != 0) if binary else rows.abs()).double()
    return total


def log_range(weight: Tensor) -> tuple[float, float]:
    """The greatest and the mean logarithm of weights that are positive; (1, 0) where there are none."""
    log = weight[weight > 0].double().log()
    return (float(log.max()), float(log.mean())) if log.numel() else (1.0, 0.0)


def drop_probability(weight: Tensor, p: float, *, most: float, mean: float, cutoff: float) -> Tensor:
    """``min((most - log w) / (most - mean) * p, cutoff)``: what is central stays (GCA, sec. 3.2).

    Args:
        weight: of edges or features, any shape; without weight they count as the least important ones.
        p: mean probability, but for what is cut off.
        most: greatest logarithm of a weight.
        mean: mean logarithm of the weights; equal to ``most`` where all are alike, which gives p for each.
        cutoff: greatest probability.

    Returns:
        Of the shape and dtype of ``weight``.
    """
    if most - mean < 1e-12:
        return torch.full_like(weight, min(p, cutoff))
    score = (most - weight.log()) / (most - mean)
    return (score * p).clamp(0, cutoff) if p else torch.zeros_like(weight)


def _dominant(matrix: np.ndarray) -> np.ndarray:
    """Projection on the dominant eigenvectors of a matrix that is not negative, times a constant."""
    power = matrix + np.eye(len(matrix))  # of which no other eigenvalue is as great in absolute value
    for _ in range(30):
        power = power @ power
        power /= power.max()
    return power


def _adjacency(block: Block) -> csr_array:
    _require_square(block)
    pattern = block.pattern.to(torch.device("cpu"))
    value = np.ones(pattern.nnz) if block.weight is None else block.weight.detach().cpu().double().numpy()
    shape = (block.num_dst, block.num_src)
    return csr_array((value, pattern.col.numpy(), pattern.rowptr.numpy()), shape=shape)


def _require_square(block: Block) -> None:
    if block.num_dst != block.num_src:
        raise InputError("a centrality needs all edges of a graph, but the block was sampled: use that of the graph")
