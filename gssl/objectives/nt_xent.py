"""Normalised temperature-scaled cross-entropy between two views."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.objectives.weights import check_views, weighted_mean


def nt_xent(
    first: Tensor,
    second: Tensor,
    *,
    temperature: float = 0.2,
    positive_in_denominator: bool = False,
    symmetric: bool = False,
    weight: Tensor | None = None,
) -> Tensor:
    """NT-Xent with negatives from the other view only (GraphCL, arXiv:2010.13902, eq. 3).

    ``mean over i of -s_ii / t + log sum over j of exp(s_ij / t)`` with cosine similarities s. The defaults are those
    of the paper and its code: the sum leaves out the positive pair j = i, and anchors are of the first view alone.

    Args:
        first: projections of the first view, shape (n, dim), float.
        second: projections of the second view, the same items in the same order, shape (n, dim), float.
        temperature: t.
        positive_in_denominator: whether j = i counts in the sum, as in InfoNCE.
        symmetric: whether the anchors are of both views in turn, and the loss the mean of the two.
        weight: importance weight of each item, a constant, shape (n,), not negative; None means 1 each. A weight
            of 2 means what including the item twice means, as anchor and as negative.

    Returns:
        Scalar. An anchor without any negative contributes 0.

    Raises:
        InputError: the shapes do not match.
    """
    check_views("NT-Xent", first, second, weight)
    similarity = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T / temperature
    log_count = _copies(similarity, weight, positive_in_denominator).log()
    terms = (similarity + log_count).logsumexp(1)
    if symmetric:
        terms = (terms + (similarity.T + log_count).logsumexp(1)) / 2
    return weighted_mean(terms - similarity.diagonal(), weight)


def _copies(similarity: Tensor, weight: Tensor | None, positive_in_denominator: bool) -> Tensor:
    """How often each candidate (column) counts in the sum of each anchor (row), shape (n, n)."""
    one = similarity.new_ones(similarity.shape[0])
    weight = one if weight is None else weight.detach().to(similarity)
    # An item of weight w stands for w - 1 duplicates of the anchor, which are negatives like any other.
    own = (weight - 1).clamp(min=0) + float(positive_in_denominator)
    lonely = own + weight.sum() - weight == 0  # its positive alone in the sum makes the term 0
    return torch.diagonal_scatter(weight.expand_as(similarity).contiguous(), torch.where(lonely, one, own))
