"""Kills workers and the runner of a suite at random points, and checks that nothing was lost or done twice.

The suite runs once undisturbed. Then it runs again and again in new stores, and at random times one of its processes
gets a SIGKILL: the process of a cell, the fork server, the runner, or all of them; a killed runner is started again.
After every kill, and at the end, the store is looked at::

    python -m gssl.benchmarks.crash --kills 50 --workers 2 --out benchmarks/results/crash.json
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from gssl.benchmarks.perf.machine import describe
from gssl.common.errors import TrainingError
from gssl.results.cells import Cells
from gssl.results.store import Store

VICTIMS = {"worker": 0.65, "runner": 0.2, "fork server": 0.1, "everything": 0.05}
Scores = dict[str, tuple[object, ...]]


@dataclass
class Findings:
    """What the test saw.

    Attributes:
        kills: number per kind of process.
        rounds: how often the suite was carried out to its end.
        cells: in the suite.
        lost: cells that were finished and later were not.
        rewritten: cells whose finished result was written a second time.
        double: rows of runs beyond one per cell.
        different: cells whose scores are not bit for bit those of the undisturbed run.
        repeated: attempts beyond the first one, over all rounds; at most the cells in flight at each kill.
        in_flight: the sum over the kills of the cells that were in flight: one, where a single worker was killed.
        seconds: wall time.
    """

    kills: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    cells: int = 0
    lost: int = 0
    rewritten: int = 0
    double: int = 0
    different: int = 0
    repeated: int = 0
    in_flight: int = 0
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether the suite survived."""
        return not (self.lost or self.rewritten or self.double or self.different) and self.repeated <= self.in_flight


