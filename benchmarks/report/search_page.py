"""What searches found: ``study.json`` of ``gssl tune`` and the pictures beside it."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from gssl.benchmarks.report.tables import Column, DataTable, Item, Line
from gssl.benchmarks.report.text import NONE, seconds

_PICTURES = {
    "history": "History: the score of each trial, and the best so far",
    "importance": "Importance of each parameter for the score",
    "slice": "Slices: the score over each parameter",
    "reports": "Scores during pretraining, by which trials are pruned",
    "pareto": "Score against seconds",
}


class TrialEntry(BaseModel):
    """One trial as ``gssl tune`` writes it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    number: int
    state: str
    values: list[float] | None = None
    params: dict[str, Any]
    default: bool = False
    seconds: float | None = None


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


@dataclass(frozen=True)
class Search:
    """A study for the page.

    Attributes:
        name: of the file.
        file: what it holds.
        pictures: heading and ``data:`` URI of each picture that stands beside the file.
    """

    name: str
    file: StudyFile
    pictures: tuple[tuple[str, str], ...] = field(repr=False)

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
    """A study with the pictures of its folder.

    Raises:
        ValidationError: something is missing or wrong.
    """
    file = StudyFile.model_validate(content)
    beside = ((title, path.with_name(f"{name}.svg")) for name, title in _PICTURES.items())
    pictures = tuple((title, _data_uri(picture)) for title, picture in beside if picture.is_file())
    return Search(path.name, file, pictures)


def _data_uri(path: Path) -> str:
    # As an image a picture can run no script, whoever wrote it.
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _objective(name: str, metric: str) -> str:
    return f"validation {metric}" if name == "val" else name


def _text(value: object) -> str:
    if value is None:
        return NONE
    return f"{value:.4g}" if isinstance(value, float) else str(value)
