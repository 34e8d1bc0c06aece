"""Published numbers, with where they stand and how far they were checked (``benchmarks/published/*.yaml``)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from gssl.common import yaml_io
from gssl.common.errors import InputError
from gssl.datasets.types import Metric
from gssl.evaluate.metrics import check_metric, higher_is_better

FOLDER = Path(__file__).parent / "published"

Status = Literal["verified", "second-hand", "from memory"]
Score = tuple[float, float | None]


class _Block(BaseModel):
    """Scores of one method under one protocol from one source."""

    model_config = ConfigDict(extra="forbid")

    method: str
    probe: str
    metric: Annotated[Metric, AfterValidator(check_metric)]
    status: Status
    source: str
    runs: int | None = Field(default=None, ge=2)
    note: str = ""
    task: str = ""
    setting: str = "frozen"
    labels: int | float | None = None
    scores: dict[str, Score]


class Published(BaseModel):
    """One published score.

    Attributes:
        method, dataset, probe, metric: names as this project has them, where it has them.
        mean, std: as a fraction (errors in their own unit); std is None where the source gives none.
        runs: over how many runs, if the source says so.
        status: read at the source, copied from another table, or from memory.
        source: where it stands.
        note: what else differs.
        task: what was judged; empty for labels of nodes or graphs.
        setting: how; ``frozen`` is a probe of frozen embeddings.
        labels: share of the training labels (real) or a number for each class; None for all.
    """

    model_config = ConfigDict(frozen=True)

    method: str
    dataset: str
    probe: str
    metric: Metric
    mean: float
    std: float | None
    runs: int | None
    status: Status
    source: str
    note: str
    task: str
    setting: str
    labels: int | float | None


@cache
def published(folder: Path = FOLDER) -> tuple[Published, ...]:
    """All of them, by file name and then in the order of the file.

    Raises:
        InputError: a file does not hold such numbers; the message names it.
    """
    return tuple(score for path in sorted(folder.glob("*.yaml")) for score in read(path))


def read(path: Path) -> list[Published]:
    """The scores of one file, in percent there unless the metric is an error."""
    found = []
    for number, data in enumerate(yaml_io.read(path).get("results", []), 1):
        try:
            block = _Block.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(f"{path}: entry {number}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        unit = 100.0 if higher_is_better(block.metric) else 1.0
        shared = block.model_dump(exclude={"scores"})
        found += [
            Published(
                dataset=dataset, mean=_share(mean, unit), std=None if std is None else _share(std, unit), **shared
            )
            for dataset, (mean, std) in block.scores.items()
        ]
    return found


def _share(value: float, unit: float) -> float:
    """A score in its unit, without the digits that dividing adds: 71.2 percent are 0.712, not 0.7120000000000001."""
    return float(f"{value / unit:.12g}")


def entries_of(method: str) -> list[dict[str, Any]]:
    """Committed published numbers that are about a method, as plain data."""
    return [entry.model_dump() for entry in published() if entry.method == method]
