"""Inclusion probabilities of minimal variance (MVS; Cong et al., 2020, arXiv:2006.13866, Theorem 4.1).

Sums run in numpy on one thread, so the same norms give the same bits whatever the number of threads.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gssl.common.errors import InputError, TrainingError

_PIECE = 1 << 15


def finite_norms(norms: Tensor) -> np.ndarray:
    """Gradient norms as float64, checked.

    Args:
        norms: shape (n,), any float or integer type, on any device.

    Raises:
        TrainingError: a norm is NaN or infinite (or their sum overflows). The weights that such gradients come from
            are lost, and there is no inclusion probability that would be right.
        InputError: a norm is negative.
    """
    values: np.ndarray = norms.detach().cpu().numpy().astype(np.float64, copy=False)
    with np.errstate(over="ignore"):
        total = values.sum()
    if not np.isfinite(total):
        bad = int((~np.isfinite(values)).sum()) or values.size
        raise TrainingError(
            f"{bad} of {values.size} gradient norms are not finite, so targets cannot be drawn by them; the training "
            f"diverged: try a lower --set train.lr or --set train.clip_norm=1"
        )
    if values.size and values.min() < 0:
        raise InputError(f"a gradient norm cannot be negative (got {values.min():g})")
    return values


def inclusion_probability(norms: Tensor, size: int, *, floor: float = 0.0, mix: float = 0.0) -> Tensor:
    """Probabilities ``min(1, g_i / mu)`` of drawing each item, which minimise the variance of ``sum(grad_i / p_i)``.

    The sum is ``B_eff = min(size, #{g > 0})``, exact where norms tie. Norms that are all zero say nothing: every
    probability is then ``size / n``.

    Args:
        norms: gradient norm of each item, shape (n,), not negative.
        size: expected number of drawn items, from 1 to n.
        floor: norms below ``floor`` times their mean count as that much, so that no item is out of reach.
        mix: share of uniform draws: ``(1 - mix) * p + mix * size / n``.

    Returns:
        Shape (n,), float64, in [0, 1], on the CPU.

    Raises:
        InputError: ``size`` is not in [1, n], ``floor`` is negative, ``mix`` is not in [0, 1], or a norm is negative.
        TrainingError: a norm is NaN or infinite.
    """
    if not 1 <= size <= norms.numel():
        raise InputError(f"{size} items cannot be drawn from {norms.numel()}")
    if not (0 <= floor < np.inf and 0 <= mix <= 1):
        raise InputError(f"floor must not be negative and mix must be in [0, 1] (got {floor:g} and {mix:g})")
    values = finite_norms(norms)
    share = size / values.size
    if not values.any():
        return torch.full((values.size,), share, dtype=torch.float64)
    if floor:
        values = np.maximum(values, floor * values.mean())
    mu = threshold(values, size)
    chosen = np.sign(values) if mu == 0 else values / mu
    np.minimum(chosen, 1.0, out=chosen)
    if mix:
        chosen *= 1 - mix
        chosen += mix * share
        np.minimum(chosen, 1.0, out=chosen)
    return torch.from_numpy(chosen)


def threshold(values: np.ndarray, size: int) -> float:
    """The ``mu`` at which ``F(mu) = sum(min(1, values / mu))`` is ``size`` (Lemma 4.2, whose printed form is garbled).

    With the ``k`` largest values at probability 1, ``mu_k`` is the sum of the others over ``size - k``, and the
    solution is the first ``k`` whose next value is at most ``mu_k``: values that tie need no care. Only values above
    ``mu`` need an order, so a lower bound of ``mu`` is found first, by passes over all values. As ``F`` at most
    doubles where its argument is halved, no more than ``2 * size`` values are left to sort.

    Args:
        values: shape (n,), float64, finite, not negative; a one-dimensional array.
        size: from 1 to n.

    Returns:
        ``mu``; 0 where no more than ``size`` values are positive, which are then drawn with probability 1.
    """
    if np.count_nonzero(values) <= size:
        return 0.0
    mean = float(values.sum()) / size
    if float(values.max()) <= mean:
        return mean
    low = _lower_bound(values, size, mean)
    large = values > low
    rest = values.sum(where=~large)
    top = np.sort(values[large])  # rising, so that sums add the small ones first
    remaining = np.append(rest, rest + np.cumsum(top))[::-1]  # entry k: everything but the k largest
    k = min(top.size, size - 1) + 1
    mu = remaining[:k] / np.arange(size, size - k, -1)
    fits = np.append(top[::-1], 0.0)[:k] <= mu
    return float(mu[np.argmax(fits)])


def _lower_bound(values: np.ndarray, size: int, upper: float) -> float:
    """A number between half of ``mu`` and ``mu``.

    Where F at half of an upper bound is still below ``size``, that half is an upper bound too, and Newton's step from
    it (to where the values below would give the missing probability) is a lower one. Rounding of these steps moves
    where the search goes on, never the result: what is returned was tried.
    """
    while True:
        tried = upper / 2
        total = _sum_below(values, tried)  # F times its argument
        above = int(np.count_nonzero(values > tried))
        if total >= size * tried or above >= size:
            return tried
        newton = (total - above * tried) / (size - above)
        upper = newton if 0 < newton < tried else tried


def _sum_below(values: np.ndarray, bound: float) -> float:
    """Sum of ``min(value, bound)``, in pieces, so that no second array of this size is made."""
    parts = (values[start : start + _PIECE] for start in range(0, values.size, _PIECE))
    return sum(float(np.minimum(part, bound).sum()) for part in parts)
