"""Margins: what agrees shall be nearer than what does not, by so much and no more than that."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import NonNegative
from gssl.objectives.weights import weighted_mean


def margin_ranking(
    positive: Tensor, negative: Tensor, *, margin: NonNegative = 0.5, weight: Tensor | None = None
) -> Tensor:
    """Mean of ``max(negative - positive + margin, 0)`` over scores, of which the greater is the better.

    The loss of Subg-Con (Jiao et al., 2020, arXiv:2009.10273), on scores in (0, 1) there.

    Args:
        positive: score of each item's positive pair, shape (n,), float.
        negative: score of each item's negative pair, shape (n,), float.
        margin: by which a positive score shall be above a negative one.
        weight: importance weight of each item, shape (n,); None means 1 each.

    Returns:
        Scalar, at least 0; no gradient comes from pairs that are apart by the margin.

    Raises:
        InputError: the margin is negative or not finite.
    """
    _require(margin=margin)
    return weighted_mean(F.relu(negative - positive + margin), weight)


def triplet_margin(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, margin: NonNegative = 1.0, weight: Tensor | None = None
) -> Tensor:
    """Mean of ``max(|a - p| - |a - n| + margin, 0)`` (Schroff et al., 2015, arXiv:1503.03832, without the squares).

    Args:
        anchor: shape (n, dim), float.
        positive: near the anchors, row by row, shape (n, dim), float.
        negative: far from the anchors, row by row, shape (n, dim), float.
        margin: by which a negative shall be farther away than a positive.
        weight: importance weight of each anchor, shape (n,); None means 1 each.

    Returns:
        Scalar, at least 0.

    Raises:
        InputError: the margin is negative or not finite.
    """
    return margin_ranking(-_distance(anchor, positive), -_distance(anchor, negative), margin=margin, weight=weight)


def multi_margin_triplet(
    anchor: Tensor,
    positive: Tensor,
    near: Tensor,
    negative: Tensor,
    *,
    margin: NonNegative = 0.8,
    width: NonNegative = 0.2,
    positive_weight: NonNegative = 1.0,
    near_weight: NonNegative = 1.0,
    bound_weight: NonNegative = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """Triplets with two kinds of positives, and a bound above the negatives (SUGRL, Mo et al., AAAI 2022).

    With distances ``s`` to the anchor it is ``w1 max(s_p - s_n + margin, 0) + w2 max(s_near - s_n + margin, 0) + w3
    max(s_n - s_p - margin - width, 0)``: a negative shall be farther away than a positive by at least the margin, and
    by at most margin and width. In the last term ``s_p`` has no gradient, as in the authors' code: negatives are pulled
    in, and positives are not pushed away.

    Args:
        anchor: shape (n, dim), float.
        positive: of the first kind, row by row, shape (n, dim), float.
        near: positives of the second kind, row by row, shape (n, dim), float.
        negative: row by row, shape (n, dim), float; or several for each anchor, shape (k, n, dim), of which the mean is
            taken.
        margin: see above.
        width: see above.
        positive_weight: w1.
        near_weight: w2.
        bound_weight: w3.
        weight: importance weight of each anchor, shape (n,), or of each with each of several negatives, shape (k, n);
            None means 1 each.

    Returns:
        Scalar, at least 0.

    Raises:
        InputError: a margin or a weight of a term is negative or not finite.
    """
    _require(
        margin=margin,
        width=width,
        positive_weight=positive_weight,
        near_weight=near_weight,
        bound_weight=bound_weight,
    )
    to_positive, to_near = _distance(anchor, positive), _distance(anchor, near)
    to_negative = _distance(anchor, negative)
    terms = (
        positive_weight * F.relu(to_positive - to_negative + margin)
        + near_weight * F.relu(to_near - to_negative + margin)
        + bound_weight * F.relu(to_negative - to_positive.detach() - (margin + width))
    )
    return weighted_mean(terms, None if weight is None else weight.expand_as(terms))


def _distance(first: Tensor, second: Tensor) -> Tensor:
    """Length of the difference of rows, without its last dimension; 1e-6 is added to it as in torch, for gradients."""
    distance: Tensor = torch.linalg.vector_norm(first - second + 1e-6, dim=-1)
    return distance


def _require(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value >= 0):
            raise InputError(f"{name} must be 0 or a positive number (got {value})")
