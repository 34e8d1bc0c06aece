"""The same store on a PostgreSQL server of its own; skipped where there is none to start."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from gssl.benchmarks.report.sample import row
from gssl.common.errors import StorageError
from gssl.results.cells import Cells, Claim, Ending, NewCell
from gssl.results.owner import Owner
from gssl.results.schema import meta, runs
from gssl.results.store import RunRow, Store

if TYPE_CHECKING:
    from conftest import PostgreSQL

CELL = NewCell("k" * 16, "suite '; --", "GRACE", "Cora", 0, "{}")
ROW = row("GRACE", "Cora", probe="P1", val=None, test=0.1234567890123456)


@pytest.fixture(scope="module")
def server(postgresql: PostgreSQL) -> str:
    """The URL of a store."""
    url: str = postgresql.database("results")
    return url


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


def test_what_sqlite_takes(server: str) -> None:
    """Long names, seeds of 64 bits, a metric and a task of one's own with long names, a message with a zero."""
    long = replace(
        ROW, dataset="/long" * 130, method="m" * 500, seed=2**63 - 1, metric="x" * 90, task="y" * 60, epochs=2**31
    )
    failed = replace(long, seed=2**31, status="failed", message="at \0 and \udc80")
    with Store(server) as store:
        for row in (long, failed):
            store.record(row)
        assert store.find(long.key) == long
        assert store.rows(seed=2**31)[0].message == "at \\x00 and \\udc80"
        Cells(store).register([replace(CELL, key="o" * 16, seed=2**40)])


def test_a_store_of_version_3_gets_room(postgresql: PostgreSQL) -> None:
    url = postgresql.database("former")
    with Store(url) as store, store.transaction() as connection:
        for column in ("dataset TYPE VARCHAR(200)", "seed TYPE INTEGER", "task TYPE VARCHAR(20)"):
            connection.execute(sa.text(f"ALTER TABLE runs ALTER COLUMN {column}"))
        for name in ("pretrain_cpu_seconds", "load"):
            connection.execute(sa.text(f"ALTER TABLE runs DROP COLUMN {name}"))
        connection.execute(sa.update(meta).values(value="3"))
    with Store(url) as store:
        store.record(replace(ROW, seed=2**40, dataset="d" * 300, task="t" * 30))


def test_a_server_that_is_started_again_is_waited_for(postgresql: PostgreSQL) -> None:
    with Store(postgresql.database("waiting")) as store:
        cells = Cells(store)
        cells.register([CELL])
        claim = cells.claim(CELL.key, Owner.this())
        assert claim is not None
        postgresql.stop()
        with pytest.raises(StorageError):  # a heartbeat is not worth waiting for
            cells.beat(claim)
        again = threading.Timer(2.0, postgresql.start)
        again.start()
        store.record(ROW)
        again.join()
        assert cells.finish(claim, Ending("done", run=ROW.key))
        assert store.rows() == [ROW]


def test_a_store_of_version_2_is_brought_to_this_version(server: str) -> None:
    with Store(server) as store:
        store.record(replace(ROW, seed=7, method="supervised"))
        with store.transaction() as connection:
            for name in ("task", "setting", "metrics", "pretrain_cpu_seconds", "load"):
                connection.execute(sa.text(f"ALTER TABLE {runs.name} DROP COLUMN {name}"))
            connection.execute(sa.update(meta).values(value="2"))
    with ThreadPoolExecutor(4) as pool:  # all at once, as the workers of a cluster may
        found = list(pool.map(lambda _: _rows(server, seed=7), range(4)))
    metrics = '{"accuracy": [null, 0.1234567890123456]}'
    assert found == [[replace(ROW, seed=7, method="supervised", setting="supervised", metrics=metrics)]] * 4


def _rows(url: str, **equal: object) -> list[RunRow]:
    with Store(url) as store:
        return store.rows(**equal)
