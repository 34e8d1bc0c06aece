"""Where studies are kept, and what is said of places where they cannot be."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import JournalStorage, RDBStorage
from sqlalchemy.exc import IntegrityError, OperationalError, PendingRollbackError

from gssl.common.errors import InputError
from gssl.search.patient import make_patient
from gssl.search.storage import open_storage

if TYPE_CHECKING:
    from conftest import Tuner


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize("url", ["journal://{}/deep/study.txt", "{}/study.log", "{}/study.journal"])
def test_a_journal_file(url: str, tmp_path: Path) -> None:
    assert isinstance(open_storage(url.format(tmp_path)), JournalStorage)


def test_a_database_has_heartbeats(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/deep/study.db")
    assert isinstance(storage, RDBStorage)
    assert storage.get_heartbeat_interval() == 30


@pytest.mark.parametrize(
    "said", ["UNIQUE constraint failed: alembic_version.version_num", "table studies already exists"]
)
def test_tables_that_another_process_makes_at_the_same_moment(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def racing(kind: type[RDBStorage], url: str, **options: object) -> RDBStorage:
        calls.append(url)
        made = kind(url, **options)  # type: ignore[arg-type]
        if len(calls) == 1:
            raise IntegrityError("INSERT", None, Exception(said))
        return made

    monkeypatch.setattr("gssl.search.storage.make_patient", racing)
    open_storage(f"sqlite:///{tmp_path}/study.db")
    assert len(calls) == 2


def test_other_trouble_with_a_database_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def broken(kind: type[RDBStorage], url: str, **_: object) -> RDBStorage:
        calls.append(url)
        raise OperationalError("SELECT", None, Exception("disk I/O error"))

    monkeypatch.setattr("gssl.search.storage.make_patient", broken)
    with pytest.raises(InputError, match="disk I/O error"):
        open_storage(f"sqlite:///{tmp_path}/study.db")
    assert len(calls) == 1


def test_a_journal_holds_the_same_study(tuner: Tuner) -> None:
    database = tuner.tune("--out", "a", trials=2)
    journal = tuner.tune("--out", "b", "--storage", "study.log", trials=2)
    assert tuner.trials(database) == tuner.trials(journal)
    again = tuner.tune("--out", "b", "--storage", "study.log", trials=3)
    assert again["trials"]["total"] == 3


def test_the_proxy_holds_the_same_study(tuner: Tuner) -> None:
    pytest.importorskip("grpc")
    from optuna.storages._grpc.server import make_server

    port = free_port()
    backend = optuna.storages.get_storage(f"sqlite:///{tuner.lab.folder}/behind.db")
    server = make_server(backend, "localhost", port, ThreadPoolExecutor(2))
    server.start()
    try:
        result = tuner.tune("--out", "a", "--storage", f"grpc://localhost:{port}", trials=2)
    finally:
        server.stop(None)
    assert tuner.trials(result) == tuner.trials(tuner.tune("--out", "b", trials=2))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("study", "is not a storage such as sqlite:///study.db"),
        ("sqlite:/study", "is not a storage such as"),
        ("nosuch://host/name", "is not a storage such as"),
        ("grpc://host", "must look like grpc://host:port"),
        ("sqlite:////proc/nowhere/study.db", "choose another with --storage"),
        ("journal:///proc/nowhere/study.log", "choose another with --storage"),
        ("postgresql+psycopg://someone:secret@localhost:1/studies", "cannot be used"),
    ],
)
def test_a_place_that_is_none(url: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        open_storage(url)
    assert message in str(error.value)
    assert "secret" not in str(error.value)


def test_a_proxy_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("grpc")
    monkeypatch.setattr("gssl.search.storage._ANSWER", 0.3)
    with pytest.raises(InputError, match="nothing answers"):
        open_storage(f"grpc://localhost:{free_port()}")


def test_a_read_only_database(tuner: Tuner) -> None:
    tuner.tune("--out", "mine", trials=1)
    url = f"sqlite:///file:{tuner.lab.folder}/mine/study.db?mode=ro&uri=true"
    err = tuner.refused("--space", "space.yaml", "--epochs", "4", "--storage", url)
    assert "readonly" in err
    assert "choose another with --storage" in err


@pytest.mark.parametrize("content", [b"junk" * 600, b"SQLite format 3\0" + b"\7" * 4000])
def test_a_damaged_database(tuner: Tuner, content: bytes) -> None:
    (tuner.lab.folder / "bad.db").write_bytes(content)
    err = tuner.refused("--space", "space.yaml", "--storage", f"sqlite:///{tuner.lab.folder}/bad.db")
    assert "bad.db cannot be used" in err


@pytest.mark.parametrize("content", ["junk\njunk\n", '{"op_code": 99}\n', "[1]\n", '{"op_code": 4, "study_id": 7}\n'])
def test_a_damaged_journal(tuner: Tuner, content: str) -> None:
    path = tuner.lab.folder / "bad.log"
    path.write_text(content)
    err = tuner.refused("--space", "space.yaml", "--storage", str(path))
    assert "bad.log is damaged or holds something else" in err


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("SELECT 1", None, Exception("server closed the connection"), connection_invalidated=True),
        PendingRollbackError("Can't reconnect until invalid transaction is rolled back"),
    ],
)
def test_a_connection_that_breaks_within_a_transaction_is_waited_for(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = RDBStorage.get_all_studies, []

    def breaking(self: RDBStorage) -> list[Any]:
        calls.append(self)
        if len(calls) == 1:
            raise StorageInternalError("an exception is raised during the commit") from error
        return original(self)

    monkeypatch.setattr(RDBStorage, "get_all_studies", breaking)
    assert make_patient(RDBStorage, f"sqlite:///{tmp_path}/study.db").get_all_studies() == []
    assert len(calls) == 2
