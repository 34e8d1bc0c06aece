"""The cells of suites in the results store: registered once, claimed by one worker at a time, finished once.

A cell is one seed of one configuration. Whoever works on it holds a claim. A claim ends with the cell, or with its
owner: a process that is gone, or on another machine has been silent for long, has lost its claim, and what it
reports later is refused. A cell is finished only after the row of its run is there, and points to it: a process that
ends between the two leaves a claim whose next owner finds the finished run in the cell's folder and repeats nothing.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from gssl.common.errors import TrainingError
from gssl.results.owner import Owner
from gssl.results.schema import cells, runs
from gssl.results.store import ROW, RunKey, RunRow, Store, put, same_run

SILENCE_SECONDS = 300.0  # after which the owner of a claim on another machine counts as gone
_AT_ONCE = 5000  # values of one query; databases limit them

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


_ROW = tuple(item.name for item in fields(CellRow))
_SCORE = tuple(item.name for item in fields(CellScore))


class Cells:
    """The table of cells of an open store.

    Args:
        store: where it is.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def register(self, new: Sequence[NewCell]) -> None:
        """Add those that are not there yet, as pending."""
        try:
            self._register(new)
        except IntegrityError:  # another process registers the same suite
            self._register(new)

    def rows(self, keys: Iterable[str] | None = None) -> dict[str, CellRow]:
        """The cells of these keys that are there, or all of them."""
        query = sa.select(*(cells.c[name] for name in _ROW))
        return {row.key: CellRow(**row._mapping) for row in self._selected(query, keys)}

    def scores(self, keys: Iterable[str]) -> dict[str, CellScore]:
        """What the finished ones among these cells measured."""
        columns = (cells.c[name] if name in ("key", "run_id") else runs.c[name] for name in _SCORE)
        query = sa.select(*columns).join(runs, cells.c.run_id == runs.c.id)
        return {row.key: CellScore(**row._mapping) for row in self._selected(query, keys)}

    def runs(self, keys: Iterable[str]) -> dict[str, RunRow]:
        """The whole rows of the runs of the finished ones among these cells, by key of the cell."""
        query = sa.select(cells.c.key, *(runs.c[name] for name in ROW)).join(runs, cells.c.run_id == runs.c.id)
        found = {}
        for row in self._selected(query, keys):
            key, *values = row
            found[str(key)] = RunRow(**dict(zip(ROW, values, strict=True)))
        return found

    def claim(self, key: str, owner: Owner) -> Claim | None:
        """Take a cell that is pending, or whose owner is gone; None if there is nothing to take."""
        with self._store.transaction() as connection:
            found = connection.execute(sa.select(cells).where(cells.c.key == key)).one_or_none()
            if found is None or not (found.status == "pending" or (found.status == "running" and _lost(found))):
                return None
            claim = Claim(key, uuid.uuid4().hex, found.token)
            taken = connection.execute(
                sa.update(cells)
                .where(cells.c.key == key, cells.c.status == found.status, cells.c.claim == found.claim)
                .values(
                    status="running",
                    claim=claim.id,
                    attempts=found.attempts + 1,
                    heartbeat=time.time(),
                    date=_now(),
                    message="",
                    **asdict(owner),
                )
            )
            return claim if taken.rowcount == 1 else None

    def beat(self, claim: Claim) -> None:
        """Say that the owner of a claim still works, for those who cannot see its process."""
        with self._store.transaction() as connection:
            connection.execute(sa.update(cells).where(_held(claim)).values(heartbeat=time.time()))

    def finish(self, claim: Claim, ending: Ending) -> bool:
        """Write how a cell ended.

        Returns:
            False, and nothing was written, if the claim was lost in the meantime.

        Raises:
            TrainingError: the cell is said to be done but its run is not in the store.
        """
        with self._store.transaction() as connection:
            run_id = None
            if ending.run is not None:
                query = sa.select(runs.c.id).where(same_run(ending.run), runs.c.status == "done")
                run_id = connection.execute(query).scalar_one_or_none()
                if run_id is None:
                    raise TrainingError(f"the run of cell {claim.key} is not in the store although it was finished")
            written = connection.execute(
                sa.update(cells)
                .where(_held(claim))
                .values(
                    status=ending.status,
                    message=ending.message,
                    seconds=ending.seconds,
                    time_limit=ending.time_limit,
                    memory_limit=ending.memory_limit,
                    run_id=run_id,
                    date=_now(),
                    claim="",
                )
            )
            return bool(written.rowcount == 1)

    def release(self, claim: Claim) -> None:
        """Give a claim back; the cell is pending again."""
        with self._store.transaction() as connection:
            connection.execute(sa.update(cells).where(_held(claim)).values(status="pending", claim="", date=_now()))

    def reset(self, keys: Iterable[str], *, finished: bool = True) -> int:
        """Make cells pending again, with new folders; those that somebody works on are left alone.

        Rows of former runs stay until a new one of the same measurement takes their place.

        Args:
            keys: which.
            finished: whether those that are done are reset too.

        Returns:
            How many cells were reset.
        """
        count = 0
        with self._store.transaction() as connection:
            for part in _parts(keys):
                for row in connection.execute(sa.select(cells).where(cells.c.key.in_(part))).all():
                    if (row.status == "running" and not _lost(row)) or (row.status == "done" and not finished):
                        continue
                    changed = connection.execute(
                        sa.update(cells)
                        .where(cells.c.key == row.key, cells.c.status == row.status, cells.c.claim == row.claim)
                        .values(
                            status="pending",
                            claim="",
                            message="",
                            run_id=None,
                            token=_token(),
                            date=_now(),
                            seconds=0.0,
                        )
                    )
                    count += changed.rowcount
        return count

    def reopen(self, keys: Iterable[str]) -> None:
        """Make cells pending again that may go on in their folders, because they were given more."""
        with self._store.transaction() as connection:
            for part in _parts(keys):
                connection.execute(
                    sa.update(cells)
                    .where(cells.c.key.in_(part), cells.c.status.in_(UNFINISHED))
                    .values(status="pending", claim="", message="", date=_now())
                )

    def adopt(self, found: Sequence[CellRow], led_to: Mapping[str, RunRow], rows: Sequence[RunRow]) -> tuple[int, int]:
        """Add what another store holds, in one transaction.

        Args:
            found: its cells.
            led_to: runs of those that are done, by key of the cell.
            rows: all of its runs.

        Returns:
            How many runs and how many cells were added, or replaced what was not finished.
        """
        with self._store.transaction() as connection:
            added = sum(_adopt_run(connection, row) for row in rows)
            return added, sum(_adopt_cell(connection, cell, led_to.get(cell.key)) for cell in found)

    def _register(self, new: Sequence[NewCell]) -> None:
        with self._store.transaction() as connection:
            known: set[str] = set()
            for part in _parts(cell.key for cell in new):
                known.update(connection.scalars(sa.select(cells.c.key).where(cells.c.key.in_(part))))
            rows = [_fresh(cell) for cell in new if cell.key not in known]
            if rows:
                connection.execute(sa.insert(cells), rows)

    def _selected(self, query: sa.Select[Any], keys: Iterable[str] | None) -> Iterator[Any]:
        with self._store.reading() as connection:
            if keys is None:
                yield from connection.execute(query).all()
                return
            for part in _parts(keys):
                yield from connection.execute(query.where(cells.c.key.in_(part))).all()


