import json
import os
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from gssl.benchmarks.bench.merge import merge
from gssl.common.errors import InputError, StorageError, TrainingError
from gssl.results import database
from gssl.results.cells import Cells, Ending, NewCell
from gssl.results.owner import Owner
from gssl.results.schema import SCHEMA_VERSION
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
    config="{}",
    environment="{}",
)
CELL = NewCell("k" * 16, "mine", "GRACE", "Cora", 0, "{}")
ELSEWHERE = Owner("another machine", 1, 0.0)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/results.db"


def test_a_cell_is_claimed_once_and_finished_with_its_run(url: str) -> None:
    with Store(url) as store:
        cells = Cells(store)
        cells.register([CELL])
        cells.register([CELL])
        claim = cells.claim(CELL.key, Owner.this())
        assert claim is not None
        assert cells.claim(CELL.key, Owner.this()) is None
        store.record(ROW)
        assert cells.finish(claim, Ending("done", seconds=2.0, run=ROW.key))
        assert not cells.finish(claim, Ending("failed", "again"))
        assert cells.claim(CELL.key, Owner.this()) is None
        row = cells.rows()[CELL.key]
        assert (row.status, row.seconds, row.attempts) == ("done", 2.0, 1)
        assert cells.runs([CELL.key]) == {CELL.key: ROW}
        assert cells.scores([CELL.key])[CELL.key].test == ROW.test


def test_a_cell_is_not_done_without_its_run(url: str) -> None:
    with Store(url) as store:
        cells = Cells(store)
        cells.register([CELL])
        claim = cells.claim(CELL.key, Owner.this())
        assert claim is not None
        store.record(replace(ROW, status="failed"))
        with pytest.raises(TrainingError, match="not in the store"):
            cells.finish(claim, Ending("done", run=ROW.key))
        assert cells.rows()[CELL.key].status == "running"


def test_a_retry_leaves_alone_what_was_finished_in_the_meantime(url: str) -> None:
    with Store(url) as store:
        cells = Cells(store)
        cells.register([CELL])
        claim = cells.claim(CELL.key, Owner.this())
        assert claim is not None
        store.record(ROW)
        cells.finish(claim, Ending("done", run=ROW.key))
        assert cells.reset([CELL.key], finished=False) == 0
        assert cells.rows()[CELL.key].status == "done"


def test_a_reset_leaves_running_cells_and_former_runs_alone(url: str) -> None:
    other = replace(CELL, key="o" * 16)
    with Store(url) as store:
        cells = Cells(store)
        cells.register([CELL, other])
        claim = cells.claim(CELL.key, Owner.this())
        assert claim is not None
        store.record(ROW)
        cells.finish(claim, Ending("done", run=ROW.key))
        assert cells.claim(other.key, Owner.this()) is not None
        assert cells.reset([CELL.key, other.key]) == 1
        assert cells.rows()[other.key].status == "running"
        assert cells.rows()[CELL.key].status == "pending"
        assert store.rows() == [ROW]
        again = cells.claim(CELL.key, Owner.this())
        assert again is not None
        assert again.token != claim.token


def test_thousands_of_cells_at_once(url: str) -> None:
    many = [replace(CELL, key=f"{number:016d}", seed=number) for number in range(12_001)]
    with Store(url) as store:
        cells = Cells(store)
        cells.register(many)
        cells.register(many)
        assert set(cells.rows(cell.key for cell in many)) == {cell.key for cell in many}
        assert cells.reset(cell.key for cell in many[:7000]) == 7000


_CLAIMER = """
import sys
from gssl.results.cells import Cells
from gssl.results.owner import Owner
from gssl.results.store import Store
with Store(sys.argv[1]) as store:
    cells = Cells(store)
    for number in range(40):
        if cells.claim(f"{number:016d}", Owner.this()):
            print(number)
sys.stdin.read()
"""


def test_two_processes_never_get_the_same_cell(url: str) -> None:
    with Store(url) as store:
        Cells(store).register([replace(CELL, key=f"{number:016d}") for number in range(40)])
    pair = [subprocess.Popen([sys.executable, "-c", _CLAIMER, url], stdin=-1, stdout=-1, text=True) for _ in range(2)]
    got = []
    for process in pair:
        assert process.stdout is not None
        assert process.stdin is not None
    # Both stay alive until both have looked at every cell, or the second would take over what the first had.
    with pair[0], pair[1]:
        limit = time.monotonic() + 60
        while time.monotonic() < limit:
            with Store(url) as store:
                if all(row.status == "running" for row in Cells(store).rows().values()):
                    break
        for process in pair:
            got += [int(line) for line in process.communicate("")[0].split()]
    assert sorted(got) == list(range(40))


def version_one(file: Path) -> None:
    """A store as the first version made it, with one row."""
    with Store(f"sqlite:///{file}") as store:
        store.record(ROW)
    with sqlite3.connect(file) as connection:
        connection.execute("DROP TABLE cells")
        for column in ("task", "setting", "metrics", "pretrain_cpu_seconds", "load"):
            connection.execute(f"ALTER TABLE runs DROP COLUMN {column}")
        connection.execute("UPDATE gssl_meta SET value = '1'")


