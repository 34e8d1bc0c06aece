"""The same store on a PostgreSQL server of its own; skipped where there is none to start."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gssl.results.cells import Cells, Claim, Ending, NewCell
from gssl.results.owner import Owner
from gssl.results.schema import meta, runs
from gssl.results.store import RunRow, Store

pytest.importorskip("psycopg", reason="the extra gssl[postgresql] is not installed")

CELL = NewCell("k" * 16, "suite '; --", "GRACE", "Cora", 0, "{}")
TEXTS = {"encoder": "GCN", "sampler": "full", "preset": "", "run_dir": "", "git_hash": "", "config": "{}"}
HASHES = {"config_hash": "c", "dataset_checksum": "d", "split_hash": "s", "environment_hash": "e"}
COST: dict[str, Any] = {"epochs": 1, "pretrain_seconds": 0.1, "probe_seconds": 0.1, "peak_memory_mb": 1.0}
ROW = RunRow(
    method="GRACE",
    dataset="Cora",
    probe="P1",
    probe_version=1,
    seed=0,
    status="done",
    metric="accuracy",
    val=None,
    test=0.1234567890123456,
    date="2026",
    environment="{}",
    **(TEXTS | HASHES | COST),
)


def server_programs() -> Path | None:
    found = [Path(shutil.which("initdb") or "none").parent, *sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
    return next((folder for folder in reversed(found) if (folder / "initdb").exists()), None)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    programs = server_programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL server here")
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if user:
            shutil.chown(folder, user)

        def call(program: str, *arguments: str) -> None:
            command = [str(programs / program), "-D", str(folder / "data"), *arguments]
            subprocess.run(command, user=user, check=True, capture_output=True, cwd=folder)

        call("initdb", "-U", "tester", "-A", "trust", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        call("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql+psycopg://tester@/postgres?host={folder}"
        finally:
            call("pg_ctl", "-m", "immediate", "stop")


def test_claims_of_many_at_the_same_time_exclude_each_other(server: str) -> None:
    keys = [f"{number:016d}" for number in range(30)]
    with Store(server) as store, ThreadPoolExecutor(4) as pool:
        cells = Cells(store)
        registrations = [pool.submit(cells.register, [replace(CELL, key=key) for key in keys]) for _ in range(4)]
        for registration in registrations:
            registration.result()
        assert set(cells.rows(keys)) == set(keys)

        def work(number: int) -> list[Claim]:
            claims = [cells.claim(key, Owner.this()) for key in (keys if number % 2 else reversed(keys))]
            return [claim for claim in claims if claim is not None]

        got = [claim.key for claims in pool.map(work, range(4)) for claim in claims]
        assert sorted(got) == keys


def test_a_cell_is_finished_with_its_run_to_the_last_bit(server: str) -> None:
    with Store(server) as store:
        cells = Cells(store)
        cells.register([CELL])
        claim = cells.claim(CELL.key, Owner.this())
        assert claim is not None
        store.record(ROW)
        assert cells.finish(claim, Ending("done", run=ROW.key))
    with Store(server) as store:
        assert store.rows() == [ROW]
        assert Cells(store).scores([CELL.key])[CELL.key].test == ROW.test
        assert Cells(store).reset([CELL.key]) == 1


def test_a_store_of_version_2_is_brought_to_this_version(server: str) -> None:
    with Store(server) as store:
        store.record(replace(ROW, seed=7, method="supervised"))
        with store.transaction() as connection:
            for name in ("task", "setting", "metrics"):
                connection.execute(sa.text(f"ALTER TABLE {runs.name} DROP COLUMN {name}"))
            connection.execute(sa.update(meta).values(value="2"))
    with ThreadPoolExecutor(4) as pool:  # all at once, as the workers of a cluster may
        found = list(pool.map(lambda _: _rows(server, seed=7), range(4)))
    metrics = '{"accuracy": [null, 0.1234567890123456]}'
    assert found == [[replace(ROW, seed=7, method="supervised", setting="supervised", metrics=metrics)]] * 4


def _rows(url: str, **equal: object) -> list[RunRow]:
    with Store(url) as store:
        return store.rows(**equal)
