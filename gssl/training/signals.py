"""Ctrl-C and kill wait for the end of the update under way, so that what is saved is consistent."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from gssl.common.errors import Interrupted


class DeferredSignals:
    """While active, the first SIGINT or SIGTERM is only remembered; a second one takes effect at once.

    The program's own handlers return on exit, and a signal that is still remembered then is delivered. Outside the
    main thread, which alone gets signals, nothing is installed; a signal that is ignored stays ignored.

    Args:
        active: false leaves the signals alone.
    """

    def __init__(self, *, active: bool = True) -> None:
        self._active = active and threading.current_thread() is threading.main_thread()
        self._received: int | None = None
        self._former: dict[int, Any] = {}

    @property
    def received(self) -> bool:
        """Whether the work should stop at the next opportunity."""
        return self._received is not None

    def __enter__(self) -> Self:
        if self._active:
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        if kind is None:
            self.deliver()

    def deliver(self) -> None:
        """Hand over the signal that was remembered, if any; as a rule this raises.

        Raises:
            KeyboardInterrupt: SIGINT, unless the program handles it in another way.
            Interrupted: SIGTERM, likewise.
        """
        if self._received is not None:
            number, self._received = self._received, None
            self._act(number, None)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            self._act(number, frame)
        self._received = number

    def _act(self, number: int, frame: FrameType | None) -> None:
        handler = self._former[number]
        if callable(handler):
            handler(number, frame)
        else:  # the default action would end the process without unwinding
            raise Interrupted(number)
