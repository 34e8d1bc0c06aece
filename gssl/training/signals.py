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
        impatient: whether a second signal takes effect at once. A launcher of several processes passes on what the
            terminal has sent to all of them already, so there it does not.
    """

    def __init__(self, *, active: bool = True, impatient: bool = True) -> None:
        self._impatient = impatient
        self._active = active and threading.current_thread() is threading.main_thread()
        self._received: int | None = None
        self._former: dict[int, Any] = {}

    @property
    def received(self) -> bool:
        """Whether the work should stop at the next opportunity."""
        return self._received is not None

    @property
    def number(self) -> int:
        """The signal that was received; 0 for none."""
        return self._received or 0

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

    def deliver(self, number: int = 0) -> None:
        """Hand over the signal that was remembered, if any; as a rule this raises.

        Args:
            number: a signal that another process received; 0 for none.

        Raises:
            KeyboardInterrupt: SIGINT, unless the program handles it in another way.
            Interrupted: SIGTERM, likewise.
        """
        if number or self._received is not None:
            number, self._received = self._received or number, None
            self._act(number, None)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            if not self._impatient:
                return
            self._act(number, frame)
        self._received = number

    def _act(self, number: int, frame: FrameType | None) -> None:
        handler = self._former.get(number)
        if callable(handler):
            handler(number, frame)
        else:  # the default action would end the process without unwinding
            raise Interrupted(number)
