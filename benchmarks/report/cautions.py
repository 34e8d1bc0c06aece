"""What a reader is warned of: a result below untrained rows, and embeddings that collapsed."""

from __future__ import annotations

from dataclasses import dataclass

from gssl.benchmarks.report.analysis import Entry
from gssl.benchmarks.report.folders import Projection
from gssl.benchmarks.report.text import mean_std
from gssl.evaluate.collapse import Collapse

_ROWS = {"raw": "the raw features", "untrained": "the untrained encoder"}
_LEAST_RANK = 2.0  # of which one dimension is often the mean alone, since RankMe does not centre
_LEAST_SHARE = 0.02  # of the dimensions
_LEAST_SPREAD = 0.1


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
    signs = "" if projection is None else signs_of_collapse(projection.signs, projection.dim)
    if signs and entry.cell.first.method != "raw":  # features are as they are
        found.append(Caution("collapsed", f"The embeddings of seed {projection.seed if projection else 0} {signs}."))
    return tuple(found)


def signs_of_collapse(signs: Collapse, dim: int) -> str:
    """What is wrong with embeddings of so many dimensions, in words; empty if nothing is.

    Example:
        >>> signs_of_collapse(Collapse(rank=1.2, mean_cosine=0.3, spread=0.9), 128)
        'have collapsed: effective rank 1.2 of 128 dimensions'
    """
    found = []
    if signs.rank < max(_LEAST_RANK, _LEAST_SHARE * dim):
        found.append(f"effective rank {signs.rank:.1f} of {dim} dimensions")
    if signs.spread < _LEAST_SPREAD:
        found.append(f"all items point nearly the same way (spread {signs.spread:.3f}, cosine {signs.mean_cosine:.3f})")
    return f"have collapsed: {', '.join(found)}" if found else ""
