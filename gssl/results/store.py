"""The results store: one row per seed of a run, in SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from gssl.common.errors import InputError
from gssl.results.database import PATIENCE_SECONDS, database_errors, make_engine, patiently, shown, with_tables
from gssl.results.limits import storable
from gssl.results.read_only import make_copy, make_reading_engine, sqlite_file
from gssl.results.schema import KEY, SCHEMA_VERSION, is_older, prepare, runs
from gssl.results.stored import checked

__all__ = ["SCHEMA_VERSION", "RunKey", "RunRow", "Status", "Store", "shown"]

Status = Literal["done", "failed"]
T = TypeVar("T")


def check_store(url: str) -> None:
    """See to it that a store can be opened; a file of SQLite that is not there yet is not made.

    Raises:
        InputError: as :class:`Store` says.
    """
    engine = make_engine(url)
    file = engine.url.database
    engine.dispose()
    if engine.url.get_backend_name() != "sqlite" or (file and Path(file).exists()):
        Store(url).close()


@dataclass(frozen=True)
class RunKey:
    """What makes two rows the same measurement."""

    method: str
    config_hash: str
    dataset: str
    dataset_checksum: str
    split_hash: str
    probe: str
    probe_version: int
    seed: int
    environment_hash: str


@dataclass(frozen=True)
class RunRow(RunKey):
    """One seed of a run.

    Attributes:
        status: whether it was finished, or why not in ``message``.
        metric: name of what ``val`` and ``test`` are.
        val, test: as fractions; None without labels, validation data or success.
        epochs, pretrain_seconds, probe_seconds, peak_memory_mb: cost.
        encoder, sampler, preset: names, for tables.
        run_dir: absolute path of the run's folder.
        date: when it was recorded, ISO 8601 in UTC.
        git_hash: commit; with ``+`` at the end if files differed from it.
        config: the full configuration as JSON.
        environment: the whole environment as JSON.
        message: why it failed; empty otherwise.
        task: what was judged: node, graph, link or cluster.
        setting: how: frozen, finetune, auxiliary or supervised.
        metrics: every metric as JSON (:func:`gssl.results.columns.metrics_text`), ``metric`` first.
        pretrain_cpu_seconds, load: CPU time of all threads beside the wall time, and how many processes computed on the
            machine meanwhile (see :class:`gssl.results.seed.SeedMetrics`); None where that is not known.
    """

    status: Status
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
    run_dir: str
    date: str
    git_hash: str
    config: str
    environment: str
    message: str = ""
    task: str = "node"
    setting: str = "frozen"
    metrics: str = "{}"
    pretrain_cpu_seconds: float | None = None
    load: float | None = None

    @property
    def key(self) -> RunKey:
        return RunKey(**{name: getattr(self, name) for name in KEY})


ROW = tuple(item.name for item in fields(RunRow))


class Store:
    """Open results store; several threads and processes may write to it at the same time.

    While it is open, a server that does not answer is waited for (:data:`PATIENCE_SECONDS`), for example one that is
    started again: nothing is lost, and whoever works goes on.

    Args:
        url: SQLAlchemy URL, for example ``sqlite:///runs/results.db``. A new database gets its tables; one that an
            older gssl made is brought to this version.
        read_only: whether nothing of a file of SQLite is to be changed, so that it may be in a place where nothing
            can be written; one that an older gssl made is read through a copy in memory.
        patience: seconds for which a server is waited for when the store is opened; none for a user's own URL, which
            may be wrong.

    Raises:
        InputError: the URL is wrong, the database cannot be opened, or a newer gssl made it.
    """

    def __init__(self, url: str, *, read_only: bool = False, patience: float = 0.0) -> None:
        self.url = url
        self._patience = patience
        if read_only and _is_sqlite_file(url):
            self._engine = make_reading_engine(url)
            with database_errors(shown(url)):
                self._prepare_reading()
        else:
            self._engine = make_engine(url)
            with_tables(self._make_tables)
        self._patience = PATIENCE_SECONDS

    def _make_tables(self) -> None:
        self.write(lambda connection: prepare(connection, shown(self.url)))

    def _prepare_reading(self) -> None:
        with self._engine.connect() as connection:
            older = is_older(connection)
        if older:
            self._engine = make_copy(self._engine)
        with self._engine.connect() as connection:
            prepare(connection, shown(self.url), may_make=False)
            connection.commit()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._engine.dispose()

    def record(self, row: RunRow) -> None:
        """Add a row. One of the same key is replaced, but never a finished one by a failure."""
        try:
            self._record(row)
        except IntegrityError:  # another process added the same key between our look and our insertion
            self._record(row)

    def rows(self, **equal: object) -> list[RunRow]:
        """Rows whose columns have these values, oldest first.

        Args:
            equal: column name to value, or to a list or tuple of values.

        Raises:
            InputError: no such column.
            StorageError: a row is damaged.
        """
        query = sa.select(*(runs.c[name] for name in ROW)).order_by(runs.c.date, runs.c.id)
        for name, value in equal.items():
            if name not in ROW:
                raise InputError(f"results have no column {name!r}; known: {', '.join(ROW)}")
            column = runs.c[name]
            query = query.where(column.in_(value) if isinstance(value, list | tuple) else column == value)
        found = self.read(lambda connection: [dict(row._mapping) for row in connection.execute(query)])
        return [checked(RunRow, row, self.url) for row in found]

    def find(self, key: RunKey) -> RunRow | None:
        """The row of a measurement, if there is one."""
        found = self.rows(**asdict(key))
        return found[0] if found else None

    def write(self, work: Callable[[sa.Connection], T]) -> T:
        """What ``work`` returns, whose changes are kept together, or none of them.

        It is begun again where the connection was lost, perhaps after its changes were kept: it must be such that
        twice is once.

        Raises:
            StorageError: the database cannot be used.
        """
        return self._patiently(work, reads=False)

    def read(self, work: Callable[[sa.Connection], T]) -> T:
        """What ``work`` returns, which only asks and so waits for no writer.

        Raises:
            StorageError: the database cannot be used.
        """
        return self._patiently(work, reads=True)

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """A connection whose changes are kept together, or none of them; nothing is tried twice.

        Raises:
            StorageError: the database cannot be used.
        """
        with database_errors(shown(self.url)), self._engine.begin() as connection:
            yield connection

    def _patiently(self, work: Callable[[sa.Connection], T], *, reads: bool) -> T:
        def once() -> T:
            if reads:
                with self._engine.connect() as connection:
                    return work(connection.execution_options(gssl_read=True))
            with self._engine.begin() as connection:
                return work(connection)

        with database_errors(shown(self.url)):
            return patiently(once, f"the results store {shown(self.url)}", seconds=self._patience)

    def _record(self, row: RunRow) -> None:
        self.write(lambda connection: put(connection, row))


def _is_sqlite_file(url: str) -> bool:
    try:
        return sqlite_file(url) is not None
    except (sa.exc.ArgumentError, ValueError):
        return False


def put(connection: sa.Connection, row: RunRow) -> None:
    """Add or replace a row (see :meth:`Store.record`) within a transaction."""
    same = same_run(row.key)
    values = {**asdict(row), "message": storable(row.message), "run_dir": storable(row.run_dir)}
    status = connection.execute(sa.select(runs.c.status).where(same)).scalar_one_or_none()
    if status is None:
        connection.execute(sa.insert(runs).values(**values))
    elif row.status == "done" or status != "done":
        connection.execute(sa.update(runs).where(same).values(**values))


def same_run(key: RunKey) -> sa.ColumnElement[bool]:
    """The condition that a row is that of a measurement."""
    return sa.and_(*(runs.c[name] == getattr(key, name) for name in KEY))
