"""How often edges join nodes of one cluster, and a form of it that has a gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from gssl.graph.sparse import Pattern


def soft_clusters(embedding: Tensor, centers: Tensor, *, temperature: float) -> Tensor:
    """Probability of each cluster for each node, ``softmax(-|z_i - c_k|^2 / temperature)``.

    The assignment of AutoSSL-DS (Jin et al., 2022, arXiv:2106.05470).

    Args:
        embedding: shape (n, dim), float.
        centers: shape (num_clusters, dim), float.
        temperature: positive; twice the variance of the Gaussians.

    Returns:
        Shape (n, num_clusters), rows add up to 1.
    """
    # The square of z_i alone is the same in all logits of a row, so it is left out.
    return torch.softmax((2 * embedding @ centers.T - centers.square().sum(1)) / temperature, dim=1)


def soft_heterophily(probability: Tensor, pattern: Pattern) -> Tensor:
    """Mean absolute difference between the cluster probabilities of the two ends of an edge, a scalar in [0, 1].

    What AutoSSL-DS (arXiv:2106.05470) lowers in place of one minus the pseudo-homophily; 0 without edges.

    Args:
        probability: of each cluster for each node, shape (n, num_clusters), float.
        pattern: edges, shape (n, n).
    """
    if not pattern.nnz:
        return probability.sum() * 0
    ends = (probability.index_select(0, side) for side in (pattern.row.long(), pattern.col.long()))
    first, second = ends
    return (first - second).abs().mean()


def pseudo_homophily(labels: Tensor, pattern: Pattern) -> Tensor:
    """Share of edges whose ends are in one cluster, a scalar in [0, 1]; 1 without edges.

    Args:
        labels: cluster of each node, shape (n,), int64.
        pattern: edges, shape (n, n).
    """
    if not pattern.nnz:
        return torch.ones((), device=labels.device)
    return (labels[pattern.row.long()] == labels[pattern.col.long()]).float().mean()
