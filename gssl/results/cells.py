"""The cells of suites in the results store: registered once, claimed by one worker at a time, finished once.

A cell is one seed of one configuration. Whoever works on it holds a claim. A claim ends with the cell, or with its
owner: a process that is gone, or on another machine has been silent for long (see :mod:`gssl.results.silence`), has
lost its claim, and what it reports later is refused. A cell is finished only after the row of its run is there, and
points to it: a process that ends between the two leaves a claim whose next owner finds the finished run in the cell's
folder and repeats nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from gssl.common.errors import StorageError, TrainingError
from gssl.results.cell import STATUSES, UNFINISHED, CellRow, CellScore, CellStatus, Claim, Ending, NewCell
from gssl.results.limits import storable
from gssl.results.owner import Owner
from gssl.results.schema import cells, runs
from gssl.results.silence import Watch, database_time
from gssl.results.store import ROW, RunRow, Store, put, same_run, shown
from gssl.results.stored import checked

__all__ = ["STATUSES", "UNFINISHED", "CellRow", "CellScore", "CellStatus", "Cells", "Claim", "Ending", "NewCell"]

_AT_ONCE = 5000  # values of one query; databases limit them

_Query = sa.Select[Any] | Callable[[str], sa.Select[Any]]  # one that depends on the name of the database
_ROW = tuple(item.name for item in fields(CellRow))
_SCORE = tuple(item.name for item in fields(CellScore))


class Cells:
    """The table of cells of an open store. What it writes is written once, also where a server is lost meanwhile.

    Args:
        store: where it is.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._watch = Watch()

    def register(self, new: Sequence[NewCell]) -> None:
        """Add those that are not there yet, as pending."""
        try:
            self._store.write(lambda connection: _register(connection, new))
        except IntegrityError:  # another process registers the same suite
            self._store.write(lambda connection: _register(connection, new))

    def rows(self, keys: Iterable[str] | None = None) -> dict[str, CellRow]:
        """The cells of these keys that are there, or all of them."""
        query = sa.select(*(cells.c[name] for name in _ROW))
        found = (checked(CellRow, row._mapping, self._store.url) for row in self._selected(query, keys))
        return {row.key: row for row in found}

    def scores(self, keys: Iterable[str]) -> dict[str, CellScore]:
        """What the finished ones among these cells measured."""
        columns = (cells.c[name] if name in ("key", "run_id") else runs.c[name] for name in _SCORE)
        query = sa.select(*columns).join(runs, cells.c.run_id == runs.c.id)
        found = (checked(CellScore, row._mapping, self._store.url) for row in self._selected(query, keys))
        return {row.key: row for row in found}

    def runs(self, keys: Iterable[str]) -> dict[str, RunRow]:
        """The whole rows of the runs of the finished ones among these cells, by key of the cell."""
        query = sa.select(cells.c.key, *(runs.c[name] for name in ROW)).join(runs, cells.c.run_id == runs.c.id)
        found = {}
        for row in self._selected(query, keys):
            key, *values = row
            found[str(key)] = checked(RunRow, dict(zip(ROW, values, strict=True)), self._store.url)
        return found

    def claim(self, key: str, owner: Owner) -> Claim | None:
        """Take a cell that is pending, or whose owner is gone; None if there is nothing to take.

        Raises:
            StorageError: there is no such cell, so this is not the store that the suite was registered in.
        """
        mark = uuid.uuid4().hex

        def take(connection: sa.Connection) -> Claim | None:
            clock = database_time(connection.dialect.name)
            found = connection.execute(sa.select(cells, clock.label("now")).where(cells.c.key == key)).one_or_none()
            if found is None:
                raise StorageError(
                    f"the results store {shown(self._store.url)} does not hold cell {key}, which the suite was "
                    "registered with: it is another store than that of the command; every machine must reach the same"
                )
            claim = Claim(key, mark, found.token)
            if found.claim == mark:  # the connection was lost after it was taken
                return claim
            if not (found.status == "pending" or (found.status == "running" and self._watch.lost(found))):
                return None
            taken = connection.execute(
                sa.update(cells)
                .where(_unchanged(found))
                .values(
                    status="running",
                    claim=claim.id,
                    attempts=found.attempts + 1,
                    heartbeat=clock,
                    date=_now(),
                    message="",
                    **asdict(owner),
                )
            )
            return claim if taken.rowcount == 1 else None

        return self._store.write(take)

    def beat(self, claim: Claim) -> None:
        """Say that the owner of a claim still works, for those who cannot see its process; nothing is tried twice.

        Raises:
            StorageError: the store cannot be used just now.
        """
        with self._store.transaction() as connection:
            clock = database_time(connection.dialect.name)
            connection.execute(sa.update(cells).where(_held(claim)).values(heartbeat=clock))

    def finish(self, claim: Claim, ending: Ending) -> bool:
        """Write how a cell ended.

        Returns:
            False, and nothing was written, if the claim was lost in the meantime.

        Raises:
            TrainingError: the cell is said to be done but its run is not in the store.
        """
        date = _now()

        def write(connection: sa.Connection) -> bool:
            run_id = None
            if ending.run is not None:
                query = sa.select(runs.c.id).where(same_run(ending.run), runs.c.status == "done")
                run_id = connection.execute(query).scalar_one_or_none()
                if run_id is None:
                    raise TrainingError(f"the run of cell {claim.key} is not in the store although it was finished")
            values = {
                "status": ending.status,
                "message": storable(ending.message),
                "seconds": ending.seconds,
                "time_limit": ending.time_limit,
                "memory_limit": ending.memory_limit,
                "run_id": run_id,
                "date": date,
                "claim": "",
            }
            if connection.execute(sa.update(cells).where(_held(claim)).values(**values)).rowcount == 1:
                return True
            same = sa.and_(cells.c.key == claim.key, *(cells.c[name] == value for name, value in values.items()))
            return connection.execute(sa.select(cells.c.key).where(same)).one_or_none() is not None

        return self._store.write(write)

    def release(self, claim: Claim) -> None:
        """Give a claim back; the cell is pending again."""
        self._free(_held(claim))

    def free_lost(self, keys: Iterable[str]) -> None:
        """Make cells pending again whose owners are gone; who calls it now and then can tell that of other machines."""
        for found in self._selected(_with_time, keys):
            if found.status == "running" and self._watch.lost(found):
                self._free(_unchanged(found))

    def reset(self, keys: Iterable[str], *, finished: bool = True) -> int:
        """Make cells pending again, with new folders; those that somebody works on are left alone.

        Rows of former runs stay until a new one of the same measurement takes their place.

        Args:
            keys: which.
            finished: whether those that are done are reset too.

        Returns:
            How many cells were reset.
        """

        def clear(connection: sa.Connection) -> int:
            count = 0
            for part in _parts(keys):
                for row in _all(connection, query=_with_time, keys=part):
                    if (row.status == "running" and not self._watch.lost(row)) or (
                        row.status == "done" and not finished
                    ):
                        continue
                    values = {"status": "pending", "claim": "", "message": "", "run_id": None, "token": _token()}
                    change = sa.update(cells).where(_unchanged(row)).values(**values, date=_now(), seconds=0.0)
                    count += connection.execute(change).rowcount
            return count

        keys = list(keys)
        return self._store.write(clear)

    def reopen(self, keys: Iterable[str]) -> None:
        """Make cells pending again that may go on in their folders, because they were given more."""
        for part in _parts(keys):
            self._free(sa.and_(cells.c.key.in_(part), cells.c.status.in_(UNFINISHED)))

    def adopt(self, found: Sequence[CellRow], led_to: Mapping[str, RunRow], rows: Sequence[RunRow]) -> tuple[int, int]:
        """Add what another store holds, in one transaction.

        Args:
            found: its cells.
            led_to: runs of those that are done, by key of the cell.
            rows: all of its runs.

        Returns:
            How many runs and how many cells were added, or replaced what was not finished.
        """

        def add(connection: sa.Connection) -> tuple[int, int]:
            added = sum(_adopt_run(connection, row) for row in rows)
            return added, sum(_adopt_cell(connection, cell, led_to.get(cell.key)) for cell in found)

        return self._store.write(add)

    def _free(self, condition: sa.ColumnElement[bool]) -> None:
        change = sa.update(cells).where(condition).values(status="pending", claim="", message="", date=_now())
        self._store.write(lambda connection: connection.execute(change))

    def _selected(self, query: _Query, keys: Iterable[str] | None) -> Iterator[Any]:
        for part in [None] if keys is None else _parts(keys):
            yield from self._store.read(partial(_all, query=query, keys=part))


