"""Claims on cells: when they end, and that a lost connection neither loses nor doubles anything."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from gssl.benchmarks.report.sample import row
from gssl.common.errors import StorageError
from gssl.results import cells as module
from gssl.results.cells import Cells, Ending, NewCell
from gssl.results.owner import Owner
from gssl.results.silence import SILENCE_SECONDS, WATCH_SECONDS
from gssl.results.store import Store

CELL = NewCell("k" * 16, "mine", "GRACE", "Cora", 0, "{}")
ELSEWHERE = Owner("another machine", 1, 0.0)
ROW = row("GRACE", "Cora", probe="P1", val=None, test=0.1)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/results.db"


def gone() -> Owner:
    """The owner of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = Owner.of(process.pid)
    assert owner.alive()
    process.communicate(b"\n")
    return owner


def test_the_claim_of_a_dead_process_is_taken_over_and_its_late_report_refused(url: str) -> None:
    with Store(url) as store:
        cells = Cells(store)
        cells.register([CELL])
        first = cells.claim(CELL.key, gone())
        second = cells.claim(CELL.key, Owner.this())
        assert first is not None
        assert second is not None
        assert second.token == first.token  # interrupted work goes on in its folder
        assert not cells.finish(first, Ending("failed", "too late"))
        cells.release(first)
        assert cells.rows()[CELL.key].status == "running"
        assert cells.finish(second, Ending("skipped", "no data"))


class Clocks:
    """The clock of the database and the one that nobody sets, as a test sets them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database, self.steady = 1e9, 50.0
        monkeypatch.setattr(module, "database_time", lambda dialect: sa.literal(self.database))
        monkeypatch.setattr(time, "monotonic", lambda: self.steady)

    def go_on(self, seconds: float) -> None:
        self.database, self.steady = self.database + seconds, self.steady + seconds


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


def test_an_owner_on_another_machine_is_gone_after_a_long_silence(url: str, clocks: Clocks) -> None:
    with Store(url) as store:
        cells = Cells(store)
        cells.register([CELL])
        claim = cells.claim(CELL.key, ELSEWHERE)
        assert claim is not None
        assert cells.claim(CELL.key, Owner.this()) is None
        clocks.go_on(SILENCE_SECONDS - 1)
        assert cells.claim(CELL.key, Owner.this()) is None
        cells.beat(claim)
        clocks.go_on(SILENCE_SECONDS - 1)
        assert cells.claim(CELL.key, Owner.this()) is None
        clocks.go_on(2)
        assert cells.claim(CELL.key, Owner.this()) is None, "this heartbeat was seen a moment ago for the first time"
        clocks.go_on(WATCH_SECONDS)
        assert cells.claim(CELL.key, Owner.this()) is not None


def test_a_step_of_the_clock_takes_nothing_from_an_owner_that_cannot_be_seen(url: str, clocks: Clocks) -> None:
    with Store(url) as store:
        cells = Cells(store)
        cells.register([CELL])
        claim = cells.claim(CELL.key, ELSEWHERE)
        assert claim is not None
        assert cells.claim(CELL.key, Owner.this()) is None
        clocks.database += 1e6
        assert cells.claim(CELL.key, Owner.this()) is None
        clocks.go_on(20)
        cells.beat(claim)
        clocks.go_on(WATCH_SECONDS)
        cells.free_lost([CELL.key])
        assert cells.reset([CELL.key]) == 0
        assert cells.claim(CELL.key, Owner.this()) is None
        clocks.go_on(SILENCE_SECONDS)
        cells.free_lost([CELL.key])
        assert cells.rows()[CELL.key].status == "pending"


def test_a_step_of_the_wall_clock_changes_no_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = Owner.this()
    monkeypatch.setattr(time, "time", lambda: 5.0)
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: 5.0, raising=False)
    assert Owner.this() == owner
    assert owner.alive()


def test_a_process_id_that_is_used_again_is_another_owner() -> None:
    assert Owner.this().alive()
    assert not replace(Owner.this(), started=1.0).alive()


def test_a_cell_that_the_store_lacks_is_no_cell_of_somebody_else(url: str) -> None:
    """As on a node of a cluster that reaches another store than the command."""
    with Store(url) as store, pytest.raises(StorageError, match="every machine must reach the same"):
        Cells(store).claim(CELL.key, Owner.this())


def lose(monkeypatch: pytest.MonkeyPatch, store: Store, *, after: bool) -> list[int]:
    """The next transaction loses its connection, before or after it is kept; returns where attempts are counted."""
    begin, attempts = store._engine.begin, list[int]()
    lost = sa.exc.OperationalError("", None, Exception("server closed the connection"), connection_invalidated=True)

    @contextmanager
    def failing() -> Iterator[sa.Connection]:
        attempts.append(1)
        if len(attempts) == 1 and not after:
            raise lost
        with begin() as connection:
            yield connection
        if len(attempts) == 1:
            raise lost

    monkeypatch.setattr(store._engine, "begin", failing)
    return attempts


@pytest.mark.parametrize("after", [False, True])
def test_a_lost_connection_loses_and_doubles_nothing(url: str, monkeypatch: pytest.MonkeyPatch, *, after: bool) -> None:
    with Store(url) as store:
        cells = Cells(store)
        with monkeypatch.context() as patch:
            attempts = lose(patch, store, after=after)
            cells.register([CELL])
            assert len(attempts) == 2
        with monkeypatch.context() as patch:
            lose(patch, store, after=after)
            claim = cells.claim(CELL.key, Owner.this())
        assert claim is not None
        with monkeypatch.context() as patch:
            lose(patch, store, after=after)
            store.record(ROW)
        with monkeypatch.context() as patch:
            lose(patch, store, after=after)
            assert cells.finish(claim, Ending("done", seconds=0.1, run=ROW.key))
        assert store.rows() == [ROW]
        row = cells.rows()[CELL.key]
        assert (row.status, row.attempts) == ("done", 1)


def test_a_server_that_stays_away_is_given_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(url) as store:
        monkeypatch.setattr(store, "_patience", 0.3)
        lost = sa.exc.OperationalError("", None, Exception("connection refused"), connection_invalidated=True)
        monkeypatch.setattr(store._engine, "begin", lambda: (_ for _ in ()).throw(lost))
        begin = time.monotonic()
        with pytest.raises(StorageError, match="connection refused"):
            Cells(store).register([CELL])
        assert time.monotonic() - begin < 5
