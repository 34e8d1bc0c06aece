"""Uniformity of directions on the sphere."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.common.errors import InputError
from gssl.objectives.tiles import exponential_dtype, exponential_sums


def uniformity(rows: Tensor, *, t: float = 2.0, weight: Tensor | None = None) -> Tensor:
    """Logarithm of the mean Gaussian potential of all pairs, a scalar (Wang and Isola, 2020, arXiv:2005.10242).

    ``log mean_ij exp(-t |u_i - u_j|^2)`` of the directions u of the rows; a row with itself is a pair, too, as in the
    code of AUG-MAE. The lower, the more evenly directions are spread: 0 where all rows point one way. A row of zeros
    has no direction and counts as the origin. Time is quadratic in the number of rows, memory linear.

    Args:
        rows: embeddings, shape (n, dim), float.
        t: inverse width of the potential, at least 0; small values leave ``2 t (mean cosine - 1)``.
        weight: importance weight of each row, a constant, shape (n,); None means 1 each.

    Raises:
        InputError: t is negative, or too large for the number range.
    """
    if not t >= 0:
        raise InputError(f"t of the uniformity must be 0 at least (got {t})")
    dtype = exponential_dtype("uniformity", 1 / (2 * t) if t else math.inf, rows.dtype)
    unit = F.normalize(rows.to(dtype), dim=1)
    count = unit.new_ones(len(unit)) if weight is None else weight.detach().to(unit)
    # Of itself a row of weight w meets w - 1 in the sums, and here one more.
    itself = (2 * t * unit.square().sum(1)).exp()
    pairs = (count * (exponential_sums(unit, count, 2 * t) + itself)).sum() / count.sum().square()
    potential: Tensor = pairs.log() - 2 * t
    return potential if rows.dtype == torch.float64 else potential.float()
