"""The work on one cell: claim it, compute it in a process of its own, write how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gssl.benchmarks.bench.cell import Cell
from gssl.benchmarks.bench.child import CellJob, Report, compute
from gssl.benchmarks.bench.gpus import Pool
from gssl.benchmarks.bench.process import End, Limits, Processes
from gssl.common.errors import StorageError
from gssl.common.files import cannot_write, inside
from gssl.results.cells import Cells, CellStatus, Claim, Ending
from gssl.results.owner import Owner
from gssl.results.places import runs_root
from gssl.results.store import RunKey

_BEAT_SECONDS = 20.0
_BUSY_SECONDS = 60.0  # for an orphan of a killed runner to end and unlock its folder
_KILLS = 20  # from outside, after which a cell counts as failed


@dataclass(frozen=True)
class Done:
    """What became of a cell: a final status, ``taken`` by somebody else, or ``stopped`` with the runner."""

    cell: Cell
    status: CellStatus | Literal["taken", "stopped"]
    message: str = ""
    seconds: float = 0.0


@dataclass
class Worker:
    """Works on cells; usable from several threads.

    Attributes:
        cells: the table in the store.
        processes: where cells are computed.
        device, threads: see :class:`gssl.benchmarks.bench.child.CellJob`.
        db: URL of the store.
        stopping: whether the runner was asked to stop.
        started: told of every cell that begins.
        failed: told of what went wrong outside a cell, which is otherwise raised.
        gpus: of which each cell gets one.
    """

    cells: Cells
    processes: Processes
    db: str
    device: str
    threads: int
    stopping: Callable[[], bool] = lambda: False
    started: Callable[[Cell], None] = lambda cell: None
    failed: Callable[[Exception], None] | None = None
    gpus: Pool = field(default_factory=Pool)
    _owner: Owner = field(default_factory=Owner.this)
    _unavailable: dict[str, str] = field(default_factory=dict)

    def __call__(self, cell: Cell) -> Done:
        """Work on a cell, unless somebody else does or it is finished.

        Raises:
            StorageError: a disk or the store refuses; the cell is pending again if the store can still say so.
        """
        try:
            with self.gpus.one() as environment:
                if self.stopping():
                    return Done(cell, "stopped")
                return self._done(cell, environment)
        except Exception as error:
            if self.failed is None:
                raise
            self.failed(error)
            return Done(cell, "stopped")

    def _done(self, cell: Cell, environment: Mapping[str, str]) -> Done:
        claim = self.cells.claim(cell.key, self._owner)
        if claim is None:
            return Done(cell, "taken")
        self.started(cell)
        try:
            ending = self._ending(cell, claim, environment)
        except BaseException:
            with suppress(StorageError):  # then the claim ends with this process
                self.cells.release(claim)
            raise
        if ending is None:
            self.cells.release(claim)
            return Done(cell, "stopped")
        if not self.cells.finish(claim, ending):
            return Done(cell, "taken")
        return Done(cell, ending.status, ending.message, ending.seconds)

    def _ending(self, cell: Cell, claim: Claim, environment: Mapping[str, str]) -> Ending | None:
        """How the cell ended; None if it was stopped."""
        limits = Limits(cell.budget.seconds, cell.budget.memory_mb)
        job = CellJob(cell, claim.token, self.db, self.device, self.threads)
        log = inside(log_folder(), f"{claim.key}-{claim.token}.log", "the results store")
        busy_until, killed = time.monotonic() + _BUSY_SECONDS, 0
        while True:
            if cell.dataset in self._unavailable:  # no use in waiting for the same download again
                return Ending("skipped", self._unavailable[cell.dataset])
            end = self.processes.call(
                compute,
                job,
                log=log,
                limits=limits,
                stopping=self.stopping,
                beat=_every(self.cells, claim),
                environment=environment,
            )
            if end.cause == "killed" and killed < _KILLS:
                killed += 1
                continue
            if _verdict(end) == "busy" and time.monotonic() < busy_until:
                time.sleep(0.2)
                continue
            if end.cause == "stopped" or (_verdict(end) == "interrupted" and self.stopping()):
                return None
            if _verdict(end) == "interrupted":
                continue
            break
        ending = _judged(end, limits, log)
        if ending.status == "done":
            log.unlink(missing_ok=True)
        if ending.status == "skipped":
            self._unavailable[cell.dataset] = ending.message
        return ending


def _judged(end: End, limits: Limits, log: Path) -> Ending:
    """From the end of a process to the ending of its cell.

    Raises:
        StorageError: a disk or the store refused.
    """

    def ending(status: CellStatus, message: str, seconds: float, run: RunKey | None = None) -> Ending:
        return Ending(status, message, seconds, run, limits.seconds, limits.memory_mb)

    if end.cause == "time":
        return ending("timed out", end.message, end.seconds)
    if end.cause == "memory":
        return ending("out of memory", end.message, end.seconds)
    if isinstance(end.answer, StorageError):
        raise end.answer
    if not isinstance(end.answer, Report):
        return ending("failed", f"{end.message or end.answer}; see {log}", end.seconds)
    report = end.answer
    if report.verdict == "storage":
        raise StorageError(report.message)
    if report.verdict in ("done", "failed", "skipped", "out of memory"):
        return ending(report.verdict, report.message, report.seconds, report.run)
    return ending("failed", report.message, report.seconds)  # busy for too long


def _verdict(end: End) -> str:
    return end.answer.verdict if isinstance(end.answer, Report) else ""


def _every(cells: Cells, claim: Claim) -> Callable[[], None]:
    """A heartbeat that may be called as often as one likes."""
    last = time.monotonic()

    def beat() -> None:
        nonlocal last
        if time.monotonic() - last > _BEAT_SECONDS:
            last = time.monotonic()
            with suppress(StorageError):  # a store that is away for a moment costs no cell its work
                cells.beat(claim)

    return beat


def log_folder() -> Path:
    """Where processes of cells write what libraries print.

    Raises:
        StorageError: it cannot be made.
    """
    folder = runs_root() / "logs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder
