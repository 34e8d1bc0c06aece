"""Files of ``gssl variance --json``, ``gssl converge`` and ``gssl tune`` that the page shows beside the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from gssl.benchmarks.report.search_page import Search, read_search
from gssl.common.errors import InputError
from gssl.common.files import parse_json
from gssl.convergence.record import Trajectory


class SamplerNumbers(BaseModel):
    """Error of one sampler's gradient, relative to the squared norm of the full one."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    bias2: float
    variance: float
    ms_per_batch: float
    draws: int | None = None

    @property
    def mse(self) -> float:
        return self.bias2 + self.variance


class VarianceFile(BaseModel):
    """The answer of ``gssl variance --json``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    method: str
    dataset: str
    task: str = "node"
    setting: str = "frozen"
    batch_size: int
    draws: int
    warmup: int
    norms: str = ""
    samplers: dict[str, SamplerNumbers]


@dataclass(frozen=True)
class Extras:
    """What the given files hold, with the names of the files."""

    variances: tuple[tuple[str, VarianceFile], ...] = ()
    trainings: tuple[tuple[str, tuple[Trajectory, ...]], ...] = ()
    searches: tuple[Search, ...] = ()

    @property
    def of_samplers(self) -> bool:
        """Whether there is anything about samplers."""
        return bool(self.variances or self.trainings)


def read_extras(paths: Sequence[Path]) -> Extras:
    """Read each file.

    Raises:
        InputError: a file cannot be read or holds something else.
    """
    variances: list[tuple[str, VarianceFile]] = []
    trainings: list[tuple[str, tuple[Trajectory, ...]]] = []
    searches: list[Search] = []
    for path in paths:
        objects = _objects(path)
        try:
            if len(objects) == 1 and "samplers" in objects[0]:
                variances.append((path.name, VarianceFile.model_validate(objects[0])))
            elif len(objects) == 1 and "study" in objects[0]:
                searches.append(read_search(path, objects[0]))
            else:
                trainings += _comparisons(path.name, objects)
        except ValidationError as error:
            raise _refused(path, f"{error.error_count()} values are missing or wrong") from None
    return Extras(tuple(variances), tuple(trainings), tuple(searches))


def _comparisons(name: str, objects: Sequence[dict[str, Any]]) -> list[tuple[str, tuple[Trajectory, ...]]]:
    """Trainings of the same problem together, from the lines of ``--out`` or from the ``--json`` answer."""
    if len(objects) == 1 and "trainings" in objects[0]:
        objects = [{"config": {}, "environment": {}, **training} for training in objects[0]["trainings"]]
    groups: dict[tuple[str, ...], list[Trajectory]] = {}
    for line in objects:
        training = Trajectory.model_validate(line)
        groups.setdefault(training.problem, []).append(training)
    return [(name, tuple(group)) for group in groups.values()]


def _objects(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--extra {path} cannot be read: {error}") from None
    try:
        data = [parse_json(text)]
    except ValueError:
        try:
            data = [parse_json(line) for line in text.splitlines() if line.strip()]
        except ValueError:
            raise _refused(path, "it is not JSON") from None
    if not data or not all(isinstance(item, dict) for item in data):
        raise _refused(path, "it holds no JSON object")
    return data


def _refused(path: Path, why: str) -> InputError:
    return InputError(
        f"--extra {path}: {why}; it takes what `gssl variance --json` or `gssl converge --json` printed, "
        "the --out file of `gssl converge`, or study.json of `gssl tune`"
    )
