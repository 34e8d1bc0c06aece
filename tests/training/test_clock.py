"""CPU time and load beside the wall time."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from gssl.training.clock import Mark, load_average
from gssl.training.result import EpochRecord
from gssl.training.state import Position


def test_waiting_is_wall_time_and_no_cpu_time() -> None:
    position, mark = Position(), Mark.now()
    time.sleep(0.2)
    position.spend(mark)
    assert position.seconds >= 0.2
    assert position.cpu_seconds < 0.1
    before, mark = position.cpu_seconds, Mark.now()
    while time.process_time() - mark.cpu < 0.05:
        pass
    position.spend(mark)
    assert position.cpu_seconds - before >= 0.05


def test_a_system_without_load_says_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Any:
        raise OSError

    monkeypatch.setattr(os, "getloadavg", refuse)
    assert load_average() is None
    monkeypatch.delattr(os, "getloadavg")
    assert load_average() is None


def test_a_checkpoint_of_before_has_epochs_without_cpu_time() -> None:
    assert EpochRecord.from_plain((3, 0.5, 0.1, 2.0, None, (), 0)) == EpochRecord(3, 0.5, 0.1, 2.0)
    assert Position(*(2, 1, 0.5, 0.1, 3.0)).cpu_seconds == 0
    whole = EpochRecord(3, 0.5, 0.1, 2.0, cpu_seconds=1.0, load=2.0)
    assert EpochRecord.from_plain(whole.plain()) == whole
