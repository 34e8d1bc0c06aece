"""Stores in SQLite that are only read, also where nothing can be written: a file system, a folder or a file."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from tempfile import TemporaryFile
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool, StaticPool

from gssl.common.errors import StorageError
from gssl.results.database import WAIT_SECONDS, make_engine


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite URL; None for other databases, databases in memory, and URIs with options of their own."""
    parsed = sa.make_url(url)
    name = parsed.database
    if parsed.get_backend_name() != "sqlite" or not name or name.startswith((":", "file:")):
        return None
    return Path(name)


def make_reading_engine(url: str) -> sa.Engine:
    """An engine that changes nothing of a file of SQLite; other databases are opened as usual.

    Raises:
        InputError: as :func:`~gssl.results.database.make_engine` says.
    """
    try:
        file = sqlite_file(url)
    except (ArgumentError, ValueError):
        file = None
    if file is None:
        return make_engine(url)
    return sa.create_engine("sqlite://", creator=lambda: _connect(file), poolclass=NullPool)


def make_copy(source: sa.Engine) -> sa.Engine:
    """The content of a database of SQLite in memory, where it may be changed."""
    memory = sa.create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    with source.connect() as there, memory.connect() as here:
        origin, target = there.connection.driver_connection, here.connection.driver_connection
        assert isinstance(origin, sqlite3.Connection)
        assert isinstance(target, sqlite3.Connection)
        origin.backup(target)
    return memory


def _connect(file: Path) -> sqlite3.Connection:
    """A connection that reads.

    Raises:
        StorageError: the file has changes beside it that cannot be read here.
    """
    try:
        return _opened(file, "mode=ro")
    except sqlite3.OperationalError:
        # A store whose writers are gone needs a file beside it for as long as it is read, unless nobody can change it.
        changes = Path(f"{file}-wal")
        if not file.is_file() or _is_writable(file.parent):
            raise
        if changes.exists() and changes.stat().st_size:
            raise StorageError(
                f"the results store {file} has changes in {changes.name} that cannot be read in a place where nothing "
                "can be written; copy both files to another place and name the copy"
            ) from None
        return _opened(file, "mode=ro&immutable=1")


def _opened(file: Path, options: str) -> sqlite3.Connection:
    uri = f"file:{quote(str(file.absolute()))}?{options}"
    connection = sqlite3.connect(uri, uri=True, timeout=WAIT_SECONDS, check_same_thread=False)
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _is_writable(folder: Path) -> bool:
    """Whether a file can be made in a folder; what the system says beforehand is wrong for root."""
    try:
        TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True
