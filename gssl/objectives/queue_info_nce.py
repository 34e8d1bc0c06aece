"""InfoNCE whose negatives are the keys of former batches."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gssl.common.errors import InputError
from gssl.objectives.weights import check_views, weighted_mean


def queue_info_nce(
    query: Tensor,
    key: Tensor,
    queue: Tensor,
    *,
    temperature: float = 0.07,
    queue_weight: Tensor | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """The objective of MoCo (He et al., 2020, arXiv:1911.05722, eq. 1), in GCC (Qiu et al., 2020, arXiv:2006.09963).

    ``mean over i of -log(exp(s(q_i, k_i) / t) / (exp(s(q_i, k_i) / t) + sum over j of w_j exp(s(q_i, n_j) / t)))`` with
    cosine similarities s and the rows n of the queue.

    Args:
        query: shape (num_items, dim), float.
        key: of the same items, shape (num_items, dim).
        queue: negatives, constants, shape (length, dim).
        temperature: t.
        queue_weight: how often each negative counts, w, shape (length,), not negative; None means once each.
        weight: importance weight of each item, shape (num_items,), float; None means 1 each.

    Returns:
        Scalar.

    Raises:
        InputError: the shapes do not match.
    """
    check_views("InfoNCE with a queue", query, key, weight)
    if queue.dim() != 2 or queue.shape[1] != query.shape[1]:
        raise InputError(f"the queue must have {query.shape[1]} columns as the keys have (got {tuple(queue.shape)})")
    anchors = normalize(query, dim=1) / temperature
    positive = (anchors * normalize(key, dim=1)).sum(1, keepdim=True)
    negative = anchors @ normalize(queue.detach().to(anchors), dim=1).T
    if queue_weight is not None:
        negative = negative + queue_weight.detach().to(anchors).log()
    terms = torch.cat([positive, negative], dim=1).logsumexp(1) - positive.squeeze(1)
    return weighted_mean(terms, weight)
