"""InfoNCE with several positives."""

from __future__ import annotations

from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.sparse import Pattern
from gssl.models.ops import pair_products
from gssl.objectives.info_nce import log_denominators
from gssl.objectives.weights import weighted_mean


def multi_positive_nce(
    first: Tensor,
    second: Tensor,
    *,
    positives: Pattern,
    temperature: float = 0.8,
    balance: float = 0.5,
    weight: Tensor | None = None,
) -> Tensor:
    """HeCo's contrastive objective between two views (arXiv:2105.09111, eq. 10 to 12).

    With s the cosine similarity and P_i the positives of item i, the loss of the anchor i of the first view is
    ``-log(sum over j in P_i of e^{s(u_i,v_j)/t} / sum over all j of e^{s(u_i,v_j)/t})``, and that of the second view
    the same with u and v exchanged. Time is O(n^2 dim + pairs dim); memory is O(n dim + pairs).

    Args:
        first: projections of the first view, not normalised, shape (n, dim), float.
        second: those of the second view, row i is the same item, shape (n, dim).
        positives: row i holds the positives of item i in its columns, one at least; shape (n, n).
        temperature: t.
        balance: share of the first view's anchors, from 0 to 1.
        weight: importance weight of each item, a constant, shape (n,), not negative; None means 1 each. A weight of 2
            means what including the item twice means, as anchor, as negative and as positive.

    Returns:
        Scalar.

    Raises:
        InputError: the shapes do not match, an item has no positive, or the temperature is out of range.
    """
    if (positives.num_rows, positives.num_cols) != (len(first), len(first)):
        raise InputError(
            f"multi_positive_nce needs positives of shape ({len(first)}, {len(first)}), one row and one column an "
            f"item, but got ({positives.num_rows}, {positives.num_cols})"
        )
    if len(first) and int(positives.counts.min()) == 0:
        raise InputError(f"item {int(positives.counts.argmin())} has no positive: let each item be its own at least")
    u, v, total = log_denominators(first, second, temperature=temperature, intra=False, weight=weight)
    row, col = positives.row, positives.col
    terms = []
    for anchors, others in ((u, v), (v, u)):
        near = (pair_products(positives, anchors, others) / temperature).exp()
        near = near if weight is None else near * weight.detach().to(near)[col]
        terms.append(near.new_zeros(len(first)).index_add(0, row, near).log())
    loss = balance * (total[0] - terms[0]) + (1 - balance) * (total[1] - terms[1])
    return weighted_mean(loss if first.dtype == loss.dtype else loss.to(first.dtype), weight)
