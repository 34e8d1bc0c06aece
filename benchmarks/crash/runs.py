"""A run of several seeds, of which the process is killed."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import psutil

from gssl.benchmarks.crash.findings import Findings
from gssl.benchmarks.crash.round import Round, half_written, has_open
from gssl.results.store import Store

UNITS = "seeds"
SEEDS = 3
COMMAND = ("run", "GRACE", "digits", "--seeds", str(SEEDS), "--epochs", "12", "--threads", "1", "--json")
# Checkpoints after every step, so that a kill falls into the writing of one, too.
OPTIONS = ("--set", "train.checkpoint_seconds=0.001")


class RunRound(Round):
    """``gssl run``; its units are seeds."""

    def __init__(self, folder: Path, findings: Findings, expected: Mapping[int, object] | None = None) -> None:
        self._out = folder / "run"
        super().__init__(folder, [*COMMAND, *OPTIONS, "--out", str(self._out)], findings)
        self._expected = expected or {}
        self._finished: dict[int, bytes] = {}

    def begun(self, command: psutil.Process) -> bool:
        return has_open(command, self._out)

    def strike(self, command: psutil.Process, rng: random.Random) -> tuple[str, list[psutil.Process], int] | None:
        return "run", [command], 1

    def look(self) -> None:
        now = {n: self._metrics(n).read_bytes() for n in range(SEEDS) if self._metrics(n).exists()}
        for seed, before in self._finished.items():
            self.findings.lost += seed not in now
            self.findings.rewritten += seed in now and now[seed] != before
        self._finished = now

    def end(self) -> None:
        found, findings = self.results(), self.findings
        findings.lost += SEEDS - len(self._finished)
        for seed, value in self._expected.items():
            findings.differ(f"seed {seed}", found.get(seed), value)
        findings.left += half_written(self.folder)
        with Store(self.url) as store:
            findings.double += abs(len(store.rows()) - SEEDS)

    def results(self) -> dict[int, object]:
        """Losses, scores and embeddings of every seed."""
        with Store(self.url) as store:
            rows = {row.seed: (row.config_hash, row.split_hash, row.val, row.test) for row in store.rows()}
        found: dict[int, object] = {}
        for seed in self._finished or range(SEEDS):
            lines = (self._metrics(seed).with_name("curve.jsonl")).read_text().splitlines()
            with np.load(self._metrics(seed).with_name("embeddings.npz")) as file:
                embeddings = file["embeddings"].tobytes()
            found[seed] = ([json.loads(line)["loss"] for line in lines], embeddings, rows.get(seed))
        return found

    def _metrics(self, seed: int) -> Path:
        return self._out / f"seed-{seed}" / "metrics.json"
