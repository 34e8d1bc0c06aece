"""Whether a mean of ours and a published one differ by more than the noise of both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scipy.stats import t as t_distribution

from gssl.benchmarks.stats.spread import Spread

ASSUMED_RUNS = 5

Verdict = Literal["agrees", "above", "below", "unknown"]


@dataclass(frozen=True)
class Agreement:
    """Ours against published.

    Attributes:
        difference: ours minus theirs.
        limit: what noise explains; None if our noise is unknown.
        verdict: ``agrees`` within the limit, ``above`` or ``below`` it (by value, not by merit), or ``unknown``.
    """

    difference: float
    limit: float | None
    verdict: Verdict


def agreement(ours: Spread, mean: float, std: float | None, runs: int | None, *, confidence: float = 0.95) -> Agreement:
    """Compare the difference of the means with its combined standard error (Welch, 1947).

    The limit is the quantile of Student's t with Welch-Satterthwaite degrees of freedom times
    ``sqrt(s1^2 / n1 + s2^2 / n2)``. Where the source does not say over how many runs its mean was taken, they count as
    :data:`ASSUMED_RUNS`, the fewest that a published protocol asks for; where it gives no spread, it has ours.

    Args:
        ours: our scores.
        mean, std: published, in the unit of ours.
        runs: number of published runs, at least two, if known.
        confidence: two-sided.
    """
    difference = ours.mean - mean
    error = ours.standard_error
    if error is None or ours.std is None:
        return Agreement(difference, None, "unknown")
    theirs, count = ours.std if std is None else std, runs or ASSUMED_RUNS
    other = theirs / math.sqrt(count)
    combined = math.hypot(error, other)
    if combined == 0:
        return Agreement(difference, 0.0, _verdict(difference, 0.0))
    freedom = combined**4 / (error**4 / (ours.count - 1) + other**4 / (count - 1))
    limit = float(t_distribution.ppf(0.5 + confidence / 2, freedom)) * combined
    return Agreement(difference, limit, _verdict(difference, limit))


def _verdict(difference: float, limit: float) -> Verdict:
    if abs(difference) <= limit + 1e-12:
        return "agrees"
    return "above" if difference > 0 else "below"
