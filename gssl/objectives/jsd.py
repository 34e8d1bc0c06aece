"""Jensen-Shannon estimate of mutual information, and the cross-entropy of a discriminator, its affine twin."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.objectives.weights import weighted_mean

_LOG_2 = math.log(2.0)


def jsd_positive(scores: Tensor) -> Tensor:
    """``log 2 - softplus(-s)`` of the score of each joint pair, at most log 2 (Nowozin et al., 2016, table 6)."""
    return _LOG_2 - F.softplus(-scores)


def jsd_negative(scores: Tensor) -> Tensor:
    """``softplus(-s) + s - log 2 = softplus(s) - log 2`` of the score of each pair of the product of marginals."""
    return F.softplus(scores) - _LOG_2


def jsd(
    positive: Tensor,
    negative: Tensor,
    *,
    positive_weight: Tensor | None = None,
    negative_weight: Tensor | None = None,
) -> Tensor:
    """Negative Jensen-Shannon lower bound, ``E_neg[softplus(s) - log 2] - E_pos[log 2 - softplus(-s)]``.

    Nowozin et al. (2016, arXiv:1606.00709) in the form of InfoGraph (arXiv:1908.01000, eq. 4), shifted by constants
    so that scores of zero give 0.

    Args:
        positive: scores of pairs from the joint distribution, shape (num_positive,), float.
        negative: scores of pairs from the product of the marginals, shape (num_negative,), float.
        positive_weight: importance weight of each positive pair, shape (num_positive,); None means 1 each.
        negative_weight: importance weight of each negative pair, shape (num_negative,); None means 1 each.

    Returns:
        Scalar, at least -2 log 2.
    """
    return weighted_mean(jsd_negative(negative), negative_weight) - weighted_mean(
        jsd_positive(positive), positive_weight
    )


def binary_agreement(positive: Tensor, negative: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Cross-entropy of a discriminator that tells positive from negative pairs (DGI, arXiv:1809.10341, eq. 1).

    Equal to ``jsd / 2 + log 2``.

    Args:
        positive: logit of each item's positive pair, shape (n,), float.
        negative: logit of each item's negative pair, shape (n,), float.
        weight: importance weight of each item, shape (n,); None means 1 each.

    Returns:
        Scalar mean over both kinds of pairs.
    """
    return weighted_mean(F.softplus(-positive) + F.softplus(negative), weight) / 2


def local_global_jsd(local: Tensor, summary: Tensor, graph: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """InfoGraph's objective: each node agrees with its own graph and not with the others of the batch.

    Score of node u and graph g is ``<local_u, summary_g>``; the (num_nodes, num_graphs) scores are held.

    Args:
        local: projected node embeddings, shape (num_nodes, dim), float.
        summary: projected graph embeddings, shape (num_graphs, dim), float.
        graph: graph of each node, shape (num_nodes,), int64.
        weight: importance weight of each graph, shape (num_graphs,); None means 1 each. A weight of 2 means what
            including the graph twice means, as positive and as negative.

    Returns:
        Scalar. With a single graph there are no negatives and only the positive part is left.
    """
    scores = local @ summary.T
    own = scores.gather(1, graph.unsqueeze(1)).squeeze(1)
    of_graph = summary.new_ones(summary.shape[0]) if weight is None else weight.detach().to(summary)
    of_node = of_graph[graph]
    loss = -weighted_mean(jsd_positive(own), of_node)
    # Everything against everything, less each node against its own graph: no (num_nodes, num_graphs) mask. A graph
    # of weight w stands for w - 1 duplicates, which are negatives like any other.
    not_negative = of_node * of_node.clamp(max=1)
    pairs = of_node.sum() * of_graph.sum() - not_negative.sum()
    negative = of_node @ (jsd_negative(scores) @ of_graph) - not_negative @ jsd_negative(own)
    some = pairs > 0  # only the device knows
    return loss + torch.where(some, negative / torch.where(some, pairs, 1), 0)
