"""Paired tests between methods that were judged on the same seeds and splits, corrected for their number."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, ttest_rel, wilcoxon

Scores = Mapping[Any, float]
_EXACT = 12  # pairs whose 2^n signs are enumerated


@dataclass(frozen=True)
class Comparison:
    """Two methods on the pairs that both have.

    Attributes:
        first, second: positions of the two in what was compared.
        pairs: number of common keys.
        difference: mean of first minus second.
        t_p, wilcoxon_p: two-sided p-values of the paired t test and of Wilcoxon's signed-rank test; None where the
            test says nothing: fewer than two pairs, or no difference at all.
        t_holm, wilcoxon_holm: the same after Holm's correction.
    """

    first: int
    second: int
    pairs: int
    difference: float
    t_p: float | None
    wilcoxon_p: float | None
    t_holm: float | None = None
    wilcoxon_holm: float | None = None


def compare_all(entries: Sequence[Scores]) -> list[Comparison]:
    """Every pair of entries, with both tests, corrected over all pairs.

    Args:
        entries: for each method the score of each key; a key names what makes two scores a pair (seed and split).
    """
    pairs = list(combinations(range(len(entries)), 2))
    by_count: dict[int, list[int]] = defaultdict(list)
    differences = [_differences(entries[i], entries[j]) for i, j in pairs]
    for position, values in enumerate(differences):
        by_count[len(values)].append(position)
    found: dict[int, Comparison] = {}
    for count, positions in by_count.items():
        rows = np.array([differences[position] for position in positions], dtype=np.float64).reshape(
            len(positions), count
        )
        for position, mean, t_p, rank_p in zip(positions, *_tests(rows), strict=True):
            found[position] = Comparison(*pairs[position], count, mean, t_p, rank_p)
    return corrected([found[position] for position in range(len(pairs))])


def compare(one: Scores, other: Scores) -> Comparison:
    """Two entries alone; the difference is nan if they have no key in common."""
    return compare_all([one, other])[0]


def _differences(one: Scores, other: Scores) -> list[float]:
    return [one[key] - other[key] for key in one if key in other]


def _tests(rows: NDArray[np.float64]) -> tuple[list[float], list[float | None], list[float | None]]:
    """Mean and p-values of the paired t test and Wilcoxon's test of each row of differences, shape (pairs, count)."""
    nothing: list[float | None] = [None] * len(rows)
    if rows.shape[1] == 0:
        return [math.nan] * len(rows), nothing, nothing
    means = rows.mean(axis=1).tolist()
    if rows.shape[1] == 1:
        return means, nothing, nothing
    t_p, rank_p = list(nothing), list(nothing)
    # Differences that are all alike have no variance to measure them against: the t test has no answer then.
    varied, nonzero = np.ptp(rows, axis=1) > 1e-12, (rows != 0).any(axis=1)
    for where, p, test in ((varied, t_p, _t_test), (nonzero, rank_p, _rank_test)):
        if where.any():
            for index, value in zip(np.flatnonzero(where), test(rows[where]), strict=True):
                p[index] = None if math.isnan(value) else float(value)
    return means, t_p, rank_p


def _t_test(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.atleast_1d(ttest_rel(rows, np.zeros_like(rows), axis=1).pvalue)


def _rank_test(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Exact for up to 12 pairs, ties and zeros included; SciPy's normal approximation with ties in longer rows."""
    count = rows.shape[1]
    if count > _EXACT:
        return np.atleast_1d(wilcoxon(rows, axis=1).pvalue)
    # A zero gets rank 0, whose sign changes nothing: the distribution is that of the test without zeros.
    zeros = (rows == 0).sum(axis=1, keepdims=True)
    ranks = np.where(rows == 0, 0.0, rankdata(np.abs(rows), axis=1) - zeros)
    signs = 1 - 2 * ((np.arange(2**count) >> np.arange(count)[:, None]) & 1)
    observed = np.abs((np.sign(rows) * ranks).sum(axis=1, keepdims=True))
    return np.asarray((np.abs(ranks @ signs) >= observed - 1e-9).mean(axis=1))


def corrected(found: Sequence[Comparison]) -> list[Comparison]:
    """The same comparisons with Holm's correction over all that have a p-value."""
    t = holm([c.t_p for c in found])
    rank = holm([c.wilcoxon_p for c in found])
    return [
        Comparison(c.first, c.second, c.pairs, c.difference, c.t_p, c.wilcoxon_p, a, b)
        for c, a, b in zip(found, t, rank, strict=True)
    ]


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction (Holm, 1979): the smallest of m is multiplied by m, the next by m - 1, ...

    Args:
        p_values: None where no test was possible; such entries are not counted.

    Example:
        >>> holm([0.01, 0.04, None, 0.03])
        [0.03, 0.06, None, 0.06]
    """
    order = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    found: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - rank)))
        found[index] = largest
    return found
