"""A suite, of which workers, the fork server and the runner are killed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from gssl.benchmarks.crash.findings import Findings
from gssl.benchmarks.crash.round import Round, half_written
from gssl.results.cells import Cells
from gssl.results.store import Store

UNITS = "cells"
SUITE = Path(__file__).with_name("suite.yaml")
VICTIMS = {"worker": 0.65, "runner": 0.2, "fork server": 0.1, "everything": 0.05}
Scores = Mapping[str, tuple[object, ...]]


class SuiteRound(Round):
    """``gssl bench``; its units are cells."""

    def __init__(self, folder: Path, workers: int, findings: Findings, expected: Scores | None = None) -> None:
        super().__init__(folder, ["bench", str(SUITE), "--workers", str(workers), "--json"], findings)
        self._expected = expected or {}
        self._finished: dict[str, tuple[int | None, str]] = {}

    def begun(self, command: psutil.Process) -> bool:
        return bool(_workers(command))

    def strike(self, command: psutil.Process, rng: random.Random) -> tuple[str, list[psutil.Process], int] | None:
        servers, workers = _servers(command), _workers(command)
        if not workers:
            return None
        kind = rng.choices(list(VICTIMS), list(VICTIMS.values()))[0]
        victims = {
            "worker": [rng.choice(workers)],
            "runner": [command],
            "fork server": servers,
            "everything": [command, *servers, *workers],
        }[kind]
        running = sum(row.status == "running" for row in self._cells().values())
        return kind, victims, 1 if kind == "worker" else max(running, len(workers))

    def look(self) -> None:
        rows = self._cells()
        for key, before in self._finished.items():
            row = rows.get(key)
            if row is None or row.status != "done":
                self.findings.lost += 1
            elif (row.run_id, row.date) != before:
                self.findings.rewritten += 1
        self._finished = {key: (row.run_id, row.date) for key, row in rows.items() if row.status == "done"}

    def end(self) -> None:
        rows, found, findings = self._cells(), self.scores(), self.findings
        findings.lost += sum(row.status != "done" for row in rows.values())
        for key, value in self._expected.items():
            findings.differ(f"cell {key}", found.get(key), value)
        findings.repeated += sum(row.attempts - 1 for row in rows.values())
        findings.left += half_written(self.folder)
        with Store(self.url) as store:
            findings.double += abs(len(store.rows()) - len(self._expected))

    def scores(self) -> Scores:
        """What every cell measured, without times."""
        with Store(self.url) as store:
            found = Cells(store).runs(Cells(store).rows())
        return {key: (run.config_hash, run.split_hash, run.seed, run.val, run.test) for key, run in found.items()}

    def _cells(self) -> dict[str, Any]:
        if not (self.folder / "results.db").exists():
            return {}
        with Store(self.url) as store:
            return dict(Cells(store).rows())


def _servers(runner: psutil.Process) -> list[psutil.Process]:
    return [process for process in runner.children() if "forkserver" in " ".join(process.cmdline())]


def _workers(runner: psutil.Process) -> list[psutil.Process]:
    return [process for server in _servers(runner) for process in server.children()]
