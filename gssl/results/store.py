"""The results store: one row per seed of a run, in SQLite or any database that SQLAlchemy speaks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, NoSuchModuleError, OperationalError

from gssl.common.errors import InputError

SCHEMA_VERSION = 1
_WAIT_SECONDS = 60  # for other writers of the same file

Status = Literal["done", "failed"]


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

    @property
    def key(self) -> RunKey:
        return RunKey(**{name: getattr(self, name) for name in _KEY})


_KEY = tuple(item.name for item in fields(RunKey))
_metadata = sa.MetaData()
_meta = sa.Table(
    "gssl_meta", _metadata, sa.Column("name", sa.String(40), primary_key=True), sa.Column("value", sa.String(40))
)
_runs = sa.Table(
    "runs",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("method", sa.String(200), nullable=False),
    sa.Column("config_hash", sa.String(16), nullable=False),
    sa.Column("dataset", sa.String(200), nullable=False),
    sa.Column("dataset_checksum", sa.String(16), nullable=False),
    sa.Column("split_hash", sa.String(16), nullable=False),
    sa.Column("probe", sa.String(200), nullable=False),
    sa.Column("probe_version", sa.Integer, nullable=False),
    sa.Column("seed", sa.Integer, nullable=False),
    sa.Column("environment_hash", sa.String(16), nullable=False),
    sa.Column("status", sa.String(10), nullable=False),
    sa.Column("metric", sa.String(40), nullable=False),
    sa.Column("val", sa.Float(53)),
    sa.Column("test", sa.Float(53)),
    sa.Column("epochs", sa.Integer, nullable=False),
    sa.Column("pretrain_seconds", sa.Float(53), nullable=False),
    sa.Column("probe_seconds", sa.Float(53), nullable=False),
    sa.Column("peak_memory_mb", sa.Float(53), nullable=False),
    sa.Column("encoder", sa.String(200), nullable=False),
    sa.Column("sampler", sa.String(200), nullable=False),
    sa.Column("preset", sa.String(200), nullable=False),
    sa.Column("run_dir", sa.Text, nullable=False),
    sa.Column("date", sa.String(40), nullable=False, index=True),
    sa.Column("git_hash", sa.String(41), nullable=False),
    sa.Column("config", sa.Text, nullable=False),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.UniqueConstraint(*_KEY, name="one_row_per_measurement"),
)


class Store:
    """Open results store; several processes may write to it at the same time.

    Args:
        url: SQLAlchemy URL, for example ``sqlite:///runs/results.db``. A new database gets its tables.

    Raises:
        InputError: the URL is wrong, the database cannot be opened, or another version of gssl made it.
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self._shown = shown(url)
        with self._errors(), self._engine.begin() as connection:
            _prepare(connection, self._shown)

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
        with self._errors():
            try:
                with self._engine.begin() as connection:
                    _put(connection, row)
            except IntegrityError:  # another process added the same key between our look and our insertion
                with self._engine.begin() as connection:
                    _put(connection, row)

    def rows(self, **equal: object) -> list[RunRow]:
        """Rows whose columns have these values, oldest first.

        Args:
            equal: column name to value, or to a list or tuple of values.

        Raises:
            InputError: no such column.
        """
        query = sa.select(*(_runs.c[name] for name in _ROW)).order_by(_runs.c.date, _runs.c.id)
        for name, value in equal.items():
            if name not in _ROW:
                raise InputError(f"results have no column {name!r}; known: {', '.join(_ROW)}")
            column = _runs.c[name]
            query = query.where(column.in_(value) if isinstance(value, list | tuple) else column == value)
        with self._errors(), self._engine.connect().execution_options(gssl_read=True) as connection:
            return [RunRow(**row._mapping) for row in connection.execute(query)]

    def find(self, key: RunKey) -> RunRow | None:
        """The row of a measurement, if there is one."""
        found = self.rows(**asdict(key))
        return found[0] if found else None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, DatabaseError) as error:
            raise InputError(
                f"the results store {self._shown} cannot be used: {error.orig}; choose another with --db or GSSL_DB"
            ) from error


_ROW = tuple(item.name for item in fields(RunRow))


def shown(url: str) -> str:
    """A database URL without its password, for messages."""
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
        _make_folder(parsed)
        engine = sa.create_engine(parsed)
    except (ArgumentError, NoSuchModuleError) as error:
        raise InputError(
            f"{shown(url)!r} is not a database URL such as sqlite:///runs/results.db: {error}; change --db or GSSL_DB"
        ) from error
    except ModuleNotFoundError as error:
        raise InputError(
            f"the results store {shown(url)} needs the package {error.name!r}: pip install {error.name}"
        ) from None
    if parsed.get_backend_name() == "sqlite":
        sa.event.listen(engine, "connect", _configure_sqlite)
        sa.event.listen(engine, "begin", _begin_immediate)
    return engine


def _make_folder(url: URL) -> None:
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return
    folder = Path(url.database).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the folder {folder} of the results store: {error.strerror or error}; "
            f"choose another with --db or GSSL_DB"
        ) from error


def _configure_sqlite(connection: Any, record: object) -> None:
    connection.isolation_level = None  # pysqlite would start transactions late and by its own rules
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_WAIT_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.close()


def _begin_immediate(connection: sa.Connection) -> None:
    # Writers take the lock at once and so wait for each other; upgrading a read lock later would fail instead.
    reads = connection.get_execution_options().get("gssl_read", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _prepare(connection: sa.Connection, url: str) -> None:
    """Make the tables of a new database; refuse one of another version."""
    if not sa.inspect(connection).has_table(_meta.name):
        if sa.inspect(connection).get_table_names():
            raise InputError(f"{url} is a database of something else; choose another with --db or GSSL_DB")
        _metadata.create_all(connection)
        connection.execute(sa.insert(_meta).values(name="schema_version", value=str(SCHEMA_VERSION)))
        return
    version = connection.execute(sa.select(_meta.c.value).where(_meta.c.name == "schema_version")).scalar_one_or_none()
    if version != str(SCHEMA_VERSION):
        raise InputError(
            f"the results store {url} has schema version {version}, this gssl reads version {SCHEMA_VERSION}; "
            f"choose another with --db or GSSL_DB, or use the gssl that made it"
        )


def _put(connection: sa.Connection, row: RunRow) -> None:
    same = [_runs.c[name] == getattr(row, name) for name in _KEY]
    status = connection.execute(sa.select(_runs.c.status).where(*same)).scalar_one_or_none()
    if status is None:
        connection.execute(sa.insert(_runs).values(**asdict(row)))
    elif row.status == "done" or status != "done":
        connection.execute(sa.update(_runs).where(*same).values(**asdict(row)))
