"""What this project itself measured: the committed results of ``gssl run`` and of suites, one line for each cell."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from gssl.benchmarks.rows import ResultRow, read_rows
from gssl.common.errors import InputError

FOLDER = Path(__file__).parent / "results"
# Folders whose results are about methods under their own settings. The others are about samplers, or cut short.
_PLACES = (".", "second-floor", "sources", "catalogue")


class Measured(BaseModel):
    """One score of a method under one configuration.

    Attributes:
        method, dataset, probe, metric, task, setting, encoder: names as in the program.
        preset: which values it took; empty for none.
        mean, std: of the test score over the seeds, as a fraction (errors in their own unit); the sample deviation is
            None for one seed.
        seeds, epochs: how many of each.
        seconds: of training, for a seed, on the machine that it ran on.
        cpu_seconds: that the process computed meanwhile, all threads together; None where it was not measured.
        file: where the rows stand, below ``benchmarks/results``.
    """

    model_config = ConfigDict(frozen=True)

    method: str
    dataset: str
    probe: str
    metric: str
    task: str
    setting: str
    encoder: str
    preset: str
    mean: float
    std: float | None
    seeds: int
    epochs: int
    seconds: float
    cpu_seconds: float | None = None
    file: str


class _Line(BaseModel):
    """The part of a line of ``gssl bench --export`` that is read."""

    method: str
    dataset: str
    probe: str
    metric: str
    cell_spec: str
    encoder: str
    preset: str
    config_hash: str
    status: str
    test: float
    epochs: int
    pretrain_seconds: float
    pretrain_cpu_seconds: Annotated[float | None, BeforeValidator(lambda text: text or None)] = None


@cache
def measured(folder: Path = FOLDER) -> tuple[Measured, ...]:
    """All of them, by file.

    Raises:
        InputError: a file does not hold such results; the message names it.
    """
    found: list[Measured] = []
    for place in (folder / name for name in _PLACES):
        for path in sorted(place.glob("*.jsonl")):
            found += [_of_row(row, path.relative_to(folder).as_posix()) for row in read_rows(path)]
        for path in sorted(place.glob("*.csv")):
            found += _of_lines(_lines(path), path.relative_to(folder).as_posix())
    return tuple(found)


def measured_of(method: str) -> list[dict[str, Any]]:
    """What was measured of a method, as plain data."""
    return [one.model_dump(exclude={"method"}) for one in measured() if one.method == method]


def _of_row(row: ResultRow, file: str) -> Measured:
    extra = row.model_extra or {}
    return Measured(
        **row.model_dump(include={"method", "dataset", "probe", "metric", "task", "setting", "seeds", "epochs"}),
        encoder=extra.get("encoder", ""),
        preset=extra.get("preset") or "",
        mean=row.test_mean,
        std=row.test_std if row.seeds > 1 else None,
        seconds=row.pretrain_seconds,
        cpu_seconds=row.pretrain_cpu_seconds,
        file=file,
    )


def _lines(path: Path) -> Iterator[_Line]:
    with path.open(encoding="utf-8", newline="") as file:
        for number, line in enumerate(csv.DictReader(file), 2):
            if line.get("status") != "done":
                continue  # of a cell that failed or was stopped there is no score
            try:
                yield _Line.model_validate(line)
            except ValidationError as error:
                first = error.errors()[0]
                raise InputError(f"{path.name}:{number}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _of_lines(lines: Iterable[_Line], file: str) -> list[Measured]:
    """Seeds of the same configuration together."""
    groups: dict[tuple[str, ...], list[_Line]] = {}
    for line in lines:
        groups.setdefault((line.method, line.dataset, line.config_hash, line.probe), []).append(line)
    found = []
    for group in groups.values():
        first, scores = group[0], [line.test for line in group]
        cpu: list[Any] = [line.pretrain_cpu_seconds for line in group]
        spec = json.loads(first.cell_spec)
        found.append(
            Measured(
                **first.model_dump(include={"method", "dataset", "probe", "metric", "encoder", "preset"}),
                task=spec.get("task") or "",
                setting=spec.get("setting") or "frozen",
                mean=mean(scores),
                std=stdev(scores) if len(scores) > 1 else None,
                seeds=len(scores),
                epochs=max(line.epochs for line in group),
                seconds=mean(line.pretrain_seconds for line in group),
                cpu_seconds=mean(cpu) if cpu and None not in cpu else None,
                file=file,
            )
        )
    return found
