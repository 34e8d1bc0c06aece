"""The check of a device: each part in a process of its own, within its time, and none at the cost of the others."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock

from gssl.benchmarks.gpu.parts import Part
from gssl.benchmarks.gpu.report import SCHEMA, Status, unfinished
from gssl.benchmarks.gpu.setup import Setup
from gssl.common.errors import InputError
from gssl.common.files import read_json, write_json

LEAST_SECONDS = 10.0
"""With less time left a part is not begun: its imports alone take most of that."""
USUAL_SECONDS = 480.0
COMMAND = (sys.executable, "-m", "gssl.benchmarks.gpu.child")
"""What carries out a part, before its arguments."""
_CORES = 4  # for each correctness part that runs beside others
_LOG = 4000  # last characters of what a part printed that are kept
Found = dict[str, object]


@dataclass(frozen=True)
class Checked:
    """What the check found.

    Attributes:
        parts: the JSON of each part, in the order in which they were asked for.
        seconds: that it took.
        file: where it stands; None if nowhere.
    """

    parts: tuple[Found, ...]
    seconds: float
    setup: Setup
    file: Path

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the device is not shown to be right; empty if it is."""
        return tuple(text for part in self.parts for text in _problems(part))

    @property
    def remarks(self) -> tuple[str, ...]:
        """Figures that could not be had."""
        bad = [p for p in self.parts if p["kind"] == "figures" and p["status"] in ("error", "timeout", "skipped")]
        return tuple(f"{part['name']}: {part['status']}, {part['message']}" for part in bad)

    def mapping(self) -> dict[str, object]:
        """All of it as JSON types."""
        return {
            "schema": SCHEMA,
            "setup": asdict(self.setup),
            "seconds": round(self.seconds, 1),
            "problems": list(self.problems),
            "remarks": list(self.remarks),
            "parts": list(self.parts),
        }


def _problems(part: Found) -> list[str]:
    cases = part["cases"]
    assert isinstance(cases, list)
    wrong = [f"{part['name']}: {c['name']} {c['verdict']}" for c in cases if c["verdict"] in ("differs", "failed")]
    if part["kind"] == "correctness" and part["status"] in ("error", "timeout", "skipped"):
        wrong.append(f"{part['name']}: {part['status']}, {part['message']}")
    return wrong


def check(parts: Sequence[Part], setup: Setup, out: Path, seconds: float, tell: Callable[[str], None]) -> Checked:
    """Carry out the parts, correctness first and some of it side by side, then the figures one by one.

    ``check.json`` in the folder is written anew whenever a part has ended. Until all have, what they found so far is
    in ``parts``, which is folded into it.

    Args:
        parts: what to do, the most important first.
        setup: the device and the sizes.
        out: the folder.
        seconds: for everything; with more than usual, each part has more in proportion.
        tell: shows a line of progress.

    Raises:
        InputError: the folder holds the results of a former check.
    """
    file, work = out / "check.json", out / "parts"
    if file.exists() or work.exists():
        raise InputError(f"{out} holds the results of a former check: give another folder with --out, or delete it")
    work.mkdir(parents=True)
    run = _Run(tuple(parts), setup, work, file, seconds, tell)
    first = [part for part in parts if part.kind == "correctness"]
    side_by_side = max(1, min(len(first), (os.cpu_count() or 1) // _CORES))
    with ThreadPoolExecutor(side_by_side) as pool:
        try:
            list(pool.map(run.carry_out, first))
        except BaseException:  # Ctrl-C, for example, which processes in sessions of their own do not see
            run.stop()
            raise
    for part in parts:
        if part.kind == "figures":
            run.carry_out(part)
    checked = run.checked()
    shutil.rmtree(work)
    return checked


class _Run:
    """A check under way; its methods may be called by several threads."""

    def __init__(
        self,
        parts: tuple[Part, ...],
        setup: Setup,
        work: Path,
        file: Path,
        seconds: float,
        tell: Callable[[str], None],
    ) -> None:
        self.parts, self.setup, self.work, self.file, self.tell = parts, setup, work, file, tell
        self.patience = max(1.0, seconds / USUAL_SECONDS)
        self._start = time.monotonic()
        self.end = self._start + seconds
        self._found: dict[str, Found] = {}
        self._lock = Lock()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._stopped = False

    def stop(self) -> None:
        """End whatever is under way, and begin nothing more."""
        with self._lock:
            self._stopped = True
            for process in self._processes:
                _end(process)

    def checked(self) -> Checked:
        """What there is."""
        found = tuple(self._found[part.name] for part in self.parts if part.name in self._found)
        return Checked(found, time.monotonic() - self._start, self.setup, self.file)

    def carry_out(self, part: Part) -> None:
        """Start a part, wait for it or end it, and book what it found."""
        own = part.seconds * self.patience
        limit = min(own, self.end - time.monotonic())
        if limit < min(LEAST_SECONDS, own):
            self._book(unfinished(part.name, part.kind, part.seconds, "skipped", "no time was left"))
            return
        file, log = self.work / f"{part.name}.json", self.work / f"{part.name}.log"
        command = [*COMMAND, part.name, json.dumps(asdict(self.setup))]
        with log.open("wb") as output:
            # A session of its own, so that whatever the part starts can be ended with it.
            with self._lock:
                if self._stopped:
                    return
                process = subprocess.Popen(
                    [*command, str(limit), str(file)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
                self._processes.append(process)
            start = time.monotonic()
            code = _waited(process, limit)
            took = time.monotonic() - start
        self._book({**self._read(part, file, log, code, limit), "kind": part.kind, "seconds": round(took, 1)})

    def _read(self, part: Part, file: Path, log: Path, code: int | None, limit: float) -> Found:
        """The findings of a part whose process is gone, ``code`` None where it was ended."""
        status: Status = "timeout" if code is None else "error"
        message = f"it took more than {limit:.0f} s" if code is None else f"its process ended with {code}"
        try:
            found: Found = dict(read_json(file))
        except (InputError, FileNotFoundError):
            found = unfinished(part.name, part.kind, limit, status, message)
        if found["status"] == "running":
            found |= {"status": status, "message": message}
        if found["status"] in ("error", "timeout"):
            found["log"] = log.read_text(encoding="utf-8", errors="replace")[-_LOG:]
        return found

    def _book(self, found: Found) -> None:
        with self._lock:
            self._found[str(found["name"])] = found
            write_json(self.file, self.checked().mapping())
            self.tell(_line(found))


def _waited(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """The exit code, or None where the process took longer and was ended."""
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a part, or what it left running."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _line(found: Mapping[str, object]) -> str:
    cases = found["cases"]
    assert isinstance(cases, list)
    same = sum(case["verdict"] == "same" for case in cases)
    compared = sum(case["verdict"] != "skipped" for case in cases)
    told = f", {same} of {compared} cases as on the CPU" if cases else ""
    return f"{found['name']}: {found['status']} after {found['seconds']} s{told}"
