"""Engines: how databases are opened, configured, waited for and blamed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    PendingRollbackError,
)

from gssl.common.errors import InputError, StorageError
from gssl.results.places import remedy

T = TypeVar("T")

WAIT_SECONDS = 60.0  # for other writers of the same file
PATIENCE_SECONDS = 180.0  # for a server that does not answer, for example because it is started again
_ATTEMPTS = 5  # at tables that another process is making too
_PAUSE = 0.5  # seconds between them
_LONGEST_PAUSE = 5.0  # seconds between attempts at a server
# Classes of SQLSTATE that pass: lost connections, a server that stops or starts, transactions in each other's way,
# too many connections. A failed attempt to connect has none.
_PASSING = ("08", "57P", "40", "53300")
# A server that is gone without a word is noticed after a minute (libpq would wait for hours).
_LIBPQ = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
_log = logging.getLogger(__name__)
_RACE = ("already exists", "duplicate column", "duplicate key", "unique constraint")  # SQLite and PostgreSQL
_ADVICE = {
    "locked": "another process keeps it locked; end that process and give the same command again",
    "full": "free some space and give the same command again, it goes on where it stopped",
    "readonly": "you may not write to it; change its permissions, or {}",
    "malformed": "the file is damaged; restore a copy of it, or {}",
}


def shown(url: str) -> str:
    """A database URL without its password, for messages."""
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return url


def make_engine(url: str) -> sa.Engine:
    """An engine whose SQLite transactions wait for each other instead of failing.

    Raises:
        InputError: the URL is wrong, or a package or folder that it needs cannot be had.
    """
    try:
        parsed = sa.make_url(url)
        _make_folder(parsed)
        engine = sa.create_engine(parsed, pool_pre_ping=True, connect_args=connect_args(parsed))
    except InputError:
        raise
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
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


def connect_args(url: URL) -> dict[str, Any]:
    """What a driver is told beside the URL; what the URL itself says stays."""
    if url.get_driver_name() not in ("psycopg", "psycopg2"):
        return {}
    return {name: value for name, value in _LIBPQ.items() if name not in url.query}


def is_passing(error: BaseException) -> bool:
    """Whether a database that said so may answer in a moment: its server is started again, or was in a hurry."""
    if isinstance(error, PendingRollbackError):
        return True  # its connection broke within a transaction; the next try has one of its own
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    if not isinstance(error, OperationalError | InterfaceError) or type(error.orig).__module__.startswith("sqlite3"):
        return False
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    return state is None or str(state).startswith(_PASSING)


def patiently(
    work: Callable[[], T],
    what: str,
    *,
    seconds: float = PATIENCE_SECONDS,
    passing: Callable[[BaseException], bool] = is_passing,
) -> T:
    """What ``work`` returns, which is begun again while a server does not answer.

    Args:
        work: it may have been done already when the connection was lost, so doing it twice must be doing it once.
        what: is waited for, for the message, which is not given where this is empty.
        seconds: after which the error is raised.
        passing: whether an error will pass.
    """
    begin, pause, told = time.monotonic(), 0.1, False
    while True:
        try:
            return work()
        except Exception as error:
            if not passing(error) or time.monotonic() - begin + pause > seconds:
                raise
        if what and not told and time.monotonic() - begin > 1.0:
            _log.warning("%s does not answer; trying again for %.0f s", what, seconds)
            told = True
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


@contextmanager
def database_errors(url: str) -> Iterator[None]:
    """Turn what a database complains about into advice.

    Args:
        url: as messages show it.

    Raises:
        StorageError: the database cannot be read or written.
    """
    try:
        yield
    except IntegrityError:  # two processes added the same row: the caller knows what to do
        raise
    except (OperationalError, DatabaseError) as error:
        text = str(error.orig)
        advice = next((_ADVICE[word] for word in _ADVICE if word in text), "{}").format(remedy(url))
        raise StorageError(f"the results store {url} cannot be used: {text}; {advice}") from error
    except UnicodeDecodeError as error:  # of SQLite's own message, which quotes a damaged file
        advice = _ADVICE["malformed"].format(remedy(url))
        raise StorageError(f"the results store {url} cannot be used: it is no text in UTF-8; {advice}") from error


def with_tables(make: Callable[[], T]) -> T:
    """What ``make`` returns, which makes or migrates tables that another process may be making at the same moment.

    Of two that make them at once, one finds a table or a version number that was not there when it looked; the next
    time it looks, everything is.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return make()
        except (DBAPIError, StorageError) as error:
            said = str(getattr(error, "orig", error)).lower()  # without the statement
            if not any(sign in said for sign in _RACE):
                raise
            time.sleep(_PAUSE)
    return make()


def _make_folder(url: URL) -> None:
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith((":memory:", "file:")):
        return
    folder = Path(url.database).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot make the folder {folder} of the results store: {error.strerror or error}; {remedy(str(url))}"
        ) from error


def _configure_sqlite(connection: Any, record: object) -> None:
    connection.isolation_level = None  # pysqlite would start transactions late and by its own rules
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {round(WAIT_SECONDS * 1000)}")
    # SQLite itself does not wait for others that change the mode of a new file at the same moment.
    patiently(
        lambda: cursor.execute("PRAGMA journal_mode = WAL"),
        "",
        seconds=WAIT_SECONDS,
        passing=lambda e: "locked" in str(e),
    )
    cursor.close()


def _begin_immediate(connection: sa.Connection) -> None:
    # Writers take the lock at once and so wait for each other; upgrading a read lock later would fail instead.
    reads = connection.get_execution_options().get("gssl_read", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
