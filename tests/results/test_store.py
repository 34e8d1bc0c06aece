import sqlite3
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError

from gssl.common.errors import InputError
from gssl.results.schema import prepare
from gssl.results.store import RunRow, Store

ROW = RunRow(
    method="GRACE",
    config_hash="c" * 16,
    dataset="Cora",
    dataset_checksum="d" * 16,
    split_hash="s" * 16,
    probe="P1",
    probe_version=1,
    seed=0,
    environment_hash="e" * 16,
    status="done",
    metric="accuracy",
    val=0.8,
    test=0.81234567890123456,
    epochs=200,
    pretrain_seconds=1.5,
    probe_seconds=0.5,
    peak_memory_mb=300.25,
    encoder="GCN",
    sampler="full",
    preset="Cora",
    run_dir="/runs/x",
    date="2026-01-01T00:00:00+00:00",
    git_hash="abc+",
    config='{"dataset": "Cora"}',
    environment="{}",
)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/deep/runs/results.db"


def test_rows_survive_the_process_exactly(url: str) -> None:
    with Store(url) as store:
        store.record(ROW)
    with Store(url) as store:
        assert store.rows() == [ROW]
        assert store.find(ROW.key) == ROW


@pytest.mark.parametrize("field", ["seed", "split_hash", "config_hash", "environment_hash", "probe_version", "dataset"])
def test_every_part_of_the_key_makes_another_row(url: str, field: str) -> None:
    values = asdict(ROW)
    values[field] = values[field] + 1 if isinstance(values[field], int) else "other"
    other = RunRow(**values)
    with Store(url) as store:
        store.record(ROW)
        store.record(other)
        assert len(store.rows()) == 2


def test_same_measurement_again_replaces_its_row(url: str) -> None:
    again = replace(ROW, run_dir="/runs/x-2", date="2026-01-02T00:00:00+00:00")
    with Store(url) as store:
        store.record(ROW)
        store.record(again)
        assert store.rows() == [again]


def test_failure_never_hides_a_result_but_a_result_replaces_a_failure(url: str) -> None:
    failure = replace(ROW, status="failed", val=None, test=None, message="the loss is nan")
    with Store(url) as store:
        store.record(failure)
        assert store.rows()[0].status == "failed"
        store.record(ROW)
        store.record(failure)
        assert store.rows() == [ROW]


def test_rows_are_selected_by_columns_and_come_oldest_first(url: str) -> None:
    late = replace(ROW, seed=1, date="2026-01-03T00:00:00+00:00")
    early = replace(ROW, seed=2, date="2025-12-31T00:00:00+00:00")
    with Store(url) as store:
        for row in (late, ROW, early):
            store.record(row)
        assert [row.seed for row in store.rows()] == [2, 0, 1]
        assert [row.seed for row in store.rows(seed=[1, 2], method="GRACE")] == [2, 1]
        with pytest.raises(InputError, match="no column 'sed'"):
            store.rows(sed=1)


def test_cpu_time_and_load_stand_beside_the_wall_time_and_are_unknown_of_before(url: str, tmp_path: Path) -> None:
    with Store(url) as store:
        store.record(ROW)
    with sqlite3.connect(tmp_path / "deep" / "runs" / "results.db") as connection:
        for name in ("pretrain_cpu_seconds", "load"):
            connection.execute(f"ALTER TABLE runs DROP COLUMN {name}")
        connection.execute("UPDATE gssl_meta SET value = '4'")
    measured = replace(ROW, seed=99, pretrain_cpu_seconds=1.25, load=7.5)
    with Store(url) as store:
        store.record(measured)
        assert store.rows() == [ROW, measured]


def test_another_schema_version_is_refused_with_advice(url: str, tmp_path: Path) -> None:
    Store(url).close()
    with sqlite3.connect(tmp_path / "deep" / "runs" / "results.db") as connection:
        connection.execute("UPDATE gssl_meta SET value = '99'")
    with pytest.raises(InputError, match=r"schema version 99.*--db"):
        Store(url)


def test_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE precious (x)")
    with pytest.raises(InputError, match="something else"):
        Store(f"sqlite:///{file}")
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("precious",)]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("results.db", "not a database URL"),
        ("nosuch://x/y", "not a database URL"),
        ("postgresql+psycopg2://nobody:secret@localhost/none", r"nobody:\*\*\*@localhost/none (needs the|cannot)"),
    ],
)
def test_wrong_url_says_what_to_change(url: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Store(url)


def test_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "results.db"
    file.write_bytes(b"this is not a database" * 100)
    with pytest.raises(InputError, match="--db"):
        Store(f"sqlite:///{file}")


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot make the folder"):
        Store(f"sqlite:///{tmp_path}/file/runs/results.db")


_WRITER = """
import sys
from dataclasses import asdict, replace
from gssl.results.store import Store
sys.path.insert(0, sys.argv[3])
from test_store import ROW
with Store(sys.argv[1]) as store:
    for seed in range(25):
        store.record(replace(ROW, seed=seed, method=sys.argv[2]))
        store.record(replace(ROW, seed=seed, method="shared"))
"""


def test_parallel_writers_lose_nothing(url: str) -> None:
    """Four processes create the same new database and write to it at once."""
    here = str(Path(__file__).parent)
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, url, f"m{n}", here], stderr=subprocess.PIPE, text=True)
        for n in range(4)
    ]
    for writer in writers:
        _, error = writer.communicate(timeout=400)
        assert writer.returncode == 0, error
    with Store(url) as store:
        rows = store.rows()
    assert len(rows) == 4 * 25 + 25
    assert {row.method for row in rows} == {"m0", "m1", "m2", "m3", "shared"}


def test_tables_that_another_process_makes_at_the_same_moment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def racing(connection: sa.Connection, shown: str) -> None:
        calls.append(shown)
        if len(calls) == 1:
            raise IntegrityError("CREATE TABLE", None, Exception("duplicate key value"))
        if len(calls) == 2:
            raise OperationalError("CREATE TABLE", None, Exception("table runs already exists"))
        prepare(connection, shown)

    monkeypatch.setattr("gssl.results.store.prepare", racing)
    with Store(url) as store:
        assert store.rows() == []
    assert len(calls) == 3
