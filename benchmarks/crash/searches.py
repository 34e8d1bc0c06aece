"""A search, of which workers and the command are killed."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import psutil
from optuna.trial import TrialState

from gssl.benchmarks.crash.findings import Findings
from gssl.benchmarks.crash.round import Round, half_written, has_open
from gssl.results.store import Store
from gssl.search.trials import RETRY_OF, counts

UNITS = "trials"
TRIALS = 8
SPACE = Path(__file__).with_name("space.yaml")
COMMAND = ("tune", "GRACE", "digits", "--trials", str(TRIALS), "--epochs", "3", "--seeds", "1", "--pruner", "none")
_STUDY = "GRACE-digits"
VICTIMS = {"worker": 0.5, "command": 0.35, "everything": 0.15}
Trials = list[tuple[object, ...]]


@dataclass(frozen=True)
class Found:
    """What a search led to: its trials in order, and the scores of its final runs by configuration."""

    trials: Trials
    runs: Mapping[str, object]

    @property
    def by_values(self) -> dict[str, tuple[object, ...]]:
        """What a trial measured, by the values that it had."""
        return {json.dumps(trial[0], sort_keys=True): trial[1:] for trial in self.trials}


class SearchRound(Round):
    """``gssl tune``; its units are trials. With one worker the study must be that of a search without kills.

    With several, which trial begins when depends on the clock: there, equal values must give equal scores.
    """

    def __init__(self, folder: Path, workers: int, findings: Findings, expected: Found | None = None) -> None:
        out = ["--workers", str(workers), "--space", str(SPACE), "--out", str(folder / "study"), "--json"]
        super().__init__(folder, [*COMMAND, *out], findings)
        self._workers, self._expected = workers, expected
        self._finished: dict[int, object] = {}

    def begun(self, command: psutil.Process) -> bool:
        return has_open(command, self.folder)

    def strike(self, command: psutil.Process, rng: random.Random) -> tuple[str, list[psutil.Process], int] | None:
        workers = [child for child in command.children() if has_open(child, self.folder)]
        kinds = VICTIMS if workers else {"command": 1.0}
        kind = rng.choices(list(kinds), list(kinds.values()))[0]
        victims = {"worker": workers and [rng.choice(workers)], "command": [command], "everything": [command, *workers]}
        return kind, victims[kind], 1 if kind == "worker" else max(1, len(workers))

    def look(self) -> None:
        now: dict[int, object] = {
            trial.number: (trial.values, trial.datetime_complete)
            for trial in self._trials()
            if trial.state == TrialState.COMPLETE
        }
        for number, before in self._finished.items():
            self.findings.lost += number not in now
            self.findings.rewritten += number in now and now[number] != before
        self._finished = now

    def end(self) -> None:
        found, findings = self.found(), self.findings
        cut_off = [trial for trial in self._trials() if not counts(trial)]
        findings.lost += abs(TRIALS - len(found.trials))
        findings.repeated += len(cut_off)
        again = [t.user_attrs[RETRY_OF] for t in self._trials() if RETRY_OF in t.user_attrs]
        with Store(self.url) as store:
            findings.double += len(store.rows()) - len(found.runs) + len(again) - len(set(again))
        findings.left += half_written(self.folder)
        if self._expected is None:
            return
        if self._workers == 1:
            for number, (mine, theirs) in enumerate(zip(found.trials, self._expected.trials, strict=False)):
                findings.differ(f"trial {number}", mine, theirs)
        known = self._expected.by_values
        for key, scores in found.by_values.items():
            findings.differ(f"trial with {key}", scores, known.get(key, scores))
        for key, run in found.runs.items():
            findings.differ(f"run {key}", run, self._expected.runs.get(key, run))

    def found(self) -> Found:
        """Trials that count, and final runs."""
        trials: Trials = [(t.params, t.intermediate_values, t.values) for t in self._trials() if counts(t)]
        with Store(self.url) as store:
            return Found(trials, {row.config_hash: (row.seed, row.val, row.test) for row in store.rows()})

    def _trials(self) -> list[Any]:
        file = self.folder / "study" / "study.db"
        if not file.exists():
            return []
        with suppress(Exception):  # its tables are being made
            storage = optuna.storages.RDBStorage(f"sqlite:///{file}", skip_table_creation=True)
            try:
                return optuna.load_study(study_name=_STUDY, storage=storage).get_trials(deepcopy=False)
            finally:
                storage.engine.dispose()
        return []