def _all(connection: sa.Connection, *, query: _Query, keys: Sequence[str] | None) -> Sequence[Any]:
    made = query(connection.dialect.name) if callable(query) else query
    return connection.execute(made if keys is None else made.where(cells.c.key.in_(keys))).all()


def _with_time(dialect: str) -> sa.Select[Any]:
    return sa.select(cells, database_time(dialect).label("now"))


def _register(connection: sa.Connection, new: Sequence[NewCell]) -> None:
    known: set[str] = set()
    for part in _parts(cell.key for cell in new):
        known.update(connection.scalars(sa.select(cells.c.key).where(cells.c.key.in_(part))))
    rows = [_fresh(cell) for cell in new if cell.key not in known]
    if rows:
        connection.execute(sa.insert(cells), rows)


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


def _unchanged(row: Any) -> sa.ColumnElement[bool]:
    """The condition that nobody has changed a cell since it was read."""
    return sa.and_(cells.c.key == row.key, cells.c.status == row.status, cells.c.claim == row.claim)


def _token() -> str:
    return uuid.uuid4().hex[:8]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _parts(keys: Iterable[str]) -> Iterator[list[str]]:
    every = list(keys)
    for start in range(0, len(every), _AT_ONCE):
        yield every[start : start + _AT_ONCE]
