"""InfoNCE whose positives are neighbors, and whose negatives are all nodes."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gssl.common.errors import InputError
from gssl.graph.sparse import Pattern
from gssl.models.ops import pair_products
from gssl.objectives.tiles import exponential_dtype, exponential_sums
from gssl.objectives.weights import check_views


def neighbor_info_nce(
    prediction: Tensor,
    target: Tensor,
    embedding: Tensor,
    pairs: Pattern,
    *,
    temperature: float = 0.5,
    weight: Tensor | None = None,
    pair_weight: Tensor | None = None,
    chunk: int | None = None,
) -> Tensor:
    """GraphACL's objective: nodes predict their neighbors, and keep apart (Xiao et al., 2023, arXiv:2310.18884, eq. 5).

    The weighted mean over pairs (v, u) of ``log(e^{p_vu} + sum_w e^{s_vw}) - p_vu`` with p the cosine of the prediction
    of v and the target of u, s that of the embeddings of v and w, both over the temperature; w runs over all nodes, v
    included.

    Args:
        prediction: shape (n, dim), float.
        target: shape (n, dim), float; no gradient reaches it.
        embedding: shape (n, dim'), float.
        pairs: (v, u) where u is a positive of v, shape (n, n); at least one.
        temperature: t > 0.
        weight: how often each node is there among the w, a constant, shape (n,), not negative; None means 1 each. The
            node v itself counts once at least.
        pair_weight: importance weight of each pair, a constant, shape (num_pairs,), not negative; None means 1 each.
        chunk: rows of the tiles in which similarities are computed; chosen for the device by default.

    Returns:
        A scalar, float32 (float64 for float64 input).

    Raises:
        InputError: the shapes do not match, or the temperature is out of range.
    """
    check_views("neighbor InfoNCE", prediction, target, weight)
    if len(embedding) != len(prediction) or pairs.num_rows != len(prediction):
        raise InputError(
            f"neighbor InfoNCE needs as many embeddings and rows of pairs as predictions: {len(prediction)}, but got "
            f"{len(embedding)} and {pairs.num_rows}"
        )
    dtype = exponential_dtype("neighbor InfoNCE", temperature, prediction.dtype)
    query, key, unit = (normalize(z.to(dtype), dim=1) for z in (prediction, target.detach(), embedding))
    count = unit.new_ones(len(unit)) if weight is None else weight.detach().to(dtype)
    # The similarity of a node with itself is 1, whatever its embedding.
    others = exponential_sums(unit, count, 1 / temperature, chunk=chunk) + math.exp(1 / temperature)
    positive = pair_products(pairs, query, key) / temperature
    terms = (positive.exp() + others[pairs.row.long()]).log() - positive
    share = torch.ones_like(terms) if pair_weight is None else pair_weight.detach().to(dtype)
    loss = (share * terms).sum() / share.sum()
    return loss if prediction.dtype == torch.float64 else loss.float()
