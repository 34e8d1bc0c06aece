"""Who works on something: a process on a machine, and whether it still lives.

A process is told from a later one of the same id by when it began, counted from the start of the machine: the clock
on the wall may be set, and with it psutil's idea of when a process was created.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import psutil

_SAME_SECONDS = 0.005  # a start is read from the system in whole ticks of a hundredth of a second, always the same


@dataclass(frozen=True)
class Owner:
    """A process.

    Attributes:
        host: machine, its boot and its process namespace, within which a process id means something.
        pid: process id.
        started: when the process began, in seconds since the machine was started where the system says so (Linux).
    """

    host: str
    pid: int
    started: float

    @classmethod
    def this(cls) -> Self:
        """The calling process."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> Self:
        """A process of this machine.

        Raises:
            psutil.NoSuchProcess: there is none.
        """
        return cls(_host(), pid, _started(pid))

    def alive(self) -> bool | None:
        """Whether the process runs; None where that cannot be seen because it is on another machine."""
        if self.host != _host():
            return None
        try:
            running = psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE
            return running and abs(_started(self.pid) - self.started) < _SAME_SECONDS
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True


def _started(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return int(fields[19]) / os.sysconf("SC_CLK_TCK")  # the 22nd field of all; a name may have blanks in it
    except (FileNotFoundError, ProcessLookupError):
        return psutil.Process(pid).create_time()  # there is no such process, or no such file system


@cache
def _host() -> str:
    parts = [socket.gethostname()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts += [str(Path("/proc/self/ns", name).readlink()) for name in ("pid", "time")]
    except OSError:  # not Linux, or an old one
        pass
    return " ".join(parts)
