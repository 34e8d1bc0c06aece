"""How processes that train together notice that one of them has fallen silent without closing its connections."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

BEAT_SECONDS = 5.0  # between two signs of life of a process
SILENT_SECONDS = 45.0  # without one, while a step is waited for
WORK_SECONDS = 600.0  # likewise, while another process works alone, perhaps in a library that keeps the interpreter
_LOOKS = 20  # in SILENT_SECONDS
_END_SECONDS = 5.0  # for the last sign of life to be through
_LOST = 1  # exit code, as of a TrainingError


class Pulse:
    """Signs of life, which each process leaves in the store of the process group and looks for from the others.

    A connection to a host that was switched off, or to which the network is cut, stays open for hours, and whatever
    waits for it cannot be interrupted: gloo waits below Python. So a process that hears nothing of another one says so
    and ends at once, but only while it waits; one that works alone finishes that first. What counts is the time in
    which this process could listen. One that was suspended, or whose other threads kept the interpreter, finds the
    signs of meanwhile before it judges.

    Args:
        store: of the process group; a connection of its own is made, which may block for ever.
        rank: of this process.
        world: how many there are.
    """

    def __init__(self, store: Any, rank: int, world: int) -> None:
        self._store = store.clone()
        self._mine = _key(rank)
        self._others = [other for other in range(world) if other != rank]
        self._looks = dict.fromkeys(self._others, 0)  # since the last sign of life
        self._patience: float | None = None  # seconds; None while nothing is waited for
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._beat, self._watch)]
        for thread in self._threads:
            thread.start()

    @contextmanager
    def waiting(self, seconds: float | None) -> Iterator[None]:
        """While entered, a process that is silent for so long ends this one; None lets it be silent."""
        before, self._patience = self._patience, seconds
        try:
            yield
        finally:
            self._patience = before

    def end(self) -> None:
        """Stop; the others do so too, or have noticed otherwise."""
        self._ended.set()
        for thread in self._threads:
            thread.join(_END_SECONDS)

    def _beat(self) -> None:
        heard = dict.fromkeys(self._others, 0)
        try:
            while True:
                self._store.add(self._mine, 1)
                for other in self._others:
                    if (count := self._store.add(_key(other), 0)) != heard[other]:
                        heard[other], self._looks[other] = count, 0
                if self._ended.wait(BEAT_SECONDS):
                    return
        except Exception:  # whoever keeps the store has ended, which connections tell
            return

    def _watch(self) -> None:
        pause = SILENT_SECONDS / _LOOKS
        while not self._ended.wait(pause):
            for other in self._others:
                self._looks[other] += 1
            patience = math.inf if self._patience is None else self._patience
            if silent := [other for other, looks in self._looks.items() if looks * pause > patience]:
                _leave(silent, patience)


def _leave(silent: list[int], seconds: float) -> None:
    named = " and ".join(map(str, silent))
    text = (
        f"nothing was heard of process {named} for {seconds:.0f} seconds: its host, the network or the process itself "
        "stands still; all processes stop, and the same command goes on from the last checkpoint"
    )
    os.write(2, f"gssl: error: {text}\n".encode())
    os._exit(_LOST)  # to unwind is not possible: the main thread waits below Python


def _key(rank: int) -> str:
    return f"gssl/pulse/{rank}"