def test_a_store_of_version_1_is_brought_to_this_version(tmp_path: Path, url: str) -> None:
    version_one(tmp_path / "results.db")
    with Store(url) as store:
        assert store.rows() == [replace(ROW, metrics=json.dumps({"accuracy": [ROW.val, ROW.test]}))]
        Cells(store).register([CELL])
    with sqlite3.connect(tmp_path / "results.db") as connection:
        assert connection.execute("SELECT value FROM gssl_meta").fetchone() == (str(SCHEMA_VERSION),)
    with Store(url) as store:
        assert list(Cells(store).rows()) == [CELL.key]


@pytest.mark.parametrize("version", ["0", "99", "x"])
def test_other_versions_are_refused_and_left_as_they_are(tmp_path: Path, url: str, version: str) -> None:
    Store(url).close()
    with sqlite3.connect(tmp_path / "results.db") as connection:
        connection.execute("UPDATE gssl_meta SET value = ?", (version,))
    message = f"schema version {version}, this gssl reads version {SCHEMA_VERSION}; choose another"
    with pytest.raises(InputError, match=message):
        Store(url)


def test_a_locked_database_says_so(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.05)
    with Store(url) as store:
        Cells(store).register([CELL])
        locker = sqlite3.connect(tmp_path / "results.db", isolation_level=None)
        locker.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match="another process keeps it locked"):
            Cells(store).claim(CELL.key, Owner.this())
        locker.execute("ROLLBACK")
        assert Cells(store).claim(CELL.key, Owner.this()) is not None
        locker.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_file_says_so(tmp_path: Path, url: str) -> None:
    Store(url).close()
    (tmp_path / "results.db").chmod(0o444)
    with pytest.raises(StorageError, match="you may not write to it"):
        Store(url)


def test_a_read_only_database_says_so(url: str, tmp_path: Path) -> None:
    Store(url).close()
    file = f"sqlite:///file:{tmp_path}/results.db?mode=ro&uri=true"
    with pytest.raises(StorageError, match="you may not write to it"), Store(file) as store:
        Cells(store).register([CELL])


def test_a_damaged_database_says_so(tmp_path: Path, url: str) -> None:
    with Store(url) as store:
        Cells(store).register([replace(CELL, key=f"{n:016d}", spec="x" * 500) for n in range(200)])
    file = tmp_path / "results.db"
    content = bytearray(file.read_bytes())
    content[4096:] = b"\x5a" * (len(content) - 4096)
    file.write_bytes(content)
    with pytest.raises(StorageError, match=r"choose another with --db|the file is damaged"), Store(url) as store:
        Cells(store).rows()


def test_a_full_disk_says_so_and_nothing_half_is_kept(url: str) -> None:
    with Store(url) as store:
        cells = Cells(store)
        cells.register([CELL])

        def small(connection: sqlite3.Connection, record: object) -> None:
            connection.execute("PRAGMA max_page_count = 1")  # SQLite raises it to what is used already

        sa.event.listen(store._engine, "connect", small)
        store._engine.dispose()
        with pytest.raises(StorageError, match="free some space"):
            cells.register([replace(CELL, key=f"{n:016d}", spec="x" * 5000) for n in range(50)])
        assert list(cells.rows()) == [CELL.key]


HOSTILE = [
    "x'); DROP TABLE cells; --",
    "<script>alert(1)</script>",
    "a\x1b[31m\nb\t",
    "=1+1",
    "náïve ☃ 名前",
    "%s {0} \\",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_kept_as_it_is(url: str, text: str) -> None:
    hostile = replace(CELL, suite=text, method=text, dataset=text, spec=text)
    with Store(url) as store:
        cells = Cells(store)
        cells.register([hostile])
        claim = cells.claim(CELL.key, Owner.this())
        assert claim is not None
        cells.finish(claim, Ending("failed", text))
        row = cells.rows()[CELL.key]
        assert (row.suite, row.method, row.dataset, row.spec, row.message) == (text,) * 5


def finished(url: str, cell: NewCell, ending: Ending, row: RunRow | None = None) -> None:
    with Store(url) as store:
        cells = Cells(store)
        cells.register([cell])
        claim = cells.claim(cell.key, Owner.this())
        assert claim is not None
        if row is not None:
            store.record(row)
        cells.finish(claim, ending)


def test_stores_are_merged_without_loss_and_twice_is_once(tmp_path: Path) -> None:
    one, two, all_ = (f"sqlite:///{tmp_path}/{name}.db" for name in ("one", "two", "all"))
    other = replace(CELL, key="o" * 16, seed=1)
    later = replace(ROW, seed=1, test=0.7)
    finished(one, CELL, Ending("done", run=ROW.key), ROW)
    finished(one, other, Ending("timed out", "stopped"))
    finished(two, other, Ending("done", run=later.key), later)
    assert merge([one, two], all_) == {"runs": 2, "cells": 3}  # the second store replaces what the first had not done
    assert merge([one, two], all_) == {"runs": 0, "cells": 0}
    with Store(all_) as store:
        cells = Cells(store)
        assert {key: run.test for key, run in cells.runs(cells.rows()).items()} == {CELL.key: ROW.test, other.key: 0.7}


def test_a_store_that_is_not_there_is_not_merged(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no results store"):
        merge([f"sqlite:///{tmp_path}/none.db"], f"sqlite:///{tmp_path}/all.db")
    assert not (tmp_path / "none.db").exists()
    Store(f"sqlite:///{tmp_path}/all.db").close()
    with pytest.raises(InputError, match="into itself"):
        merge([f"sqlite:///{tmp_path}/all.db"], f"sqlite:///{tmp_path}/all.db")
