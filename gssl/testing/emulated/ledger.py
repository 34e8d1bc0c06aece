"""What happened on the emulated device: waits, kernels and copies, each with the line that caused it."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from types import FrameType

_FOREIGN = ("gssl/testing/emulated/", "site-packages/", "dist-packages/", "/lib/python3", "<")
"""Parts of the names of files whose lines are never the place of an event."""


@dataclass(frozen=True)
class Counts:
    """Totals of a stretch of work.

    Attributes:
        waits: how often the host waited for the device.
        kernels: operations that the device was given.
        pageable: copies to the device out of memory that is not pinned.
        copies_in: copies to the device; ``bytes_in`` are theirs.
        copies_out: copies to the host.
    """

    waits: int
    kernels: int
    pageable: int
    copies_in: int
    bytes_in: int
    copies_out: int


@dataclass
class Ledger:
    """Every event since the last :meth:`clear`.

    Attributes:
        waits: place in the program -> how often the host waited there for the device.
        kernels: name of an operation -> how often it ran there.
        pageable: place -> copies to the device out of memory that is not pinned.
        copies_in: copies to the device.
        bytes_in: bytes that they moved.
        copies_out: copies to the host.
    """

    waits: Counter[str] = field(default_factory=Counter)
    kernels: Counter[str] = field(default_factory=Counter)
    pageable: Counter[str] = field(default_factory=Counter)
    copies_in: int = 0
    bytes_in: int = 0
    copies_out: int = 0

    def clear(self) -> None:
        """Forget everything."""
        for events in (self.waits, self.kernels, self.pageable):
            events.clear()
        self.copies_in = self.bytes_in = self.copies_out = 0

    def wait(self) -> None:
        """The host waits here."""
        self.waits[calling_line()] += 1

    def counts(self) -> Counts:
        """Totals so far."""
        return Counts(
            waits=self.waits.total(),
            kernels=self.kernels.total(),
            pageable=self.pageable.total(),
            copies_in=self.copies_in,
            bytes_in=self.bytes_in,
            copies_out=self.copies_out,
        )


def calling_line() -> str:
    """The innermost line that is neither of this package nor of a library, as ``file:line (function)``."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename.replace("\\", "/")
        if not any(part in name for part in _FOREIGN):
            short = "/".join(name.rsplit("/", 3)[-3:])
            return f"{short}:{frame.f_lineno} ({frame.f_code.co_name})"
        frame = frame.f_back
    return "somewhere in a library"
