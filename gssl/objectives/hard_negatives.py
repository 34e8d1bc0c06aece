"""InfoNCE whose negatives are corrected: for those of the anchor's own class, and towards those that are near."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gssl.common.errors import InputError
from gssl.common.options import NonNegative, Positive, Probability
from gssl.objectives.tiles import exponential_dtype, exponential_sums
from gssl.objectives.weights import check_views, weighted_mean


def debiased_info_nce(
    first: Tensor,
    second: Tensor,
    *,
    temperature: Positive = 0.5,
    class_prior: Probability = 0.1,
    intra: bool = True,
    weight: Tensor | None = None,
    chunk: int | None = None,
) -> Tensor:
    """Debiased InfoNCE: some of the negatives are of the anchor's class (Chuang et al., 2020, arXiv:2007.00224, eq. 8).

    The mean over items, and over both anchors of each, of ``-log(p / (p + G))`` with p the exponential of the positive
    pair's similarity, N negatives whose exponentials have the mean m, and
    ``G = N max((m - class_prior p) / (1 - class_prior), exp(-1 / temperature))``: the mean over negatives of other
    classes, were the positive typical of its class. With a ``class_prior`` of 0 it is InfoNCE.

    Args:
        first: projections of the first view, not normalised, shape (num_items, dim), float.
        second: those of the second view, row i is the same item, shape (num_items, dim).
        temperature: t > 0, of the cosine similarity.
        class_prior: probability that a negative is of the anchor's class, at least 0 and below 1.
        intra: whether items of the anchor's own view are negatives too.
        weight: importance weight of each item, a constant, shape (num_items,), float, not negative; None means
            1 each. A weight of 2 means what including the item twice means, as anchor and as negative.
        chunk: rows of the tiles in which similarities are computed; chosen for the device by default.

    Returns:
        A scalar, float32 (float64 for float64 input). An item without negatives contributes 0.

    Raises:
        InputError: the shapes do not match, or the temperature or the prior is out of range.
    """
    return hard_info_nce(
        first,
        second,
        temperature=temperature,
        class_prior=class_prior,
        concentration=0.0,
        intra=intra,
        weight=weight,
        chunk=chunk,
    )


def hard_info_nce(
    first: Tensor,
    second: Tensor,
    *,
    temperature: Positive = 0.5,
    class_prior: Probability = 0.1,
    concentration: NonNegative = 1.0,
    intra: bool = True,
    weight: Tensor | None = None,
    chunk: int | None = None,
) -> Tensor:
    """InfoNCE with hard negatives (Robinson et al., 2021, arXiv:2010.04592, eq. 4), debiased.

    As :func:`debiased_info_nce`, with a weighted mean m of the exponentials e of the negatives, in which each counts
    ``e ** concentration``. With a ``concentration`` of 0 all count the same. Gradients flow through these weights too,
    as in the authors' code.

    Args:
        first: projections of the first view, not normalised, shape (num_items, dim), float.
        second: those of the second view, row i is the same item, shape (num_items, dim).
        temperature: t > 0, of the cosine similarity.
        class_prior: probability that a negative is of the anchor's class, at least 0 and below 1.
        concentration: beta of the paper, at least 0; the larger, the more the nearest negatives count.
        intra: whether items of the anchor's own view are negatives too.
        weight: importance weight of each item, a constant, shape (num_items,), float, not negative; None means
            1 each. A weight of 2 means what including the item twice means, as anchor and as negative.
        chunk: rows of the tiles in which similarities are computed; chosen for the device by default.

    Returns:
        A scalar, float32 (float64 for float64 input). An item without negatives contributes 0.

    Raises:
        InputError: the shapes do not match, or a number is out of range.
    """
    check_views("InfoNCE with hard negatives", first, second, weight)
    _check_range(class_prior, concentration)
    dtype = exponential_dtype("InfoNCE", temperature, first.dtype, power=1 + concentration)
    u, v = (normalize(z.to(dtype), dim=1) for z in (first, second))
    count = u.new_ones(len(u)) if weight is None else weight.detach().to(u)
    rows, twice, inverse = torch.cat([u, v]), count.repeat(2), 1 / temperature

    def sums(power: float) -> Tensor:
        return exponential_sums(rows, twice, inverse * power, intra=intra, paired=True, chunk=chunk)

    of_negatives = _number_of_negatives(count, intra).repeat(2)
    total = sums(1 + concentration)
    if concentration:
        importance = sums(concentration)
        total = of_negatives * total / importance.where(importance > 0, 1)
    cosine = (u * v).sum(1).repeat(2)
    positive = (cosine * inverse).exp()
    # The sum over other classes, which is at least what it would be if all were opposite to the anchor.
    other = (total - class_prior * of_negatives * positive) / (1 - class_prior)
    other = torch.maximum(other, of_negatives * torch.tensor(-inverse, dtype=dtype).exp())
    terms = ((positive + other).log() - cosine * inverse).view(2, -1).mean(0)
    loss = weighted_mean(terms, None if weight is None else count)
    return loss if first.dtype == torch.float64 else loss.float()


def _number_of_negatives(count: Tensor, intra: bool) -> Tensor:
    """Of each item, shape (n,): everything but its positive and itself, in one view or in both."""
    others = count.sum() - count + (count - 1).clamp(min=0)
    return 2 * others if intra else others


def _check_range(class_prior: float, concentration: float) -> None:
    if not 0 <= class_prior < 1:
        raise InputError(f"class_prior is a probability, at least 0 and below 1 (got {class_prior})")
    if not 0 <= concentration < float("inf"):
        raise InputError(f"concentration must be at least 0 (got {concentration})")
