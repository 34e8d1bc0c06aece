"""Inclusion probabilities of minimal variance (MVS; Cong et al., 2020, arXiv:2006.13866, Theorem 4.1).

Norms are read in pieces, so that nothing is as large as the population but the norms and, where they are collected,
the probabilities. Sums run in numpy on one thread, so the same norms give the same bits whatever the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

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
    total = sum(float(part.sum()) for part in pieces())
    if total == 0:
        return Rule(1.0, 0.0, 1.0, share)
    least = floor * (total / population)
    return Rule(threshold(_lifted(pieces, least) if least else pieces, size), least, mix, share)


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
    positive, total, largest = 0, 0.0, 0.0
    for part in pieces():
        positive += int(np.count_nonzero(part))
        total += float(part.sum())
        largest = max(largest, float(part.max()))
    if positive <= size:
        return 0.0
    mean = total / size
    if largest <= mean:
        return mean
    low = _lower_bound(pieces, size, mean)
    rest, large = 0.0, []
    for part in pieces():
        above = part > low
        rest += float(part.sum(where=~above))
        large.append(part[above])
    top = np.sort(np.concatenate(large))  # rising, so that sums add the small ones first
    remaining = np.append(rest, rest + np.cumsum(top))[::-1]  # entry k: everything but the k largest
    k = min(top.size, size - 1) + 1
    mu = remaining[:k] / np.arange(size, size - k, -1)
    fits = np.append(top[::-1], 0.0)[:k] <= mu
    return float(mu[np.argmax(fits)])


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
            total += float(np.minimum(part, tried).sum())  # F times its argument
            above += int(np.count_nonzero(part > tried))
        if total >= size * tried or above >= size:
            return tried
        newton = (total - above * tried) / (size - above)
        upper = newton if 0 < newton < tried else tried
