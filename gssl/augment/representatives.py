"""A few nodes that stand for a graph, and stars around them that share no node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.sparse import csr_array, diags_array, eye_array
from scipy.sparse.linalg import eigsh
from torch import Tensor
from torch.nn.functional import pad

from gssl.augment.clusters import k_means
from gssl.augment.positives import NONE
from gssl.common.errors import InputError
from gssl.common.seeds import derive_seed
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.kept import places_beside, places_of
from gssl.graph.sparse import Pattern, select_features

Spectrum = Literal["high", "low"]

_SMALL = 128  # nodes of a graph whose eigenvectors are computed all together
_MOST_HOPS = 10


@dataclass(frozen=True, eq=False)
class Stars:
    """Centers, and leaves that point to them; no node is in two stars, and no center points to another.

    Attributes:
        centers: ids of the centers, shape (num_centers,), int64.
        leaves: ids of the leaves of each center, then ``NONE``, shape (num_centers, most), int64.
    """

    centers: Tensor
    leaves: Tensor

    def padded(self, count: int) -> Stars:
        """With centers ``NONE`` behind the others, so that there are ``count``."""
        more = count - len(self.centers)
        return Stars(pad(self.centers, (0, more), value=NONE), pad(self.leaves, (0, 0, 0, more), value=NONE))

    @property
    def known(self) -> Stars:
        """Without the centers that are ``NONE``."""
        (some,) = places_of(self.centers != NONE)
        return Stars(self.centers[some], self.leaves[some])

    def batch(self, batch: MiniBatch, *, num_layers: int) -> MiniBatch:
        """The stars with the features of a batch: the targets are the centers, in their order.

        Args:
            batch: of a whole graph, in any order of its nodes.
            num_layers: of the encoder.

        Raises:
            InputError: a node of the stars is not in the batch.
        """
        there = (self.leaves != NONE).flatten()
        ordered, order = batch.node_ids.sort()
        wanted = torch.cat([self.centers, self.leaves.flatten()])
        found = torch.searchsorted(ordered, wanted).clamp(max=len(ordered) - 1)
        needed = pad(there, (len(self.centers), 0), value=True)
        (places,), (missing,) = places_beside([there], [((ordered[found] != wanted) & needed).count_nonzero()])
        if missing:
            raise InputError(
                "the stars have nodes that the batch has not; train on the whole graph, with --sampler full"
            )
        count = len(self.centers)
        center = places // self.leaves.shape[1]
        of_stars = torch.cat([torch.arange(count, device=places.device), count + places])
        nodes, rows, size = wanted[of_stars], order[found[of_stars]], len(of_stars)
        leaf = torch.arange(count, size, device=nodes.device)
        degree = pad(there.view_as(self.leaves).sum(1), (0, size - count)).to(torch.get_default_dtype())
        last = Block(Pattern.from_coo(center, leaf, count, size)[0], full_degree=degree)
        whole = Block(Pattern.from_coo(center, leaf, size, size)[0])
        weight = None if batch.weight is None else batch.weight[rows[:count]]
        blocks = (*[whole] * (num_layers - 1), last)
        return MiniBatch(select_features(batch.x, rows), blocks, nodes, count, weight)


def spectral_centers(pattern: Pattern, clusters: int, *, spectrum: Spectrum = "high", seed: int = 0) -> Tensor:
    """The most central node of each spectral cluster (E2Neg, Huang et al., 2025, arXiv:2503.17908).

    K-means on eigenvectors of the normalised Laplacian, as many as clusters, each of them standardised over the nodes;
    the center of a cluster is the node whose row of eigenvectors is longest.

    Args:
        pattern: edges, shape (n, n), taken as undirected and unweighted.
        clusters: at most n - 1.
        spectrum: ``high`` for the greatest eigenvalues, as in the authors' code, ``low`` for the least, as in spectral
            clustering otherwise.
        seed: of k-means and of the eigenvectors' iteration.

    Returns:
        Distinct ids, ascending by cluster, shape (at most clusters,), int64, on the CPU.

    Raises:
        InputError: not fewer clusters than nodes.
    """
    if not clusters < pattern.num_rows:
        raise InputError(f"there must be fewer clusters than nodes: {clusters} of {pattern.num_rows}")
    position = _eigenvectors(_adjacency(pattern), clusters, spectrum, seed)
    spread = position.std(0)
    standard = (position - position.mean(0)) / np.where(spread > 0, spread, 1)
    labels = k_means(torch.from_numpy(standard), clusters, steps=100, seed=seed, starts=3).labels.numpy()
    centrality = np.linalg.norm(position, axis=1)
    ranked = np.lexsort((-centrality, labels))
    first = np.r_[True, np.diff(labels[ranked]) > 0]
    return torch.from_numpy(ranked[first])


def stars_around(pattern: Pattern, centers: Tensor, *, least: int, most: int, seed: int = 0) -> Stars:
    """A star for each center: random nodes of its neighborhood (E2Neg, Huang et al., 2025, arXiv:2503.17908).

    The neighborhood has two hops, or more, up to ten, until it has ``least`` nodes. A node that is drawn for several
    centers belongs to the first, and a center that is left without leaves has no star. In the authors' code a center
    may be a leaf of another one; here none is.

    Args:
        pattern: edges, shape (n, n), taken as undirected.
        centers: distinct ids, shape (num_centers,), int64.
        least: nodes that a neighborhood must have, where there are as many.
        most: leaves of a star.
        seed: of the draws.
    """
    adjacency, draws = _adjacency(pattern), np.random.default_rng(derive_seed(seed, "stars"))
    taken = np.zeros(pattern.num_rows, dtype=bool)
    taken[centers.numpy()] = True
    leaves = np.full((len(centers), most), NONE)
    for star, center in zip(leaves, centers.tolist(), strict=True):
        near = _neighborhood(adjacency, center, least)
        drawn = draws.choice(near, most, replace=False) if len(near) > most else near
        drawn = np.sort(drawn[~taken[drawn]])
        taken[drawn] = True
        star[: len(drawn)] = drawn
    found = torch.from_numpy(leaves)
    some = (found != NONE).any(1)
    return Stars(centers[some], found[some])


def _neighborhood(adjacency: csr_array, center: int, least: int) -> np.ndarray:
    """Nodes within two hops of a node, or as many more as it takes, without the node."""
    reached = np.zeros(adjacency.shape[0], dtype=bool)
    reached[center] = True
    frontier = np.array([center])
    for hop in range(1, _MOST_HOPS + 1):
        frontier = np.unique(adjacency[frontier].indices)
        frontier = frontier[~reached[frontier]]
        reached[frontier] = True
        if not len(frontier) or (hop >= 2 and reached.sum() > least):
            break
    reached[center] = False
    return np.flatnonzero(reached)


def _adjacency(pattern: Pattern) -> csr_array:
    """Symmetric, without self-loops, of ones."""
    row, col = pattern.row.long().cpu().numpy(), pattern.col.long().cpu().numpy()
    apart = row != col
    ends = np.concatenate([row[apart], col[apart]]), np.concatenate([col[apart], row[apart]])
    matrix = csr_array((np.ones(len(ends[0])), ends), shape=(pattern.num_rows, pattern.num_rows))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def _eigenvectors(adjacency: csr_array, count: int, spectrum: Spectrum, seed: int) -> np.ndarray:
    """Of the normalised Laplacian, shape (n, count); an isolated node has the eigenvalue 0."""
    degree = adjacency.sum(1)
    scale = diags_array(1 / np.sqrt(np.where(degree > 0, degree, 1)))
    shifted = scale @ adjacency @ scale  # L = I - this, but for isolated nodes
    laplacian = diags_array((degree > 0).astype(float)) - shifted
    if adjacency.shape[0] <= max(_SMALL, 2 * count):
        vectors = np.linalg.eigh(laplacian.toarray())[1]
        return vectors[:, -count:] if spectrum == "high" else vectors[:, :count]
    start = np.random.default_rng(derive_seed(seed, "eigenvectors")).standard_normal(adjacency.shape[0])
    if spectrum == "high":
        return np.asarray(eigsh(laplacian, count, which="LA", v0=start)[1])
    # The least eigenvalues are far apart from each other only relative to the gap behind 2.
    return np.asarray(eigsh(2 * eye_array(adjacency.shape[0]) - laplacian, count, which="LA", v0=start)[1])
