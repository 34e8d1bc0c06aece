"""Who works on something: a process on a machine, and whether it still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import psutil

_CLOCK_SECONDS = 2.0  # the start of a process, read twice, differs by less even when the clock is adjusted


@dataclass(frozen=True)
class Owner:
    """A process.

    Attributes:
        host: machine, its boot and its process namespace, within which a process id means something.
        pid: process id.
        started: when the process began, seconds since 1970, which tells it from a later one of the same id.
    """

    host: str
    pid: int
    started: float

    @classmethod
    def this(cls) -> Self:
        """The calling process."""
        return cls(_host(), os.getpid(), psutil.Process().create_time())

    def alive(self) -> bool | None:
        """Whether the process runs; None where that cannot be seen because it is on another machine."""
        if self.host != _host():
            return None
        try:
            process = psutil.Process(self.pid)
            running = process.status() != psutil.STATUS_ZOMBIE
            return running and abs(process.create_time() - self.started) < _CLOCK_SECONDS
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True


@cache
def _host() -> str:
    parts = [socket.gethostname()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    except OSError:  # not Linux
        pass
    return " ".join(parts)
