"""What the rows beside a result say of it: training that took away more than it gave."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from gssl.evaluate.metrics import higher_is_better
from gssl.results.store import RunRow, Store

UNTRAINED = {"raw": "the raw features", "untrained": "the untrained encoder"}


def below_untrained(store: Store, rows: Sequence[RunRow]) -> tuple[str, ...]:
    """Notes on a result that is worse than reference rows of the same store.

    Compared are test scores of the same seeds, on the same splits of the same data, by the same probe.

    Args:
        store: where the references are looked for.
        rows: the finished seeds of one run.
    """
    rows = [row for row in rows if row.test is not None]
    if not rows or rows[0].method in UNTRAINED:
        return ()
    first = rows[0]
    same = ("dataset", "dataset_checksum", "probe", "probe_version", "metric", "task", "setting")
    known = store.rows(method=tuple(UNTRAINED), status="done", **{name: getattr(first, name) for name in same})
    notes = []
    for name, said in UNTRAINED.items():
        ours, theirs = _paired(rows, [row for row in known if row.method == name])
        if ours and (fmean(ours) < fmean(theirs)) == higher_is_better(first.metric) and fmean(ours) != fmean(theirs):
            notes.append(
                f"test {first.metric} {fmean(ours):.3f} is worse than {fmean(theirs):.3f} of {said} on the same "
                "splits: training took away more than it gave"
            )
    return tuple(notes)


def _paired(rows: Sequence[RunRow], references: Sequence[RunRow]) -> tuple[list[float], list[float]]:
    """Test scores of the seeds and splits that both have; of several references with one encoder the latest counts."""
    same = [row for row in references if row.encoder == rows[0].encoder] or references
    by_split = {(row.seed, row.split_hash): row.test for row in same if row.test is not None}
    pairs = [(row.test, by_split[key]) for row in rows if (key := (row.seed, row.split_hash)) in by_split]
    return [ours for ours, _ in pairs if ours is not None], [theirs for _, theirs in pairs]
