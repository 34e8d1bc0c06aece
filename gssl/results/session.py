"""Sessions of processes: what a part of the user's own starts ends with the process that it was started in."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress

import psutil

_ROUNDS = 20  # of looking for processes that were started while others were killed
_PAUSE = 0.01


def lead_session() -> None:
    """Make the calling process the leader of a new session, to which everything belongs that it starts."""
    if os.getsid(0) != os.getpid():
        os.setsid()


def descendants(pid: int) -> list[psutil.Process]:
    """What a living process has started, directly or not, also in sessions of their own; nothing of a dead one."""
    with suppress(psutil.Error):
        found: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
        return found
    return []


def kill_session(leader: int, *, others: Sequence[psutil.Process] = (), grace: float = 0.0) -> None:
    """Kill all members of a session but the calling process, whether its leader still lives or not.

    The number of a session is given to no new process while it has members, so that nobody else is hit.

    Args:
        leader: process id of its leader.
        others: processes outside the session that end with it, as :func:`descendants` found them.
        grace: seconds for members to end by themselves, as those do that clean up after a process of Python.
    """
    for process in others:
        with suppress(psutil.Error):
            process.kill()  # psutil looks whether it is still the same process
    patient = time.monotonic() + grace
    for _ in range(_ROUNDS):
        while (members := _members(leader)) and time.monotonic() < patient:
            time.sleep(_PAUSE)
        if not members:
            return
        for pid in members:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE)


def end_strays() -> None:
    """Kill what the calling process has started and what has left its session."""
    for process in descendants(os.getpid()):
        with suppress(ProcessLookupError, psutil.Error):
            if os.getsid(process.pid) != os.getsid(0):
                process.kill()


def _members(leader: int) -> list[int]:
    found = []
    for pid in psutil.pids():
        with suppress(ProcessLookupError, PermissionError, psutil.Error):
            if pid != os.getpid() and os.getsid(pid) == leader and psutil.Process(pid).status() != "zombie":
                found.append(pid)
    return found
