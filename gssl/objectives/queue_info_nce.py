"""InfoNCE whose negatives are rows that all items share: the keys of former batches, or candidates."""

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
    return candidate_info_nce(
        query, key, queue.detach(), temperature=temperature, candidate_weight=queue_weight, weight=weight
    )


def candidate_info_nce(
    query: Tensor,
    key: Tensor,
    candidates: Tensor,
    *,
    known: Tensor | None = None,
    temperature: float = 0.1,
    candidate_weight: Tensor | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """InfoNCE of pairs against candidates that all pairs share, in GPT-GNN the other nodes (arXiv:2006.15437, eq. 6).

    As :func:`queue_info_nce`, but gradients reach the candidates, and some may be positive, too.

    Args:
        query: shape (num_items, dim), float.
        key: what belongs to each, shape (num_items, dim).
        candidates: shape (num_candidates, dim).
        known: which candidates are no negatives of which item, shape (num_items, num_candidates), bool; None means
            that all of them are.
        temperature: of the cosine similarities.
        candidate_weight: how often each candidate counts, shape (num_candidates,), not negative; None means once each.
        weight: importance weight of each item, shape (num_items,), float; None means 1 each.

    Returns:
        Scalar; an item without a negative contributes 0.

    Raises:
        InputError: the shapes do not match.
    """
    check_views("InfoNCE with candidates", query, key, weight)
    if candidates.dim() != 2 or candidates.shape[1] != query.shape[1]:
        raise InputError(
            f"the candidates must have {query.shape[1]} columns as the keys have (got {tuple(candidates.shape)})"
        )
    # Similarities over a small temperature are far apart: in 16 bits the loss would be off by percents.
    with torch.autocast(query.device.type, enabled=False):
        anchors, keys, others = (normalize(_at_least_float32(rows), dim=1) for rows in (query, key, candidates))
        anchors = anchors / temperature
        positive = (anchors * keys).sum(1, keepdim=True)
        negative = anchors @ others.to(anchors).T
    if candidate_weight is not None:
        negative = negative + candidate_weight.detach().to(anchors).log()
    if known is not None:
        negative = negative.masked_fill(known, -torch.inf)
    terms = torch.cat([positive, negative], dim=1).logsumexp(1) - positive.squeeze(1)
    return weighted_mean(terms, weight)


def _at_least_float32(rows: Tensor) -> Tensor:
    return rows.float() if rows.dtype in (torch.bfloat16, torch.float16) else rows
