"""What a reader is warned of: a result below untrained rows, and embeddings that collapsed."""

from __future__ import annotations

from dataclasses import dataclass

from gssl.benchmarks.report.analysis import Entry
from gssl.benchmarks.report.folders import Projection
from gssl.benchmarks.report.text import mean_std

_ROWS = {"raw": "the raw features", "untrained": "the untrained encoder"}


@dataclass(frozen=True)
class Caution:
    """A warning.

    Attributes:
        kind: in a word or two, for tables and filters.
        text: in full.
    """

    kind: str
    text: str


def cautions(entry: Entry, projection: Projection | None) -> tuple[Caution, ...]:
    """Everything that a result is to be shown with.

    Args:
        entry: the result.
        projection: what its stored embeddings look like, if they are there.
    """
    found = [
        Caution(
            f"below {name}",
            f"This result ({mean_std(entry.spread, entry.cell.protocol)}) is below that of {_ROWS[name]} "
            f"({mean_std(reference, entry.cell.protocol)}) on the same splits: training took away more than it gave.",
        )
        for name, reference in entry.below
    ]
    if projection is not None and projection.collapsed and entry.cell.first.method != "raw":  # features are as they are
        text = f"The embeddings of seed {projection.seed} collapsed: {projection.collapsed}."
        found.append(Caution("collapsed", text))
    return tuple(found)