def _fresh(cell: NewCell) -> dict[str, object]:
    nobody = {"claim": "", "host": "", "pid": 0, "started": 0.0, "heartbeat": 0.0}
    blank = {"status": "pending", "message": "", "attempts": 0, "seconds": 0.0}
    own = {item.name: getattr(cell, item.name) for item in fields(NewCell)}
    return {**own, **nobody, **blank, "token": _token(), "date": _now()}


def _adopt_run(connection: sa.Connection, row: RunRow) -> bool:
    status = connection.execute(sa.select(runs.c.status).where(same_run(row.key))).scalar_one_or_none()
    if status == "done" or status == row.status:
        return False
    put(connection, row)
    return True


def _adopt_cell(connection: sa.Connection, cell: CellRow, run: RunRow | None) -> bool:
    here = connection.execute(sa.select(cells.c.status).where(cells.c.key == cell.key)).scalar_one_or_none()
    final = cell.status not in ("pending", "running")
    if here is not None and (here in ("done", "running") or not final or (here != "pending" and cell.status != "done")):
        return False
    run_id = None
    if run is not None:
        run_id = connection.execute(sa.select(runs.c.id).where(same_run(run.key))).scalar_one()
    values = {**_fresh(cell), **{name: getattr(cell, name) for name in _ROW if name != "run_id"}, "run_id": run_id}
    values["status"] = cell.status if final else "pending"
    if here is None:
        connection.execute(sa.insert(cells).values(**values))
    else:
        connection.execute(sa.update(cells).where(cells.c.key == cell.key).values(**values))
    return True


def _held(claim: Claim) -> sa.ColumnElement[bool]:
    return sa.and_(cells.c.key == claim.key, cells.c.claim == claim.id, cells.c.status == "running")


def _lost(row: Any) -> bool:
    """Whether the owner of a running cell is gone."""
    alive = Owner(row.host, row.pid, row.started).alive()
    return time.time() - row.heartbeat > SILENCE_SECONDS if alive is None else not alive


def _token() -> str:
    return uuid.uuid4().hex[:8]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _parts(keys: Iterable[str]) -> Iterator[list[str]]:
    every = list(keys)
    for start in range(0, len(every), _AT_ONCE):
        yield every[start : start + _AT_ONCE]
