"""Methods ranked over datasets: complete blocks, mean ranks, Friedman's test, critical differences (Demšar, 2006)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as f_distribution
from scipy.stats import friedmanchisquare, rankdata, studentized_range

Table = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Ranking:
    """Methods over datasets that all of them have.

    Attributes:
        methods: by mean rank, best first.
        datasets: blocks, in the order given.
        ranks: shape (datasets, methods), 1 is best, ties share the mean of their ranks.
        mean_ranks: one for each method.
        friedman: chi-squared statistic; None with fewer than three methods or two datasets.
        friedman_p: its p-value.
        iman_davenport_p: p-value of the F form, which is less conservative (Iman and Davenport, 1980).
        critical_difference: of mean ranks by Nemenyi's test; None as for ``friedman``.
        alpha: level of the critical difference.
        groups: maximal runs (first, last) of ``methods`` whose mean ranks lie within the critical difference.
        left_out: methods and datasets that were dropped to make the table complete.
    """

    methods: tuple[str, ...]
    datasets: tuple[str, ...]
    ranks: NDArray[np.float64]
    mean_ranks: tuple[float, ...]
    friedman: float | None
    friedman_p: float | None
    iman_davenport_p: float | None
    critical_difference: float | None
    alpha: float
    groups: tuple[tuple[int, int], ...]
    left_out: tuple[str, ...]


def ranking(table: Table, *, alpha: float = 0.05) -> Ranking | None:
    """Rank methods within each dataset and test whether they differ.

    Args:
        table: dataset to method to score, higher is better.
        alpha: level of the tests.

    Returns:
        None if fewer than two methods share a dataset.
    """
    methods, datasets, left_out = complete_block(table)
    if len(methods) < 2 or not datasets:
        return None
    scores = np.array([[table[dataset][method] for method in methods] for dataset in datasets])
    ranks = rankdata(-scores, axis=1)
    order = np.argsort(ranks.mean(axis=0), kind="stable")
    methods, ranks = [methods[i] for i in order], ranks[:, order]
    means = tuple(float(rank) for rank in ranks.mean(axis=0))
    testable = len(methods) > 2 and len(datasets) > 1
    chi, p, f_p = friedman(ranks) if testable else (None, None, None)
    difference = nemenyi_difference(len(methods), len(datasets), alpha) if testable else None
    return Ranking(
        tuple(methods),
        tuple(datasets),
        ranks,
        means,
        chi,
        p,
        f_p,
        difference,
        alpha,
        () if difference is None else groups_within(means, difference),
        tuple(left_out),
    )


def friedman(ranks: NDArray[np.float64]) -> tuple[float | None, float | None, float | None]:
    """Friedman's statistic, its p-value, and the p-value of its F form; all None if every row is one tie.

    Args:
        ranks: shape (datasets, methods), at least (2, 3).
    """
    blocks, count = ranks.shape
    if np.ptp(ranks, axis=1).max() == 0:
        return None, None, None
    chi, p = friedmanchisquare(*ranks.T)
    room = blocks * (count - 1) - chi
    if room <= 1e-9:  # every dataset ranks the methods alike
        return float(chi), float(p), 0.0
    ratio = (blocks - 1) * chi / room
    return float(chi), float(p), float(f_distribution.sf(ratio, count - 1, (count - 1) * (blocks - 1)))


def nemenyi_difference(methods: int, datasets: int, alpha: float = 0.05) -> float:
    """Smallest difference of mean ranks that is significant (Nemenyi, 1963; Demšar, 2006, section 3.2.2).

    Example:
        >>> round(nemenyi_difference(4, 14), 2)
        1.25
    """
    quantile = float(studentized_range.ppf(1 - alpha, methods, math.inf)) / math.sqrt(2)
    return quantile * math.sqrt(methods * (methods + 1) / (6 * datasets))


def groups_within(mean_ranks: Sequence[float], difference: float) -> tuple[tuple[int, int], ...]:
    """Maximal runs (first, last) of at least two sorted mean ranks that span less than ``difference``.

    Example:
        >>> groups_within([1.0, 1.5, 2.2, 4.0], 1.0)
        ((0, 1), (1, 2))
    """
    runs: list[tuple[int, int]] = []
    for first in range(len(mean_ranks)):
        last = max(i for i in range(first, len(mean_ranks)) if mean_ranks[i] - mean_ranks[first] < difference)
        if last > first and not any(last <= end for _, end in runs):
            runs.append((first, last))
    return tuple(runs)


def complete_block(table: Table) -> tuple[list[str], list[str], list[str]]:
    """Methods and datasets without a missing score, found by dropping what lacks the largest share, one by one.

    Returns:
        Methods, datasets, and the names of both that were dropped.
    """
    datasets = list(table)
    methods = list(dict.fromkeys(method for scores in table.values() for method in scores))
    present = np.array([[method in table[dataset] for method in methods] for dataset in datasets], dtype=bool)
    rows, columns = np.ones(len(datasets), dtype=bool), np.ones(len(methods), dtype=bool)
    while rows.any() and columns.any():
        part = present[np.ix_(rows, columns)]
        if part.all():
            break
        worst_row, worst_column = part.mean(axis=1).argmin(), part.mean(axis=0).argmin()
        # A dataset with a score less goes only if it lacks a larger share than the worst method does.
        if part.mean(axis=1).min() < part.mean(axis=0).min():
            rows[np.flatnonzero(rows)[worst_row]] = False
        else:
            columns[np.flatnonzero(columns)[worst_column]] = False
    kept_methods = [name for name, kept in zip(methods, columns, strict=True) if kept]
    kept_datasets = [name for name, kept in zip(datasets, rows, strict=True) if kept]
    dropped = [name for name in (*methods, *datasets) if name not in {*kept_methods, *kept_datasets}]
    return kept_methods, kept_datasets, dropped
