"""What searches found: ``study.json`` of ``gssl tune``."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from gssl.benchmarks.report import text
from gssl.benchmarks.report.cells import Measure
from gssl.benchmarks.report.search_pictures import Drawing, Point
from gssl.benchmarks.report.tables import Column, DataTable, Item, Line
from gssl.benchmarks.report.text import NONE, seconds


class TrialEntry(BaseModel):
    """One trial as ``gssl tune`` writes it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    number: int
    state: str
    values: list[float] | None = None
    params: dict[str, Any]
    default: bool = False
    seconds: float | None = None
    epochs: float | None = None
    reports: dict[str, float | None] = {}


class Named(BaseModel):
    """Something with a name and options."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str


class StudyFile(BaseModel):
    """The file ``study.json``; there is no test score in it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    study: str
    method: Named
    dataset: str
    metric: str
    objective: list[str]
    directions: list[str] = Field(min_length=1)
    algorithm: str
    pruner: str
    trials: list[TrialEntry]
    space: dict[str, Any] = {}


@dataclass(frozen=True)
class Search:
    """A study for the page.

    Attributes:
        name: of the file.
        file: what it holds.
    """

    name: str
    file: StudyFile

    @property
    def title(self) -> str:
        return f"{self.file.method.name} on {self.file.dataset}"

    @property
    def tally(self) -> str:
        """How the trials ended."""
        states = Counter(trial.state for trial in self.file.trials)
        return ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"

    @property
    def best(self) -> TrialEntry | None:
        """The trial with the best first value."""
        complete = [trial for trial in self.file.trials if trial.state == "complete" and trial.values]
        sign = -1 if self.file.directions[0].lower() == "minimize" else 1
        return max(complete, key=lambda trial: sign * (trial.values or [0.0])[0], default=None)

    @property
    def facts(self) -> Iterator[tuple[str, str]]:
        """What stands above the table."""
        yield "trials", self.tally
        best, default = self.best, next((trial for trial in self.file.trials if trial.default), None)
        for name, trial in (("best", best), ("defaults", default)):
            if trial is not None and trial.values:
                yield f"{name}: validation {self.file.metric}", f"{trial.values[0]:.4f} (trial {trial.number})"
        if best is not None:
            yield "best: parameters", ", ".join(f"{key}={_text(value)}" for key, value in best.params.items())
        yield "algorithm", f"{self.file.algorithm}, pruner {self.file.pruner}"

    @cached_property
    def drawing(self) -> Drawing:
        """The trials that can be drawn."""
        higher = self.file.directions[0].lower() != "minimize"
        unit = text.shown_unit(Measure(self.file.metric))
        points = [_point(trial, self.file.objective, unit) for trial in self.file.trials if _drawable(trial)]
        logarithmic = {name for name, kind in self.file.space.items() if isinstance(kind, dict) and kind.get("log")}
        metric = Measure(self.file.metric).name
        return Drawing(
            self.title, tuple(sorted(points, key=lambda p: p.number)), frozenset(logarithmic), metric, higher
        )

    def table(self, number: int) -> DataTable:
        """All trials."""
        parameters = sorted({name for trial in self.file.trials for name in trial.params})
        columns = (
            Column("trial", numeric=True),
            Column("state", filtered=True),
            *(Column(_objective(name, self.file.metric), numeric=True) for name in self.file.objective),
            Column("training", numeric=True),
            *(Column(name, numeric=True) for name in parameters),
        )
        lines = tuple(Line(tuple(self._items(trial, parameters))) for trial in self.file.trials)
        return DataTable(f"study-{number}", f"Trials of {self.title}", columns, lines)

    def _items(self, trial: TrialEntry, parameters: list[str]) -> Iterator[Item]:
        yield Item(str(trial.number), float(trial.number))
        yield Item(trial.state, trial.state, note=" (defaults)" if trial.default else "")
        values = trial.values or []
        for place in range(len(self.file.objective)):
            value = values[place] if place < len(values) else None
            yield Item(NONE if value is None else f"{value:.4f}", value)
        yield Item(seconds(trial.seconds), trial.seconds)
        for name in parameters:
            value = trial.params.get(name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            yield Item(_text(value), float(value) if number else _text(value))  # type: ignore[arg-type]  # a number


def read_search(path: Path, content: Mapping[str, Any]) -> Search:
    """A study from the content of its file.

    Raises:
        ValidationError: something is missing or wrong.
    """
    return Search(path.name, StudyFile.model_validate(content))


def _drawable(trial: TrialEntry) -> bool:
    ended = trial.state in ("complete", "pruned")
    return ended and bool(trial.values) and all(map(math.isfinite, trial.values or []))


def _point(trial: TrialEntry, objectives: list[str], unit: float) -> Point:
    values = dict(zip(objectives, trial.values or [], strict=False))
    reports = [
        (float(epoch), unit * score)
        for epoch, score in trial.reports.items()
        if epoch.isdecimal() and len(epoch) < 10 and score is not None and math.isfinite(score)
    ]
    score = unit * (trial.values or [0.0])[0]
    complete, seconds = trial.state == "complete", values.get("seconds")
    return Point(trial.number, score, complete, trial.params, tuple(reports), trial.epochs, seconds)


def _objective(name: str, metric: str) -> str:
    return f"validation {metric}" if name == "val" else name


def _text(value: object) -> str:
    if value is None:
        return NONE
    return f"{value:.4g}" if isinstance(value, float) else str(value)
