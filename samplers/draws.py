"""Random subsets with given inclusion probabilities, made from counter-based random numbers."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numba import njit
from torch import Tensor

from gssl.samplers.kernels import rng as kernels
from gssl.samplers.population import Ids, Population
from gssl.samplers.probability import Pieces
from gssl.samplers.rng import hash64, uniform

Scheme = Literal["poisson", "fixed"]
NO_NODE = -1
"""Counter of the number that belongs to the batch and to no node of it."""
_CHUNK = 1 << 18
_NO_LIST = np.empty(0, np.int64)
_SLACK = 6.0
"""Standard deviations."""
_CLOSE = 1e-6
"""A sum of probabilities that is so close to an integer is one; rounding moves it by far less."""


def poisson_draw(probability: Tensor, ids: Ids, stream: int) -> Tensor:
    """Independent draws: item i is in where its own uniform number is below its probability.

    Args:
        probability: shape (n,), float32 or float64.
        ids: what the random numbers belong to, n global node ids.
        stream: of the batch, from :meth:`gssl.samplers.rng.Key.stream`.

    Returns:
        Positions that were drawn, rising, int64; possibly none.
    """
    if isinstance(ids, range):
        return torch.from_numpy(_poisson(probability.numpy(), _NO_LIST, ids.start, stream))
    if ids.device.type == "cpu":
        return torch.from_numpy(_poisson(probability.numpy(), ids.numpy(), 0, stream))
    return poisson_draw_torch(probability, ids, stream)


def poisson_draw_torch(probability: Tensor, ids: Tensor, stream: int) -> Tensor:
    """:func:`poisson_draw` by torch operators, on any device."""
    return (uniform(stream, ids) < probability).nonzero().squeeze(1)


@njit(nogil=True, cache=True)
def _poisson(probability: np.ndarray, ids: np.ndarray, first: int, stream: int) -> np.ndarray:
    drawn = np.empty(len(probability), np.int64)
    count = 0
    for i in range(len(probability)):
        drawn[count] = i
        count += kernels.uniform(stream, ids[i] if len(ids) else first + i) < probability[i]
    return drawn[:count].copy()


def _hashes(ids: Ids, stream: int) -> Tensor:
    """``hash64(stream, ids)``, in one pass on the CPU."""
    if isinstance(ids, range):
        return torch.from_numpy(_hash_all(_NO_LIST, ids.start, len(ids), stream).view(np.int64))
    if ids.device.type != "cpu":
        return hash64(stream, ids)
    return torch.from_numpy(_hash_all(ids.numpy(), 0, len(ids), stream).view(np.int64))


@njit(nogil=True, cache=True)
def _hash_all(ids: np.ndarray, first: int, count: int, stream: int) -> np.ndarray:
    hashes = np.empty(count, np.uint64)
    for i in range(count):
        hashes[i] = kernels.hash64(stream, ids[i] if len(ids) else first + i)
    return hashes


def keyed_order(ids: Ids, stream: int) -> Tensor:
    """A random order of the items that depends on their ids only, as positions, shape (n,), int64."""
    return _hashes(ids, stream).argsort()  # distinct counters never share a hash


def smallest_hashes(items: Population, count: int, stream: int) -> Tensor:
    """A simple random sample: positions of the ``count`` items with the smallest hashes of their ids, rising, int64.

    Only hashes that are small enough to be among them, by any chance that matters, are kept and compared.
    """
    expected = max(1.0, count + _SLACK * (count**0.5 + 1))
    while True:
        hashes, positions = _below(items, stream, expected / max(len(items), 1))
        if len(hashes) >= min(count, len(items)):
            break
        expected *= 2
    if len(hashes) > count:
        small = hashes <= np.partition(hashes, count - 1)[count - 1]  # distinct counters never share a hash
        positions = positions[small]
    return torch.from_numpy(positions)


def _below(items: Population, stream: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Hashes among the smallest ``share`` of all numbers, and the positions of their items."""
    bound = min(int(share * 2**64) - 2**63, 2**63 - 1)  # hashes have a sign
    hashes, positions = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for start in range(0, len(items), _CHUNK):
        found = _hashes(items.run(start, start + _CHUNK), stream).cpu().numpy()
        inside = np.flatnonzero(found <= bound)
        hashes.append(found[inside])
        positions.append(inside + start)
    return np.concatenate(hashes), np.concatenate(positions)


