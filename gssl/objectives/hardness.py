"""InfoNCE with a weight for each pair of an anchor and a negative, or with negatives mixed of the hardest ones."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch.utils.checkpoint import checkpoint

from gssl.objectives.tiles import exponential_dtype
from gssl.objectives.weights import check_views, weighted_mean

Hardness = Callable[[slice], Tensor]
"""How hard a negative every item (column) is for the anchors of some rows: shape (rows, num_items), not negative."""

_Terms = Callable[[slice, Tensor, Tensor], Tensor]
_ROWS = 512


def reweighted_info_nce(
    first: Tensor,
    second: Tensor,
    hardness: Hardness,
    *,
    temperature: float = 0.5,
    weight: Tensor | None = None,
    chunk: int = _ROWS,
) -> Tensor:
    """InfoNCE whose negatives count as hard as they are (ProGCL-weight, Xia et al., 2022, arXiv:2110.02027, eq. 11).

    In the sums over negatives of both views, node j counts the hardness of (i, j) over the mean hardness of the
    negatives of anchor i. The anchors of the second view have the hardness of those of the first. Where all are equally
    hard it is InfoNCE, and where none is hard at all there are no negatives.

    Args:
        first: projections of the first view, not normalised, shape (num_items, dim), float.
        second: those of the second view, row i is the same item, shape (num_items, dim).
        hardness: called with slices of rows, twice where there is a gradient; a constant of it.
        temperature: t > 0, of the cosine similarity.
        weight: importance weight of each item, a constant, shape (num_items,), float, not negative; None means
            1 each. A weight of 2 means what including the item twice means, as anchor and as negative.
        chunk: anchors at a time; memory is ``chunk`` times the number of items.

    Returns:
        A scalar, float32 (float64 for float64 input).

    Raises:
        InputError: the shapes do not match, or the temperature is out of range.
    """
    count = _counts("reweighted InfoNCE", first, second, weight)

    def terms(rows: slice, u: Tensor, v: Tensor) -> Tensor:
        copies = _copies(count.to(u), rows)
        share = hardness(rows).to(u) * copies
        total = share.sum(1)
        share = share * (copies.sum(1) / total.where(total > 0, 1))[:, None]
        positive = (u[rows] * v[rows]).sum(1) / temperature
        loss = torch.zeros_like(positive)
        for own, other in ((u, v), (v, u)):
            met = (own[rows] @ other.T / temperature).exp() + (own[rows] @ own.T / temperature).exp()
            loss = loss + (positive.exp() + (share * met).sum(1)).log()
        return loss / 2 - positive

    return _mean(terms, first, second, temperature, count, chunk)


def mixed_info_nce(
    first: Tensor,
    second: Tensor,
    hardness: Hardness,
    order: Tensor,
    *,
    temperature: float = 0.5,
    weight: Tensor | None = None,
    chunk: int = _ROWS,
) -> Tensor:
    """InfoNCE with further negatives, each a mixture of two hard ones (ProGCL-mix, arXiv:2110.02027, eq. 12 and 13).

    Beside all nodes, an anchor i has a negative for each of its hardest nodes in the other view. It is mixed of that
    one and another of them, by their hardness, and it is their similarities that are mixed, as in the authors' code;
    the paper mixes embeddings.

    Args:
        first: projections of the first view, not normalised, shape (num_items, dim), float.
        second: those of the second view, row i is the same item, shape (num_items, dim).
        hardness: called with slices of rows, twice where there is a gradient; a constant of it.
        order: a permutation of 0 .. k - 1, int64, k below the number of items: the n-th hardest negative is mixed with
            the ``order[n]``-th.
        temperature: t > 0, of the cosine similarity.
        weight: importance weight of each item, a constant, shape (num_items,), float, not negative; None means
            1 each. A mixed negative counts as often as the first node that it is mixed of.
        chunk: anchors at a time; memory is ``chunk`` times the number of items.

    Returns:
        A scalar, float32 (float64 for float64 input).

    Raises:
        InputError: the shapes do not match, or the temperature is out of range.
    """
    count = _counts("mixed InfoNCE", first, second, weight)

    def terms(rows: slice, u: Tensor, v: Tensor) -> Tensor:
        copies = _copies(count.to(u), rows)
        hard, chosen = hardness(rows).to(u).masked_fill(copies == 0, -1).topk(len(order), dim=1)
        hard = hard.clamp(min=0)
        both = hard + hard[:, order] + 1e-12  # where neither is hard, the similarity is 0, as in the code
        often = copies.gather(1, chosen)
        positive = (u[rows] * v[rows]).sum(1) / temperature
        loss = torch.zeros_like(positive)
        for own, other in ((u, v), (v, u)):
            between = own[rows] @ other.T / temperature
            half = hard * between.gather(1, chosen)
            mixed = (half + half[:, order]) / both
            met = between.exp() + (own[rows] @ own.T / temperature).exp()
            loss = loss + (positive.exp() + (copies * met).sum(1) + (often * mixed.exp()).sum(1)).log()
        return loss / 2 - positive

    return _mean(terms, first, second, temperature, count, chunk)


def _counts(name: str, first: Tensor, second: Tensor, weight: Tensor | None) -> Tensor:
    """How often each item is there, shape (num_items,)."""
    check_views(name, first, second, weight)
    return first.new_ones(len(first)) if weight is None else weight.detach().to(first)


def _copies(count: Tensor, rows: slice) -> Tensor:
    """How often each item (column) is a negative of each anchor: of itself, its duplicates are."""
    copies = count.expand(rows.stop - rows.start, -1).clone()
    copies.diagonal(rows.start).copy_((count[rows] - 1).clamp(min=0))
    return copies


def _mean(terms: _Terms, first: Tensor, second: Tensor, temperature: float, count: Tensor, chunk: int) -> Tensor:
    """Weighted mean of the terms of all anchors, of which the backward pass computes each chunk anew."""
    dtype = exponential_dtype("InfoNCE", temperature, first.dtype)
    u, v = (normalize(z.to(dtype), dim=1) for z in (first, second))
    parts = [slice(start, min(start + chunk, len(u))) for start in range(0, len(u), max(chunk, 1))]
    found = [checkpoint(terms, rows, u, v, use_reentrant=False, preserve_rng_state=False) for rows in parts]
    loss = weighted_mean(torch.cat(found), count.to(dtype))
    return loss if first.dtype == torch.float64 else loss.float()
