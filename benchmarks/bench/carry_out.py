"""The runner: what of a suite is missing is worked on, and the result is the table of all of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from gssl.benchmarks.bench import check
from gssl.benchmarks.bench.cell import Cell
from gssl.benchmarks.bench.compare import Difference, beside
from gssl.benchmarks.bench.display import Display
from gssl.benchmarks.bench.engines import Engine
from gssl.benchmarks.bench.expand import SuitePart, expand, guests_of, level_of
from gssl.benchmarks.bench.gpus import Pool
from gssl.benchmarks.bench.process import Processes
from gssl.benchmarks.bench.suite import Suite
from gssl.benchmarks.bench.table import Row, ranked, suite_rows
from gssl.benchmarks.bench.work import Done, Worker, log_folder
from gssl.common.errors import InputError, StorageError
from gssl.registry import ENCODERS, METHODS, PROBES
from gssl.results.cells import STATUSES, CellRow, Cells, CellScore, CellStatus, NewCell
from gssl.results.limits import require_names
from gssl.results.store import Store
from gssl.training.signals import DeferredSignals

_KILLS = 20  # of a process that checks cells, after which the runner gives up
_WAIT_SECONDS = 2.0  # between looks at cells that somebody else works on


@dataclass(frozen=True)
class Options:
    """How a suite is carried out.

    Attributes:
        db: URL of the results store.
        workers: cells at the same time, for the estimate of the time left.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: threads of one operation in each worker; fixed, because sums depend on it.
        fresh: repeat finished cells too.
        retry: repeat cells that ended in one of these.
        wait: where other runners hold the last cells, stay until these are finished; one of many jobs of a scheduler
            gives its place back instead.
    """

    db: str
    workers: int = 1
    device: str = "auto"
    threads: int = 1
    fresh: bool = False
    retry: tuple[CellStatus, ...] = ()
    wait: bool = True


@dataclass(frozen=True)
class SuiteOutcome:
    """What a suite has led to so far.

    Attributes:
        cells: of the selection.
        counts: cells per status.
        worked: cells that this call worked on.
        rows: the table.
        differences: stored results that a guest could not be compared with.
        seconds: wall time of this call.
        busy_seconds: sum of the cells' own times in this call; what is missing to workers times ``seconds`` is the
            runner's start, its overhead, and workers without a cell at the end.
    """

    cells: list[Cell]
    counts: dict[str, int]
    worked: int
    rows: list[Row]
    differences: list[Difference]
    seconds: float
    busy_seconds: float


def bench(suite: Suite, selection: SuitePart, options: Options, engine: Engine, display: Display) -> SuiteOutcome:
    """Carry out what is missing of a suite.

    Args:
        suite: which one.
        selection: which part of it.
        options: how.
        engine: where cells are worked on.
        display: what is told of the progress.

    Raises:
        InputError: the suite or the selection is wrong, or nothing can be written; the message says what to change.
        KeyboardInterrupt: it was stopped; what is finished is kept, and the same call goes on.
    """
    begin = time.perf_counter()
    guests = guests_of(suite, selection.methods or ())
    processes = _Lazy(suite)
    homes = _homes(suite, guests, processes) if guests else []
    cells = expand(suite, selection, homes)
    with Store(options.db) as store:
        table = Cells(store)
        keys = [cell.key for cell in cells]
        ended: list[Done] = []
        rows = table.rows(keys)
        gpus = _prepare(suite, cells, rows, table, options, processes, here=engine.here)
        if gpus is not None:
            ended = _work(cells, table, options, engine, display, processes, Pool(gpus, cells))
            rows = table.rows(keys)
        scores = table.scores(keys)
        made = suite_rows(cells, rows, scores)
        made, differences = _among_stored(made, guests, scores, cells, store)
    counts = Counter(rows[key].status for key in keys)
    return SuiteOutcome(
        cells,
        {status: counts[status] for status in STATUSES},
        len(ended),
        made,
        differences,
        time.perf_counter() - begin,
        sum(done.seconds for done in ended),
    )


class _Lazy:
    """Processes with what the suite needs imported, begun only when there is something to do."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self._processes: Processes | None = None

    def get(self) -> Processes:
        if self._processes is None:
            entries = [entry for group in self._suite.content.groups for entry in group.methods]
            paths = [METHODS.paths.get(METHODS.canonical(entry.name), "") for entry in entries]
            families = (ENCODERS, PROBES)
            paths += [path for family in families for path in family.paths.values() if path.startswith("gssl.")]
            self._processes = Processes(sorted({path.partition(":")[0] for path in paths if path}))
        return self._processes

    def answer(self, work: Callable[..., object], *arguments: object) -> object:
        """What ``work`` returns in a process of its own."""
        for _ in range(_KILLS):
            end = self.get().call(work, *arguments, log=log_folder() / "check.log")
            if end.cause != "killed":
                break
        if end.cause != "reported":
            raise StorageError(f"the cells could not be checked: {end.message}; see {log_folder() / 'check.log'}")
        if isinstance(end.answer, InputError):
            raise end.answer
        return end.answer


