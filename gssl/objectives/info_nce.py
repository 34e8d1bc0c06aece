"""InfoNCE over all pairs of nodes: exact, in tiles of a symmetric matrix that is never stored."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gssl.objectives.tiles import exponential_dtype, exponential_sums
from gssl.objectives.weights import check_views, weighted_mean


def info_nce(
    first: Tensor,
    second: Tensor,
    *,
    temperature: float = 0.5,
    intra: bool = True,
    symmetric: bool = True,
    weight: Tensor | None = None,
    chunk: int | None = None,
) -> Tensor:
    """GRACE's contrastive objective with all nodes of both views as negatives (arXiv:2006.04131, eq. 1 and 2).

    The mean over items of :func:`info_nce_terms`, weighted by ``weight``.

    Args:
        first: projections of the first view, not normalised, shape (num_items, dim), float.
        second: those of the second view, row i is the same item, shape (num_items, dim).
        temperature: t > 0.
        intra: whether items of the anchor's own view are negatives too.
        symmetric: whether items of both views are anchors, else those of the first view alone.
        weight: importance weight of each item, a constant, shape (num_items,), float, not negative; None means
            1 each. A weight of 2 means what including the item twice means, as anchor and as negative.
        chunk: rows of the tiles in which similarities are computed; chosen for the device by default.

    Returns:
        A scalar, float32 (float64 for float64 input).

    Raises:
        InputError: the shapes do not match, or the temperature is out of range.
    """
    terms = info_nce_terms(
        first, second, temperature=temperature, intra=intra, symmetric=symmetric, weight=weight, chunk=chunk
    )
    return weighted_mean(terms, weight)


def info_nce_terms(
    first: Tensor,
    second: Tensor,
    *,
    temperature: float = 0.5,
    intra: bool = True,
    symmetric: bool = True,
    weight: Tensor | None = None,
    chunk: int | None = None,
) -> Tensor:
    """The loss of each item, averaged over its anchors; arguments as in :func:`info_nce`.

    With s the cosine similarity, the loss of anchor u_i is
    ``-log(e^{s(u_i,v_i)/t} / (sum_j w_j e^{s(u_i,v_j)/t} + [intra] sum_j (w_j - 1[i=j]) e^{s(u_i,u_j)/t}))``.
    Time is O(num_items^2 dim); memory is O(num_items dim).

    Returns:
        Shape (num_items,), float32 (float64 for float64 input).
    """
    u, v, log_denominator = log_denominators(
        first, second, temperature=temperature, intra=intra, weight=weight, chunk=chunk
    )
    denominator = log_denominator.mean(0) if symmetric else log_denominator[0]
    terms: Tensor = denominator - (u * v).sum(1) / temperature
    return terms if first.dtype == torch.float64 else terms.float()


def log_denominators(
    first: Tensor,
    second: Tensor,
    *,
    temperature: float,
    intra: bool,
    weight: Tensor | None,
    chunk: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """What the terms are made of; arguments as in :func:`info_nce`.

    Returns:
        Both views, normalised and in the precision that the temperature asks for, shape (num_items, dim); and the
        logarithm of the denominator of each anchor, those of the first view first, shape (2, num_items).
    """
    check_views("InfoNCE", first, second, weight)
    dtype = exponential_dtype("InfoNCE", temperature, first.dtype)
    u, v = (normalize(z.to(dtype), dim=1) for z in (first, second))
    count = u.new_ones(len(u)) if weight is None else weight.detach().to(u)
    sums = exponential_sums(torch.cat([u, v]), count.repeat(2), 1 / temperature, intra=intra, chunk=chunk)
    return u, v, sums.log().view(2, -1)
