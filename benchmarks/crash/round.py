"""One command that is killed and given again until it has done its work."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from gssl.benchmarks.crash.findings import Findings
from gssl.common.errors import TrainingError

_LOOK = 0.01  # seconds between looks at whether a command has begun


class Round(ABC):
    """A command with a folder of its own, in which everything is that it writes.

    Args:
        folder: its folder, which exists.
        arguments: of ``gssl``.
        findings: what is seen is added to them.
    """

    def __init__(self, folder: Path, arguments: Sequence[str], findings: Findings) -> None:
        self.folder, self.findings = folder, findings
        self._command = [sys.executable, "-m", "gssl", *arguments]
        self._environment = {**os.environ, "GSSL_RUNS": str(folder / "runs"), "GSSL_DB": self.url}
        self._log = folder.with_name(f"{folder.name}.log")
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its results store."""
        return f"sqlite:///{self.folder / 'results.db'}"

    @abstractmethod
    def begun(self, command: psutil.Process) -> bool:
        """Whether it works already: before that there is nothing to lose."""

    @abstractmethod
    def strike(self, command: psutil.Process, rng: random.Random) -> tuple[str, list[psutil.Process], int] | None:
        """What is killed.

        Returns:
            The kind of the victims, the victims, and how many units are in flight in them; None where there are none.
        """

    @abstractmethod
    def look(self) -> None:
        """Compare what is finished with what was finished before."""

    @abstractmethod
    def end(self) -> None:
        """Take stock of the finished command."""

    def undisturbed(self) -> float:
        """Carry the command out without any kill; the seconds that its work took."""
        command, since = psutil.Process(self._start().pid), time.monotonic()
        while not self._works(command):
            since = time.monotonic()
            time.sleep(_LOOK)
        code = self._start().wait()
        if code:
            raise TrainingError(f"the command fails without any kill (exit code {code}): {self._tail()}")
        return time.monotonic() - since

    def disturbed(self, kills: int, rng: random.Random, pause: float) -> None:
        """Carry the command out with kills.

        Args:
            kills: how many there are to be over all rounds; none beyond them.
            rng: of victims and times.
            pause: mean seconds from the beginning of the work, or from a kill, to the next kill.

        Raises:
            TrainingError: the command ended by itself, and not well.
        """
        try:
            while not self._attempt(kills, rng, pause):
                pass
        finally:
            if self._running is not None and self._running.poll() is None:
                self._running.kill()
                self._running.wait()
        self.look()
        self.end()
        self.findings.rounds += 1

    def _attempt(self, kills: int, rng: random.Random, pause: float) -> bool:
        """Until the next kill or the end; whether the command has done its work."""
        running = self._start()
        with suppress(psutil.NoSuchProcess):
            command = psutil.Process(running.pid)
            while running.poll() is None and not self._works(command):
                time.sleep(_LOOK)
            with suppress(subprocess.TimeoutExpired):
                running.wait(rng.expovariate(1 / pause))
            if running.poll() is None and self.findings.kills.total() < kills:
                self._kill(command, rng)
                return False
        if running.poll() is None and self.findings.kills.total() >= kills:
            running.wait()
        code = running.poll()
        if code not in (None, 0, -signal.SIGKILL):
            raise TrainingError(f"the command ended with exit code {code}: {self._tail()}")
        return code == 0

    def _kill(self, command: psutil.Process, rng: random.Random) -> None:
        found = self.strike(command, rng)
        if found is None:
            return
        kind, victims, in_flight = found
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        if command in victims and self._running is not None:
            self._running.wait()
        self.findings.kills[kind] += 1
        self.findings.in_flight += in_flight
        self.look()

    def _start(self) -> subprocess.Popen[bytes]:
        """Start the command unless it runs."""
        if self._running is None or self._running.poll() not in (None, 0):
            with self._log.open("ab") as log:
                self._running = subprocess.Popen(
                    self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
                )
        return self._running

    def _works(self, command: psutil.Process) -> bool:
        try:
            return self.begun(command)
        except psutil.NoSuchProcess:
            return True

    def _tail(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-1000:]


def has_open(process: psutil.Process, folder: Path) -> bool:
    """Whether a process has a file open below a folder."""
    with suppress(psutil.AccessDenied):
        return any(Path(file.path).is_relative_to(folder) for file in process.open_files())
    return False


def half_written(folder: Path) -> int:
    """How many temporary files and folders are below a folder."""
    return sum(1 for path in folder.rglob(".*") if path.name.endswith((".tmp", ".old")))
