"""Contrast of graphs with their rationales, against other graphs and against what is left without rationales."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.objectives.weights import check_views, weighted_mean


def rationale_contrast(
    first: Tensor,
    second: Tensor,
    complement: Tensor,
    *,
    temperature: float = 0.2,
    independence: float = 0.1,
    separate: bool = False,
    weight: Tensor | None = None,
) -> Tensor:
    """What an item and its rationale have in common is told from other rationales and from all complements (RGCL).

    With cosine similarities s and ``p = exp(s(a_i, r_i) / t)`` an item has two shares,
    ``S = p / sum over j of exp(s(a_i, r_j) / t)`` for sufficiency, and
    ``I = p / (p + sum over j of exp(s(a_i, c_j) / t))`` for independence (Li et al., 2022, arXiv:2206.07869). The loss
    is ``-log(S + independence * I)`` as in the authors' code for unsupervised learning; with ``separate`` it is the
    paper's ``-log S - independence * log I``.

    Args:
        first: projections a of the anchors, shape (n, dim), float.
        second: projections r of the rationales of the same items, shape (n, dim).
        complement: projections c of what complements the rationales, shape (n, dim).
        temperature: t.
        independence: weight of the second share.
        separate: whether each share has a logarithm of its own.
        weight: importance weight of each item, a constant, shape (n,), not negative; None means 1 each. A weight of 2
            means what including the item twice means, as anchor and as negative.

    Returns:
        Scalar.

    Raises:
        InputError: the shapes do not match.
    """
    check_views("the rationale contrast", first, second, weight)
    check_views("the rationale contrast", first, complement, weight)
    anchors = F.normalize(first, dim=1) / temperature
    views, others = (anchors @ F.normalize(z, dim=1).T for z in (second, complement))
    count = views.new_zeros(len(views)) if weight is None else weight.detach().to(views).log()
    positive = views.diagonal()
    sufficiency = positive - (views + count).logsumexp(1)
    alone = positive - torch.logaddexp(positive, (others + count).logsumexp(1))
    if separate:
        terms = sufficiency + independence * alone
    elif independence == 0:
        terms = sufficiency
    else:
        terms = torch.logaddexp(sufficiency, alone + math.log(independence))
    return -weighted_mean(terms, weight)
