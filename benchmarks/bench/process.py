"""Processes of cells: forked from a server that has imported everything heavy, watched, and killed over a limit."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Literal

import psutil

from gssl.benchmarks.bench import child
from gssl.results.session import descendants, kill_session

_TICK_SECONDS = 0.1
_GRACE_SECONDS = 30.0  # for a cell that was asked to stop to save its state
_CLEANING_SECONDS = 0.5  # for helpers of a process that has ended to remove its locks and to end
_POLLING = threading.Lock()  # starting a process polls all others, and an exit status can be read only once
# What every cell imports, and what takes long.
_PRELOAD = (
    "gssl.cli.main",
    "gssl.benchmarks.bench.child",
    "gssl.experiment.run",
    "gssl.experiment.prepare",
    "lightning_fabric",
    "sklearn.linear_model",
    "sklearn.datasets",
)


@dataclass(frozen=True)
class Limits:
    """Above which a process is killed; None for no limit. Seconds of wall time, MiB of resident memory."""

    seconds: float | None = None
    memory_mb: float | None = None


@dataclass(frozen=True)
class End:
    """How a process ended.

    Attributes:
        cause: ``reported`` if it said something; ``time`` or ``memory`` if it was over a limit; ``stopped`` if the
            runner was asked to stop; ``killed`` for a SIGKILL from outside; ``crashed`` for anything else.
        answer: what it said.
        message: the reason for the others.
        seconds: since its start.
    """

    cause: Literal["reported", "time", "memory", "stopped", "killed", "crashed"]
    answer: Any
    message: str
    seconds: float


class Processes:
    """Starts processes and waits for them; usable from several threads.

    Args:
        modules: imported in the fork server beside what every cell needs.
    """

    def __init__(self, modules: Iterable[str] = ()) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([*_PRELOAD, *modules])

    def call(
        self,
        work: Callable[..., object],
        *arguments: object,
        log: Path,
        limits: Limits = Limits(),
        stopping: Callable[[], bool] = lambda: False,
        beat: Callable[[], None] = lambda: None,
        environment: Mapping[str, str] = {},
    ) -> End:
        """Run ``work(*arguments)`` in a process of its own and wait for its end.

        Args:
            work: a function of a module.
            arguments: what it gets; they and the answer must be picklable.
            log: file for what the process prints.
            limits: above which it is killed.
            stopping: whether the runner was asked to stop; the process may then save its state.
            beat: called now and then while the process runs.
            environment: variables that it gets beside those of this process.
        """
        started = time.perf_counter()
        ours, theirs = self._context.Pipe()
        variables = {**os.environ, **environment}
        process = self._context.Process(target=child.main, args=(theirs, log, variables, work, arguments))
        with ours:
            try:
                with _POLLING:
                    process.start()
            except (OSError, EOFError) as error:  # the fork server was killed just now; the next call starts another
                time.sleep(_TICK_SECONDS)
                return End("killed", None, f"no process could be started: {error}", time.perf_counter() - started)
            finally:
                theirs.close()
            started = time.perf_counter()  # the first start waits for the fork server, which costs no cell its time
            watched = _Watched(process, ours, limits, started)
            try:
                cause = watched.until_the_end(stopping, beat)
            except BaseException:
                watched.kill()
                raise
            return watched.end(cause)


class _Watched:
    """A running process."""

    def __init__(self, process: Any, link: Any, limits: Limits, started: float) -> None:
        self._process = process
        self._link = link
        self._limits = limits
        self._started = started
        self._answer: Any = None
        self._answered = False
        self._peak_mb = 0.0
        self._oom_kills = _oom_kills()
        self._offspring: list[psutil.Process] = []  # what it had started when it was last seen alive
        try:
            self._system: psutil.Process | None = psutil.Process(process.pid)
        except psutil.NoSuchProcess:
            self._system = None

    def until_the_end(self, stopping: Callable[[], bool], beat: Callable[[], None]) -> str:
        """Wait; returns why the process ended, as far as that is our doing."""
        while True:
            wait([self._link, self._process.sentinel], timeout=_TICK_SECONDS)
            self._read()
            if self._answered or self._gone():
                return ""
            over = self._over()
            if over:
                self.kill()
                return over
            if stopping():
                self._ask_to_stop()
                return "stopped"
            beat()

    def end(self, cause: str) -> End:
        """Clean up, and say what happened."""
        self._await(5.0)
        self.kill()  # it said its last word, or the fork server was killed and it is an orphan
        code = self._await(5.0)
        seconds = time.perf_counter() - self._started
        if self._answered and cause != "stopped":
            return End("reported", self._answer, "", seconds)
        if cause == "time":
            return End("time", None, f"stopped after {seconds:.0f} s (limit {self._limits.seconds:g} s)", seconds)
        if cause == "memory":
            limit = f"limit {self._limits.memory_mb:g} MiB"
            return End("memory", None, f"stopped at {self._peak_mb:.0f} MiB ({limit})", seconds)
        if cause == "stopped":
            return End("stopped", None, "", seconds)
        if _oom_kills() > self._oom_kills and code == -signal.SIGKILL:
            return End("memory", None, "the system had no memory left and killed it", seconds)
        if code in (-signal.SIGKILL, 255):  # 255: the fork server is gone, so nobody knows
            return End("killed", None, "its process was killed from outside", seconds)
        return End("crashed", None, f"its process ended with {_name_of(code)}", seconds)

    def kill(self) -> None:
        """End the process, and everything that it has started, at once."""
        pid: int = self._process.pid
        self._offspring += descendants(pid)
        with suppress(psutil.NoSuchProcess):
            if self._system is not None:
                self._system.kill()
        kill_session(pid, others=self._offspring, grace=_CLEANING_SECONDS)

    def _code(self) -> int | None:
        with _POLLING:
            code: int | None = self._process.exitcode
            return code

    def _await(self, seconds: float) -> int | None:
        if self._code() is None:
            wait([self._process.sentinel], timeout=seconds)
        return self._code()

    def _read(self) -> None:
        with suppress(EOFError, OSError):
            if not self._answered and self._link.poll():
                self._answer = self._link.recv()
                self._answered = True

    def _gone(self) -> bool:
        if self._code() is None:
            return False
        self._read()  # it may have spoken between our last look and its end
        return True

    def _over(self) -> str:
        limits = self._limits
        if limits.seconds is not None and time.perf_counter() - self._started > limits.seconds:
            return "time"
        if limits.memory_mb is not None and self._system is not None:
            with suppress(psutil.NoSuchProcess):
                self._peak_mb = max(self._peak_mb, self._system.memory_info().rss / 2**20)
            return "memory" if self._peak_mb > limits.memory_mb else ""
        return ""

    def _ask_to_stop(self) -> None:
        self._offspring += descendants(self._process.pid)
        with suppress(psutil.NoSuchProcess):
            if self._system is not None:
                self._system.terminate()
        wait([self._link, self._process.sentinel], timeout=_GRACE_SECONDS)


def _oom_kills() -> int:
    """How often the kernel has killed for want of memory; 0 where it does not say."""
    try:
        for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def _name_of(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"
    return f"exit code {code}"
