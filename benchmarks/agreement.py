"""Where this project's own results stand against print: the gap of each cell, and what was tried where it is large."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from gssl.benchmarks.measured import FOLDER, Measured, measured, measured_of
from gssl.benchmarks.publications import Published, entries_of, published
from gssl.benchmarks.rows import markdown_table
from gssl.common import yaml_io
from gssl.common.errors import InputError
from gssl.evaluate.metrics import higher_is_better

TOLERANCE = 0.01  # one point
_CATALOGUE = "catalogue/"
_SPELT_OUT = ("node", "graph")  # tasks that published numbers leave out, being the usual ones


class Tried(BaseModel):
    """What was tried about a gap of more than a point (``benchmarks/results/gaps.yaml``).

    Attributes:
        method, dataset, probe, task, setting: of the cell; the task is empty for labels of nodes or graphs.
        tried: in words.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str
    dataset: str
    probe: str
    task: str = ""
    setting: str = "frozen"
    tried: Annotated[str, StringConstraints(min_length=20)]


class Agreement(BaseModel):
    """A cell that was measured here and published elsewhere under the same protocol.

    Attributes:
        method, dataset, probe, metric, task, setting: of the cell.
        mean, seeds: measured here.
        print: the highest published figure, of those that were read at their source if there are such.
        gap: ``mean - print``, a fraction.
        tried: what was tried, where it is more than a point; empty where nothing is written down.
    """

    model_config = ConfigDict(frozen=True)

    method: str
    dataset: str
    probe: str
    metric: str
    task: str
    setting: str
    mean: float
    seeds: int
    print: float
    gap: float
    tried: str

    @property
    def within(self) -> bool:
        """Whether the two are within one point of each other."""
        return abs(self.gap) <= TOLERANCE + 1e-9


def agreements(
    results: Sequence[Measured], prints: Sequence[Published], tried: Sequence[Tried] = ()
) -> list[Agreement]:
    """Every cell that has both, in the order of the results.

    Of several results of a cell, that of the catalogue counts, or the one with most seeds; outside the catalogue,
    results with values that were made for no dataset in particular count for none. Errors, of which less is better,
    are left out.
    """
    notes = {_cell(one): one.tried for one in tried}
    by_cell: dict[tuple[str, ...], list[Published]] = {}
    for score in prints:
        if score.labels is None and higher_is_better(score.metric):
            by_cell.setdefault((*_cell(score), score.metric), []).append(score)
    chosen: dict[tuple[str, ...], Measured] = {}
    for row in results:
        key = (*_cell(row), row.metric)
        if key in by_cell and _counts(row) and _rank(row) > _rank(chosen.get(key)):
            chosen[key] = row
    return [_agreement(row, by_cell[key], notes.get(key[:-1], "")) for key, row in chosen.items()]


@cache
def committed() -> tuple[Agreement, ...]:
    """Of the committed results and published numbers."""
    return tuple(agreements(measured(), published(), attempts()))


@cache
def attempts(file: Path = FOLDER / "gaps.yaml") -> tuple[Tried, ...]:
    """What was tried, by cell.

    Raises:
        InputError: the file is not as it should be.
    """
    try:
        return tuple(Tried.model_validate(entry) for entry in yaml_io.read(file).get("gaps", []))
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{file.name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def numbers_of(method: str) -> dict[str, list[dict[str, Any]]]:
    """What the card of a method tells in numbers: ``published``, ``measured`` and the ``agreement`` of the two."""
    return {"published": entries_of(method), "measured": measured_of(method), "agreement": agreement_of(method)}


def agreement_of(method: str) -> list[dict[str, Any]]:
    """The cells of a method that have both numbers, as plain data."""
    return [one.model_dump(exclude={"method"}) for one in committed() if one.method == method]


def agreement_table() -> str:
    """How many cells are within a point, and every cell, as Markdown."""
    cells = committed()
    if not cells:
        return "No cell has both yet."
    within = sum(cell.within for cell in cells)
    above = sum(cell.gap > 0 and not cell.within for cell in cells)
    share, no_worse = f"{within / len(cells):.0%}", f"{(within + above) / len(cells):.0%}"
    rows = [
        (
            cell.dataset,
            cell.method,
            cell.task or "labels",
            cell.probe,
            cell.metric,
            f"{100 * cell.mean:.1f}",
            str(cell.seeds),
            f"{100 * cell.print:.1f}",
            f"{100 * cell.gap:+.1f}",
            cell.tried,
        )
        for cell in sorted(cells, key=lambda cell: (cell.dataset, cell.task, cell.method.lower()))
    ]
    header = ["dataset", "method", "task", "probe", "metric", "here", "seeds", "print", "gap", "what was tried"]
    return (
        f"{within} of {len(cells)} cells ({share}) are within one point of print. Of the others {above} are above it "
        f"and {len(cells) - within - above} below, so that {within + above} ({no_worse}) are not worse by more than a "
        "point.\n\n" + markdown_table(header, rows)
    )


def _cell(score: Measured | Published | Tried) -> tuple[str, ...]:
    task = "" if score.task in _SPELT_OUT else score.task
    return score.method, score.dataset, score.probe, task, score.setting


def _counts(row: Measured) -> bool:
    return row.file.startswith(_CATALOGUE) or row.preset not in ("", "default")


def _rank(row: Measured | None) -> tuple[bool, int]:
    return (False, 0) if row is None else (row.file.startswith(_CATALOGUE), row.seeds)


def _agreement(row: Measured, prints: Sequence[Published], tried: str) -> Agreement:
    best = max((score.status == "verified", score.mean) for score in prints)[1]
    method, dataset, probe, task, setting = _cell(row)
    return Agreement(
        method=method,
        dataset=dataset,
        probe=probe,
        metric=row.metric,
        task=task,
        setting=setting,
        mean=row.mean,
        seeds=row.seeds,
        print=best,
        gap=round(row.mean - best, 12),
        tried=tried,
    )
