"""What is kept of a cell, and what is said of it: see :mod:`gssl.results.cells`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from gssl.results.store import RunKey

CellStatus = Literal["pending", "running", "done", "failed", "skipped", "timed out", "out of memory"]
STATUSES: tuple[CellStatus, ...] = get_args(CellStatus)
UNFINISHED: tuple[CellStatus, ...] = ("failed", "skipped", "timed out", "out of memory")


@dataclass(frozen=True)
class NewCell:
    """A cell to be registered.

    Attributes:
        key: hash of everything that decides its result.
        suite: the suite that asks for it first.
        method, dataset, seed: what it is, for tables.
        spec: the whole request as JSON.
    """

    key: str
    suite: str
    method: str
    dataset: str
    seed: int
    spec: str


@dataclass(frozen=True)
class CellRow(NewCell):
    """A cell in the store.

    Attributes:
        status: where it stands.
        message: the reason, for a cell that did not end well.
        seconds: wall time of the worker on it, from the loading of the data to the last file.
        attempts: how often it was claimed.
        time_limit, memory_limit: seconds and MiB that it was given; None for no limit.
        date: of the last change of status, ISO 8601 in UTC.
        run_id: row of the run that it led to; None before.
    """

    status: CellStatus
    message: str
    seconds: float
    attempts: int
    time_limit: float | None
    memory_limit: float | None
    date: str
    run_id: int | None


@dataclass(frozen=True)
class CellScore:
    """What a finished cell measured: those columns of its run that tables show."""

    key: str
    run_id: int
    dataset: str
    config_hash: str
    split_hash: str
    dataset_checksum: str
    probe: str
    probe_version: int
    environment_hash: str
    metric: str
    val: float | None
    test: float | None
    epochs: int
    pretrain_seconds: float
    probe_seconds: float
    peak_memory_mb: float
    encoder: str
    sampler: str
    preset: str
    task: str = "node"
    setting: str = "frozen"
    metrics: str = "{}"


@dataclass(frozen=True)
class Claim:
    """The right to work on a cell.

    Attributes:
        key: of the cell.
        id: tells this claim from every other.
        token: of the cell's folder; the same until the cell is reset, so that interrupted work goes on.
    """

    key: str
    id: str
    token: str


@dataclass(frozen=True)
class Ending:
    """How the work on a cell ended.

    Attributes:
        status: one of those that are final.
        message: the reason, where it did not end well.
        seconds: wall time of the work.
        run: which run it led to, if it is done.
        time_limit, memory_limit: see :class:`CellRow`.
    """

    status: CellStatus
    message: str = ""
    seconds: float = 0.0
    run: RunKey | None = None
    time_limit: float | None = None
    memory_limit: float | None = None
