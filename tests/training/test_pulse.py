"""Signs of life: whose absence ends a process, and when."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from gssl.common.launch import Launch
from gssl.training import pulse
from gssl.training.group import Group
from gssl.training.pulse import Pulse

SILENT = 1.0


class Shared:
    """A store within this process."""

    def __init__(self) -> None:
        self.counts = Counter[str]()
        self.lock = threading.Lock()

    def clone(self) -> Shared:
        return self

    def add(self, key: str, amount: int) -> int:
        with self.lock:
            self.counts[key] += amount
            return self.counts[key]


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Processes of whose silence a process would have died."""
    found = list[list[int]]()
    monkeypatch.setattr(pulse, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(pulse, "SILENT_SECONDS", SILENT)
    monkeypatch.setattr(pulse, "_leave", lambda silent, seconds: found.append(silent))
    return found


@pytest.fixture
def three(left: list[list[int]]) -> Iterator[list[Pulse]]:
    store = Shared()
    with ExitStack() as ending:
        made = [Pulse(store, rank, 3) for rank in range(3)]
        for one in made:
            ending.callback(one.end)
        yield made


def test_silence_ends_who_waits_for_it(three: list[Pulse], left: list[list[int]]) -> None:
    with three[0].waiting(SILENT):
        time.sleep(2 * SILENT)
        assert not left, "all give signs of life"
    three[2].end()
    with three[1].waiting(None), three[0].waiting(60.0):
        time.sleep(2 * SILENT)
        assert not left, "one works alone, and the other one is patient"
    with three[0].waiting(SILENT):
        time.sleep(0.5 * SILENT)
    assert left[0] == [2]
    left.clear()
    time.sleep(0.2 * SILENT)
    assert not left, "nothing is waited for any more"


class Mute(Group):
    """Whose other process does not hear what it says."""

    def _tell(self, message: object) -> None:
        pass


def test_who_works_alone_finishes_that_first(left: list[list[int]]) -> None:
    group = Mute(Launch(0, 2, 0, 2), store=Shared())

    def work() -> bool:
        time.sleep(2 * SILENT)
        return bool(left)

    with group.watched():
        assert not group.first(work)
        time.sleep(0.5 * SILENT)
    group.close()
    assert left[0] == [1]


class Blocking:
    """A store whose host has gone: no answer ever comes."""

    def __init__(self) -> None:
        self.asked = 0

    def clone(self) -> Blocking:
        return self

    def add(self, key: str, amount: int) -> int:
        self.asked += 1
        while self.asked:
            time.sleep(0.01)
        raise RuntimeError("closed")


def test_a_store_that_does_not_answer_is_silence_of_all(left: list[list[int]]) -> None:
    store = Blocking()
    one = Pulse(store, 1, 3)
    try:
        with one.waiting(SILENT):
            time.sleep(2 * SILENT)
    finally:
        store.asked = 0
        one.end()
    assert left[0] == [0, 2]
