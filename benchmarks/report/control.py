"""Which methods can be told from the untrained encoder: tests in pairs against one control, corrected together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gssl.benchmarks.report.cells import Cell
from gssl.benchmarks.stats.paired import compare, corrected

CONTROL = "untrained"
Finding = Literal["better", "worse", "not told apart", "no test"]


@dataclass(frozen=True)
class Told:
    """A method beside the untrained encoder.

    Attributes:
        cell: of the method.
        difference: mean test score of the method minus that of the untrained encoder, over the seeds that both have.
        pairs: number of those seeds (and splits).
        p: of the paired t test, or of Wilcoxon's where all differences are alike, with Holm's correction over all
            methods; None where there is no test, with fewer than two seeds.
        finding: in words, at the level of the test.
    """

    cell: Cell
    difference: float
    pairs: int
    p: float | None
    finding: Finding


def against_untrained(cells: Sequence[Cell], *, alpha: float, higher_is_better: bool) -> tuple[Told, ...]:
    """Every trained method against the untrained encoder of the same board.

    Args:
        cells: one for each variant, the untrained encoder among them.
        alpha: level of the tests.
        higher_is_better: of the metric.

    Returns:
        Best difference first; empty if no untrained encoder was judged there.
    """
    control = next((cell for cell in cells if cell.first.method == CONTROL), None)
    methods = [cell for cell in cells if not cell.is_reference]
    if control is None or not methods:
        return ()
    sign = 1 if higher_is_better else -1
    tests = corrected([compare(cell.scores, control.scores) for cell in methods])
    found = []
    for cell, test in zip(methods, tests, strict=True):
        p = test.wilcoxon_holm if test.t_holm is None else test.t_holm
        if test.pairs < 2 or p is None:
            finding: Finding = "no test" if test.pairs < 2 else "not told apart"
        elif p > alpha:
            finding = "not told apart"
        else:
            finding = "better" if sign * test.difference > 0 else "worse"
        found.append(Told(cell, test.difference, test.pairs, p if test.pairs > 1 else None, finding))
    return tuple(sorted((one for one in found if one.pairs), key=lambda one: -sign * one.difference))


def by_finding(told: Sequence[Told]) -> dict[Finding, list[str]]:
    """Names of the methods of each finding; those without a test are left out."""
    return {
        finding: [one.cell.variant for one in told if one.finding == finding]
        for finding in ("better", "not told apart", "worse")
    }
