"""Ctrl-C and kill wait for the end of the update under way, so that what is saved is consistent."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

from gssl.common.errors import Interrupted


class DeferredSignals:
    """While active, the first SIGINT or SIGTERM only sets ``received``; a second one takes effect at once.

    Handlers belong to the process: outside the main thread nothing is installed, and the former handlers return on
    exit.

    Args:
        active: false leaves the signals alone.
    """

    def __init__(self, *, active: bool = True) -> None:
        self.received: int | None = None
        self._active = active and threading.current_thread() is threading.main_thread()
        self._former: dict[int, object] = {}

    def __enter__(self) -> Self:
        if self._active:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # type: ignore[arg-type]
        self._former = {}
        if kind is None and self.received is not None:  # it came too late for anyone to act on it
            raise_for(self.received)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise_for(number)
        self.received = number


def raise_for(number: int) -> None:
    """The exception of a signal.

    Raises:
        KeyboardInterrupt: for SIGINT.
        Interrupted: for any other signal.
    """
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise Interrupted(number)
