"""Inclusion probabilities of minimal variance (MVS; Cong et al., 2020, arXiv:2006.13866, Theorem 4.1).

Norms are read in pieces, so that nothing is as large as the population but the norms and, where they are collected,
the probabilities. Sums run on one thread, so the same norms give the same bits whatever the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from torch import Tensor

from gssl.common.errors import InputError, TrainingError

PIECE = 1 << 15
"""Numbers that are looked at together; they fit into the cache."""
Pieces = Callable[[], Iterator[np.ndarray]]
"""Gives all numbers, in order and as often as it is called, in one-dimensional float64 arrays."""
_AT_HAND = 1 << 18  # numbers, 2 MB


def held(pieces: Pieces, size: int) -> Pieces:
    """The same numbers, made only once where they are not many.

    Args:
        pieces: gives them.
        size: how many there are.
    """
    if size > _AT_HAND:
        return pieces
    kept = list(pieces())
    return lambda: iter(kept)


def finite_norms(norms: Tensor) -> np.ndarray:
    """Gradient norms as float64, checked.

    Args:
        norms: shape (n,), any float or integer type, on any device.

    Raises:
        TrainingError: a norm is NaN or infinite (or their sum overflows). The weights that such gradients come from
            are lost, and there is no inclusion probability that would be right.
        InputError: a norm is negative.
    """
    values: np.ndarray = norms.detach().cpu().numpy().astype(np.float64, copy=False).ravel()
    least, total = _least_and_sum(values)
    if not math.isfinite(total):
        bad = int((~np.isfinite(values)).sum()) or values.size
        raise TrainingError(
            f"{bad} of {values.size} gradient norms are not finite, so targets cannot be drawn by them; the training "
            f"diverged: try a lower --set train.lr or --set train.clip_norm=1"
        )
    if least < 0:
        raise InputError(f"a gradient norm cannot be negative (got {least:g})")
    return values


@dataclass(frozen=True)
class Rule:
    """The inclusion probability of an item, as a function of its gradient norm.

    Attributes:
        mu: the norm from which on an item is drawn with probability 1; 0 where that is any positive one.
        least: smaller norms count as that much.
        mix: share of uniform draws.
        share: the probability of uniform draws.
    """

    mu: float
    least: float
    mix: float
    share: float

    def of(self, norms: np.ndarray) -> np.ndarray:
        """Probabilities, in [0, 1], of norms (n,), float64; a new array of the same shape and type."""
        out = np.empty_like(norms)
        _chances(norms, self.mu, self.least, self.mix, self.share, out)
        return out

    def each(self, norms: Pieces) -> Pieces:
        """The probability of each norm."""
        return lambda: map(self.of, norms())


@njit(nogil=True, cache=True, error_model="numpy")
def _chances(norms: np.ndarray, mu: float, least: float, mix: float, share: float, out: np.ndarray) -> None:
    for i in range(len(norms)):
        norm = max(norms[i], least)
        certain = norm > 0 if mu == 0 else norm >= mu
        chosen = 1.0 if certain else (0.0 if mu == 0 else norm / mu)
        out[i] = min((1 - mix) * chosen + mix * share, 1.0)


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
    pieces = pieces_of(finite_norms(norms))
    rule = inclusion_rule(pieces, norms.numel(), size, floor=floor, mix=mix)
    return collected(rule.each(pieces), norms.numel())


def collected(pieces: Pieces, size: int) -> Tensor:
    """All ``size`` numbers together, shape (size,), float64."""
    out = torch.empty(size, dtype=torch.float64)
    start = 0
    for part in pieces():
        out[start : start + len(part)] = torch.from_numpy(part)
        start += len(part)
    return out


def pieces_of(values: np.ndarray) -> Pieces:
    """An array (n,), float64, in pieces."""
    return lambda: (values[start : start + PIECE] for start in range(0, values.size, PIECE))


def inclusion_rule(pieces: Pieces, population: int, size: int, *, floor: float, mix: float) -> Rule:
    """The rule behind :func:`inclusion_probability`.

    Args:
        pieces: gradient norms of all items, finite, not negative.
        population: number of items.
        size: as there.
        floor: as there.
        mix: as there.

    Raises:
        InputError: as there, but for negative norms.
    """
    if not 1 <= size <= population:
        raise InputError(f"{size} items cannot be drawn from {population}")
    if not (0 <= floor < np.inf and 0 <= mix <= 1):
        raise InputError(f"floor must not be negative and mix must be in [0, 1] (got {floor:g} and {mix:g})")
    share = size / population
    totals = _totals(pieces)
    if totals.sum == 0:
        return Rule(1.0, 0.0, 1.0, share)
    least = floor * (totals.sum / population)
    mu = threshold(_lifted(pieces, least), size) if least else _threshold(pieces, size, totals)
    return Rule(mu, least, mix, share)


def priced(norms: Pieces, costs: Pieces, population: int, *, floor: float) -> Pieces:
    """Norms over the square root of what drawing the item costs.

    Probabilities in proportion to ``g_i / sqrt(c_i)`` minimise the variance times the expected cost,
    ``sum(g_i^2 / p_i) * sum(p_i * c_i)`` (optimum allocation; Cochran, Sampling Techniques, 1977, section 5.5).

    Args:
        norms: gradient norms of all items, finite, not negative; where all are zero, they count as equal.
        costs: of the items, positive, in any unit; in pieces of the same sizes.
        population: number of items.
        floor: norms below ``floor`` times their mean count as that much, whatever the item costs.
    """
    total = _totals(norms).sum
    least = floor * (total / population) if total else 1.0
    return lambda: (np.maximum(g, least) / np.sqrt(c) for g, c in zip(norms(), costs(), strict=True))


def _lifted(pieces: Pieces, least: float) -> Pieces:
    return lambda: (np.maximum(part, least) for part in pieces())


def threshold(pieces: Pieces, size: int) -> float:
    """The ``mu`` at which ``F(mu) = sum(min(1, values / mu))`` is ``size`` (Lemma 4.2, whose printed form is garbled).

    With the ``k`` largest values at probability 1, ``mu_k`` is the sum of the others over ``size - k``, and the
    solution is the first ``k`` whose next value is at most ``mu_k``: values that tie need no care. Only values above
    ``mu`` need an order, so a lower bound of ``mu`` is found first, by passes over all values. As ``F`` at most
    doubles where its argument is halved, no more than ``2 * size`` values are left to sort.

    Args:
        pieces: the values, finite, not negative, some positive.
        size: from 1 to their number.

    Returns:
        ``mu``; 0 where no more than ``size`` values are positive, which are then drawn with probability 1.
    """
    return _threshold(pieces, size, _totals(pieces))


def _threshold(pieces: Pieces, size: int, totals: _Totals) -> float:
    if totals.positive <= size:
        return 0.0
    mean = totals.sum / size
    if totals.largest <= mean:
        return mean
    low = _lower_bound(pieces, size, mean)
    rest, large = 0.0, []
    for part in pieces():
        rest += _sum_up_to(part, low)
        large.append(part[part > low])
    return _first_that_fits(np.sort(np.concatenate(large)), rest, size)


def _lower_bound(pieces: Pieces, size: int, upper: float) -> float:
    """A number between half of ``mu`` and ``mu``.

    Where F at half of an upper bound is still below ``size``, that half is an upper bound too, and Newton's step from
    it (to where the values below would give the missing probability) is a lower one. Rounding of these steps moves
    where the search goes on, never the result: what is returned was tried.
    """
    while True:
        tried = upper / 2
        total, above = 0.0, 0
        for part in pieces():
            capped, more = _capped(part, tried)
            total += capped  # F times its argument
            above += more
        if total >= size * tried or above >= size:
            return tried
        newton = (total - above * tried) / (size - above)
        upper = newton if 0 < newton < tried else tried


class _Totals(NamedTuple):
    """How many values are positive, their sum, and the largest."""

    positive: int
    sum: float
    largest: float


def _totals(pieces: Pieces) -> _Totals:
    positive, total, largest = 0, 0.0, 0.0
    for part in pieces():
        more, own, top = _summary(part)
        positive, total, largest = positive + more, total + own, max(largest, top)
    return _Totals(positive, total, largest)


@njit(nogil=True, cache=True)
def _first_that_fits(top: np.ndarray, rest: float, size: int) -> float:
    """The first ``mu_k`` that is no less than the value after the ``k`` largest.

    Args:
        top: the largest values, rising.
        rest: sum of the others.
        size: as in :func:`threshold`.
    """
    remaining = np.empty(len(top) + 1)  # entry j: everything up to the j smallest of ``top``, small ones added first
    remaining[0] = rest
    for j in range(len(top)):
        remaining[j + 1] = remaining[j] + top[j]
    for k in range(min(len(top), size - 1)):
        left = len(top) - k
        mu = remaining[left] / (size - k)
        if top[left - 1] <= mu:
            return float(mu)
    k = min(len(top), size - 1)
    return float(remaining[len(top) - k] / (size - k))


@njit(nogil=True, cache=True)
def _least_and_sum(values: np.ndarray) -> tuple[float, float]:
    least, total = 0.0, 0.0
    for value in values:
        least = min(least, value)
        total += value
    return least, total


@njit(nogil=True, cache=True)
def _summary(values: np.ndarray) -> tuple[int, float, float]:
    positive, total, largest = 0, 0.0, 0.0
    for value in values:
        positive += value > 0
        total += value
        largest = max(largest, value)
    return positive, total, largest


@njit(nogil=True, cache=True)
def _capped(values: np.ndarray, cap: float) -> tuple[float, int]:
    """The sum of the values, none counting more than ``cap``, and how many are above it."""
    total, above = 0.0, 0
    for value in values:
        total += min(value, cap)
        above += value > cap
    return total, above


@njit(nogil=True, cache=True)
def _sum_up_to(values: np.ndarray, largest: float) -> float:
    total = 0.0
    for value in values:
        total += value if value <= largest else 0.0
    return total
