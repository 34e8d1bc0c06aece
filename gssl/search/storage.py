"""Where studies are kept: SQLite, a journal file, PostgreSQL, or Optuna's gRPC proxy before any of them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, GrpcStorageProxy, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from gssl.common.errors import InputError
from gssl.results.database import connect_args, patiently, shown, with_tables
from gssl.search.patient import is_away, make_patient

_SUFFIXES = (".log", ".journal")
_HEARTBEAT = 30  # seconds between signs of life of a trial in a database
_GRACE = 300  # seconds without one after which it is given up; more than a server that is away is waited for
_WAIT = 100  # seconds for other writers of an SQLite file
_ANSWER = 10.0  # seconds for a gRPC server to answer
_ADVICE = "choose another with --storage"


def open_storage(url: str, *, patience: float = 0.0) -> BaseStorage:
    """The storage at a URL. Once it is open, a server that does not answer is waited for.

    Args:
        url: ``sqlite:///study.db`` or another of SQLAlchemy's, ``journal:///path`` or a path that ends in ``.log`` or
            ``.journal``, or ``grpc://host:port`` of ``optuna.storages.run_grpc_proxy_server``.
        patience: seconds for which a server is waited for now; none for a user's own URL, which may be wrong.

    Raises:
        InputError: it cannot be reached or read, is no storage, or needs a package.
    """
    with opening(url):
        journal = _journal_file(url)
        if journal is not None:
            journal.parent.mkdir(parents=True, exist_ok=True)
            return JournalStorage(JournalFileBackend(str(journal)))
        if url.startswith("grpc://"):
            return _proxy(url, patience)
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database and not parsed.database.startswith("file:"):
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        return patiently(lambda: _database(parsed), f"the storage {shown(url)}", seconds=patience, passing=is_away)


def _database(url: URL) -> RDBStorage:
    waits = {"timeout": _WAIT} if url.get_backend_name() == "sqlite" else connect_args(url)
    engine: dict[str, Any] = {"connect_args": waits, "pool_pre_ping": True}
    text = url.render_as_string(hide_password=False)
    made: RDBStorage = with_tables(
        lambda: make_patient(RDBStorage, text, engine_kwargs=engine, heartbeat_interval=_HEARTBEAT, grace_period=_GRACE)
    )
    return made


def queue_lock(url: str) -> BaseFileLock | None:
    """What a worker holds while it takes a trial from the queue of a study in an SQLite file; None for others.

    SQLite has no lock of a row, so two workers that look at the same moment would both take the first trial. The lock
    ends with the process that holds it.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:  # a journal
        return None
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database.startswith((":", "file:")):
        return None
    return FileLock(f"{parsed.database}.lock")


@contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Trouble with a database or a proxy becomes an InputError; Optuna's warnings of its experiments are not shown.

    Raises:
        InputError: the message names the storage without its password.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    except (SQLAlchemyError, StorageInternalError) as error:
        raise _unusable(url, error) from error
    except UnboundLocalError as error:  # Optuna's own, where it cannot even ask what became of a trial
        if not isinstance(error.__context__, SQLAlchemyError | StorageInternalError):
            raise
        raise _unusable(url, error.__context__) from error
    except Exception as error:
        if not type(error).__module__.startswith("grpc"):  # which need not be installed
            raise
        details = getattr(error, "details", error.__str__)
        raise InputError(f"the storage {shown(url)} does not answer any more: {details()}; {_ADVICE}") from error


@contextmanager
def opening(url: str) -> Iterator[None]:
    """As :func:`storage_errors`, for work in which nothing but the storage can be at fault.

    Raises:
        InputError: it is none, is not there, or holds something else.
    """
    try:
        with storage_errors(url):
            yield
    except InputError as error:
        if isinstance(error.__cause__, ArgumentError):
            raise InputError(
                f"{url!r} is not a storage such as sqlite:///study.db, journal:///study.log, "
                "postgresql://host/name or grpc://host:port; change --storage"
            ) from None
        raise
    except ImportError as error:
        missing = error.name or error
        raise InputError(f"the storage {shown(url)} needs a package ({missing}): pip install 'gssl[tune]'") from None
    except ConnectionError as error:
        raise InputError(f"nothing answers at {shown(url)} ({error}); start the server, or {_ADVICE}") from error
    except OSError as error:
        raise InputError(f"the storage {shown(url)} cannot be used: {error.strerror or error}; {_ADVICE}") from error
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise InputError(
            f"the storage {shown(url)} is damaged or holds something else ({type(error).__name__}: {error}); {_ADVICE}"
        ) from error


def _journal_file(url: str) -> Path | None:
    if url.startswith("journal://"):
        return Path(url.removeprefix("journal://"))
    return Path(url) if "://" not in url and url.endswith(_SUFFIXES) else None


def _proxy(url: str, patience: float) -> GrpcStorageProxy:
    address = re.fullmatch(r"grpc://(\[[^\]]+\]|[^:/]+):(\d+)/?", url)
    if address is None:
        raise InputError(f"{url!r} must look like grpc://host:port; change --storage")
    if find_spec("grpc") is None:
        raise InputError(f"the storage {url} needs the package grpcio: pip install 'gssl[tune]'")
    proxy: GrpcStorageProxy = make_patient(GrpcStorageProxy, host=address[1], port=int(address[2]))
    proxy.wait_server_ready(timeout=max(_ANSWER, patience))
    return proxy


def _unusable(url: str, error: BaseException) -> InputError:
    return InputError(f"the storage {shown(url)} cannot be used: {_cause(error)}; {_ADVICE}")


def _cause(error: BaseException) -> str:
    """What the database said, without SQLAlchemy's frame around it."""
    inner = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
    return " ".join(str(getattr(inner, "orig", None) or inner).split())