def _homes(suite: Suite, guests: Sequence[str], processes: _Lazy) -> list[tuple[str, int]]:
    """The groups that guests join: those whose data they work on."""
    levels = processes.answer(check.levels_of, list(guests))
    assert isinstance(levels, dict)
    homes = [
        (name, number)
        for name in guests
        for number, group in enumerate(suite.content.groups)
        if (level := level_of(group.datasets[0])) is None or level in levels[name]
    ]
    for name in guests:
        if name not in dict(homes):
            raise InputError(f"no group of suite {suite.name} has data for {name}, which works on {levels[name]}")
    return homes


def _prepare(
    suite: Suite,
    cells: Sequence[Cell],
    rows: Mapping[str, CellRow],
    table: Cells,
    options: Options,
    processes: _Lazy,
    *,
    here: bool,
) -> tuple[str, ...] | None:
    """Check, register and reset cells, of which the store holds ``rows``.

    Returns:
        The GPUs that they may use, where they are worked on on this machine; None where there is nothing to do.
    """
    again = [cell for cell in cells if _again(rows.get(cell.key), options)]
    more = [cell for cell in cells if cell.key in rows and _given_more(cell, rows[cell.key])]
    missing = [cell for cell in cells if cell.key not in rows or rows[cell.key].status in ("pending", "running")]
    todo = [*missing, *again, *more]
    if not todo:
        return None
    variants = {cell.variant(): cell for cell in todo}
    for variant in variants.values():
        require_names(method=variant.method, dataset=variant.dataset, probe=variant.probe or "")
    gpus = processes.answer(check.require_possible, list(variants.values()), options.device if here else None)
    assert isinstance(gpus, tuple)
    table.register([_new(suite, cell) for cell in missing if cell.key not in rows])
    table.reset((cell.key for cell in again), finished=options.fresh)
    table.reopen(cell.key for cell in more if cell not in again)
    return gpus


def _again(row: CellRow | None, options: Options) -> bool:
    return row is not None and (options.fresh or row.status in options.retry)


def _given_more(cell: Cell, row: CellRow) -> bool:
    """Whether a cell was stopped at a limit that has been raised since."""
    if row.status == "timed out" and row.time_limit is not None:
        return cell.budget.seconds is None or cell.budget.seconds > row.time_limit
    if row.status == "out of memory" and row.memory_limit is not None:
        return cell.budget.memory_mb is None or cell.budget.memory_mb > row.memory_limit
    return False


def _work(
    cells: Sequence[Cell],
    table: Cells,
    options: Options,
    engine: Engine,
    display: Display,
    processes: _Lazy,
    gpus: Pool,
) -> list[Done]:
    """Work until no cell is open, or none that this call can have; returns what it has ended."""
    worked: list[Done] = []
    trouble = _Trouble()
    with DeferredSignals() as signals, _shown(display):
        worker = Worker(
            table,
            processes.get(),
            options.db,
            options.device,
            options.threads,
            stopping=lambda: signals.received or trouble.error is not None,
            started=display.started,
            gpus=gpus,
        )
        display.start(cells, table.rows(cell.key for cell in cells), options.workers)
        while not worker.stopping():
            table.free_lost(cell.key for cell in cells)
            rows = table.rows(cell.key for cell in cells)
            todo = [cell for cell in cells if rows[cell.key].status in ("pending", "running")]
            if not todo:
                break
            before = len(worked)
            for done in engine(trouble.caught(worker), todo):
                display.done(done)
                if done.status not in ("taken", "stopped"):
                    worked.append(done)
            if len(worked) == before and not worker.stopping():  # somebody else works on the rest
                if not options.wait:
                    break
                time.sleep(_WAIT_SECONDS)
    if trouble.error is not None:
        raise trouble.error
    return worked


class _Trouble:
    """The first thing that went wrong outside a cell; it ends the work of all workers."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def caught(self, worker: Worker) -> Worker:
        worker.failed = self._note
        return worker

    def _note(self, error: Exception) -> None:
        self.error = self.error or error


@contextmanager
def _shown(display: Display) -> Iterator[None]:
    try:
        yield
    finally:
        display.stop()


def _new(suite: Suite, cell: Cell) -> NewCell:
    return NewCell(cell.key, suite.name, cell.method, cell.dataset, cell.seed, cell.spec_text)


def _among_stored(
    rows: list[Row], guests: Sequence[str], scores: dict[str, CellScore], cells: Sequence[Cell], store: Store
) -> tuple[list[Row], list[Difference]]:
    """Rank guests among everything that is stored on their datasets."""
    differences: list[Difference] = []
    added: list[Row] = []
    judged = {cell.dataset: scores[cell.key] for cell in cells if cell.key in scores}
    shown = {name for row in rows for name in row.config_hashes}
    for guest in rows:
        if guest.method in guests and guest.seeds:
            own = judged[guest.dataset]
            stored = store.rows(dataset=own.dataset, status="done")
            found, other = beside(guest, own.dataset_checksum, stored, shown)
            added += [row for row in found if row not in added]
            differences += [difference for difference in other if difference not in differences]
    order = list(dict.fromkeys(row.dataset for row in rows))
    return ranked([*rows, *added], order), differences