class Lottery:
    """Draws of a fixed size, again and again with the same inclusion probabilities.

    They are systematic samples (Madow, 1949, doi:10.1214/aoms/1177729988) over a random order: the items are intervals
    of length p side by side, and those that hold one of the points u, u + 1, u + 2, ... are in. The inclusion
    probabilities are exactly p and the size is their sum, rounded at random (to the floor or the ceiling) where that
    is no integer. Given the order, every draw is still unbiased, so the estimates of two draws are uncorrelated, also
    where they share it.

    Args:
        probability: of each item, shape (n,), in [0, 1], float64.
        order: of the items, as positions, shape (n,), int64, from :func:`keyed_order`.
    """

    def __init__(self, probability: Tensor, order: Tensor) -> None:
        self.probability = probability
        self._certain, self._line, self._ends = _line_up(probability.numpy(), order.numpy())
        total = self._ends[-1] if len(self._ends) else 0.0
        whole = round(total)
        if whole and abs(total - whole) < _CLOSE:
            self._ends[-1] = whole
            np.minimum(self._ends, whole, out=self._ends)

    def sample(self, stream: int) -> tuple[Tensor, Tensor]:
        """A draw: positions of the drawn items, distinct, int64, and their inclusion probabilities, float64.

        Args:
            stream: that of the batch.
        """
        drawn = self.systematic(_first_point(stream))
        return drawn, self.probability.index_select(0, drawn)

    def systematic(self, start: float) -> Tensor:
        """Positions that the draw whose first point is ``start``, in [0, 1), holds."""
        return torch.from_numpy(_at_points(self._certain, self._line, self._ends, start))


@njit(nogil=True, cache=True)
def _first_point(stream: int) -> float:
    return float(kernels.uniform(stream, NO_NODE))


@njit(nogil=True, cache=True)
def _line_up(probability: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions of items with probability 1, rising; of those in between, in order; and where the intervals of the
    latter end.
    """
    certain = np.flatnonzero(probability >= 1)
    line, ends = np.empty(len(order), np.int64), np.empty(len(order))
    count, end = 0, 0.0
    for position in order:
        if 0 < probability[position] < 1:
            end += probability[position]
            line[count], ends[count] = position, end
            count += 1
    return certain, line[:count].copy(), ends[:count].copy()


@njit(nogil=True, cache=True)
def _at_points(certain: np.ndarray, line: np.ndarray, ends: np.ndarray, start: float) -> np.ndarray:
    total = ends[-1] if len(ends) else 0.0
    points = max(0, int(np.ceil(total - start)))
    drawn = np.empty(len(certain) + points, np.int64)
    count, last = len(certain), -1
    drawn[:count] = certain
    for point in range(points):
        hit: int = min(int(np.searchsorted(ends, start + point, side="right")), len(line) - 1)
        # An interval is shorter than 1, but rounding can put two points into one that is nearly as long.
        if hit != last:
            drawn[count] = line[hit]
            count += 1
        last = hit
    return drawn[:count]


class PoissonLottery:
    """Draws each item for itself, again and again, with probabilities that nobody keeps.

    Args:
        items: what is drawn.
        chances: gives the probability of each.
    """

    def __init__(self, items: Population, chances: Pieces) -> None:
        self.items = items
        self.chances = chances

    def sample(self, stream: int) -> tuple[Tensor, Tensor]:
        """What :meth:`Lottery.sample` gives."""
        drawn: list[Tensor] = []
        chances: list[Tensor] = []
        start = 0
        for part in self.chances():
            probability = torch.from_numpy(part)
            found = poisson_draw(probability, self.items.run(start, start + len(part)), stream)
            drawn.append(found + start if start else found)
            chances.append(probability.index_select(0, found))
            start += len(part)
        return (drawn[0], chances[0]) if len(drawn) == 1 else (torch.cat(drawn), torch.cat(chances))