class Round:
    """One disturbed run of the suite in a store of its own."""

    def __init__(self, suite: str, folder: Path, workers: int, findings: Findings) -> None:
        self.folder, self.findings = folder, findings
        self.command = [sys.executable, "-m", "gssl", "bench", suite, "--workers", str(workers), "--json"]
        self.environment = {**os.environ, "GSSL_RUNS": str(folder / "runs"), "GSSL_DB": url(folder)}
        self.finished: dict[str, tuple[int | None, str]] = {}
        self.runner: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """Start the runner unless it runs."""
        if self.runner is None or self.runner.poll() is not None:
            log = (self.folder / "runner.log").open("ab")
            self.runner = subprocess.Popen(
                self.command, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
            log.close()
        return self.runner

    def stop(self) -> None:
        """End the runner if it still runs."""
        if self.runner is not None and self.runner.poll() is None:
            self.runner.kill()
            self.runner.wait()

    def kill(self, rng: random.Random) -> None:
        """Kill processes of one kind, if a cell is being worked on: before that there is nothing to lose."""
        runner = psutil.Process(self.start().pid)
        servers = [process for process in runner.children() if "forkserver" in " ".join(process.cmdline())]
        workers = [process for server in servers for process in server.children()]
        if not workers:
            return
        kind = rng.choices(list(VICTIMS), list(VICTIMS.values()))[0]
        victims = {
            "worker": [rng.choice(workers)],
            "runner": [runner],
            "fork server": servers,
            "everything": [runner, *servers, *workers],
        }[kind]
        running = sum(row.status == "running" for row in self.cells().values())
        for victim in victims:
            victim.kill()
        self.findings.kills[kind] += 1
        self.findings.in_flight += 1 if kind == "worker" else max(running, len(workers))
        self.look()

    def look(self) -> None:
        """Compare the store with what was seen before."""
        rows = self.cells()
        for key, before in self.finished.items():
            row = rows.get(key)
            if row is None or row.status != "done":
                self.findings.lost += 1
            elif (row.run_id, row.date) != before:
                self.findings.rewritten += 1
        self.finished = {key: (row.run_id, row.date) for key, row in rows.items() if row.status == "done"}

    def cells(self) -> dict[str, Any]:
        if not (self.folder / "results.db").exists():
            return {}
        with Store(url(self.folder)) as store:
            return dict(Cells(store).rows())

    def end(self, expected: Scores) -> None:
        """Take stock of a finished round."""
        self.look()
        rows = self.cells()
        found = scores(self.folder)
        findings = self.findings
        findings.rounds += 1
        findings.cells = len(expected)
        findings.lost += sum(row.status != "done" for row in rows.values())
        findings.different += sum(found.get(key) != value for key, value in expected.items())
        findings.repeated += sum(row.attempts - 1 for row in rows.values())
        with Store(url(self.folder)) as store:
            findings.double += abs(len(store.rows()) - len(expected))


def disturb(suite: str, *, kills: int, workers: int, seed: int, pause: float, folder: Path) -> Findings:
    """The whole test (see the module).

    Args:
        suite: name or file.
        kills: how many there must be at least.
        workers: of the runner.
        seed: of the choice of victims and times.
        pause: mean seconds between kills.
        folder: for stores and runs; a round's part is removed after it.
    """
    begin, rng, findings = time.perf_counter(), random.Random(seed), Findings()
    expected = _undisturbed(suite, folder / "calm", workers)
    while findings.kills.total() < kills:
        place = folder / f"round-{findings.rounds}"
        place.mkdir()
        current = Round(suite, place, workers, findings)
        try:
            _disturbed(current, kills, rng, pause)
        finally:
            current.stop()
        current.end(expected)
        shutil.rmtree(place)
    findings.seconds = time.perf_counter() - begin
    return findings


def _disturbed(current: Round, kills: int, rng: random.Random, pause: float) -> None:
    """Kill and restart until the suite is finished."""
    while True:
        runner = current.start()
        with suppress(subprocess.TimeoutExpired):
            code = runner.wait(rng.expovariate(1 / pause))
            if code == 0:
                return
            if code != -signal.SIGKILL:
                raise TrainingError(f"the runner ended with exit code {code}: {_tail(current.folder)}")
            continue
        if current.findings.kills.total() < kills:
            with suppress(psutil.NoSuchProcess):
                current.kill(rng)


def _undisturbed(suite: str, folder: Path, workers: int) -> Scores:
    folder.mkdir(parents=True)
    calm = Round(suite, folder, workers, Findings())
    if calm.start().wait():
        raise TrainingError(f"the suite fails without any kill: {_tail(folder)}")
    return scores(folder)


def scores(folder: Path) -> Scores:
    """What every cell measured, without times."""
    with Store(url(folder)) as store:
        found = Cells(store).runs(Cells(store).rows())
    return {key: (run.config_hash, run.split_hash, run.seed, run.val, run.test) for key, run in found.items()}


def url(folder: Path) -> str:
    """The store of a round."""
    return f"sqlite:///{folder / 'results.db'}"


def _tail(folder: Path) -> str:
    return (folder / "runner.log").read_text(encoding="utf-8", errors="replace")[-1000:]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the test and write what it found."""
    parser = argparse.ArgumentParser(prog="python -m gssl.benchmarks.crash", description=__doc__.partition("\n")[0])
    parser.add_argument("--suite", default=str(Path(__file__).with_name("crash.yaml")))
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pause", type=float, default=2.0, help="mean seconds between kills")
    parser.add_argument("--out", type=Path, help="JSON file for what was found")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        findings = disturb(
            options.suite,
            kills=options.kills,
            workers=options.workers,
            seed=options.seed,
            pause=options.pause,
            folder=Path(folder),
        )
    data = {**asdict(findings), "kills": dict(findings.kills), "holds": findings.holds, "machine": describe(1)}
    data |= {"suite": Path(options.suite).name, "workers": options.workers, "seed": options.seed}
    text = json.dumps(data, indent=2) + "\n"
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    Console().print(text, markup=False)
    return 0 if findings.holds else 1


if __name__ == "__main__":
    sys.exit(main())
