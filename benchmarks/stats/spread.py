"""Mean, sample standard deviation and bootstrap intervals over repetitions."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap

_AT_ONCE = 256  # cells resampled together: bounds the memory


@dataclass(frozen=True)
class Spread:
    """Scores of one cell.

    Attributes:
        count: number of scores.
        mean: their mean.
        std: sample standard deviation (divided by count - 1); None for one score, which says nothing about noise.
        low, high: bootstrap interval of the mean; None for one score.
    """

    count: int
    mean: float
    std: float | None
    low: float | None = None
    high: float | None = None

    @property
    def standard_error(self) -> float | None:
        """Of the mean; None for one score."""
        return None if self.std is None else self.std / math.sqrt(self.count)


def spread(scores: Sequence[float]) -> Spread:
    """Mean and sample standard deviation, without an interval.

    Args:
        scores: at least one.

    Example:
        >>> spread([0.25, 0.75])
        Spread(count=2, mean=0.5, std=0.3535533905932738, low=None, high=None)
    """
    std = statistics.stdev(scores) if len(scores) > 1 else None
    return Spread(len(scores), statistics.fmean(scores), std)


def spreads(
    cells: Sequence[Sequence[float]], *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> list[Spread]:
    """Spread of each cell with the percentile bootstrap interval of its mean (Efron and Tibshirani, 1993, chapter 13).

    The independent units are resampled, which are the scores of seeds: splits of one seed overlap, so a seed enters
    with its mean over them. With fewer than about ten scores such an interval is too narrow; with n scores it cannot
    leave their range.

    Args:
        cells: scores of each cell, at least one in each.
        confidence: of the interval.
        resamples: bootstrap samples.
        seed: of the resampling; the same scores give the same interval.
    """
    found = [spread(scores) for scores in cells]
    by_count: dict[int, list[int]] = defaultdict(list)
    for index, cell in enumerate(found):
        if cell.count > 1:
            by_count[cell.count].append(index)
    for count, members in by_count.items():
        for start in range(0, len(members), _AT_ONCE):
            part = members[start : start + _AT_ONCE]
            scores = np.array([cells[index] for index in part], dtype=np.float64)
            low, high = _intervals(scores, confidence, resamples, seed)
            for position, index in enumerate(part):
                cell = found[index]
                found[index] = Spread(count, cell.mean, cell.std, float(low[position]), float(high[position]))
    return found


def _intervals(scores: np.ndarray, confidence: float, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the intervals of the rows of ``scores``, shape (cells, repetitions)."""
    result = bootstrap(
        (scores,),
        np.mean,
        n_resamples=resamples,
        confidence_level=confidence,
        axis=-1,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return result.confidence_interval.low, result.confidence_interval.high
