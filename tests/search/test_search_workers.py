"""Several processes on one study."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import optuna
import psutil
import pytest
from filelock import FileLock
from optuna.trial import TrialState

from gssl.search.storage import open_storage
from gssl.search.trials import OWNER, owner
from gssl.search.workers import _left_by_others

if TYPE_CHECKING:
    from conftest import Tuner

WORDS = ("tune", "tiny:Denoise", "split.npz", "--space", "space.yaml", "--epochs", "4", "--seeds", "1", "--json")


def start(tuner: Tuner, *arguments: str, pause: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gssl", *WORDS, *arguments],
        cwd=tuner.lab.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TINY_PAUSE": str(pause)},
    )


def running(tuner: Tuner, process: subprocess.Popen[str], at_least: int) -> list[optuna.trial.FrozenTrial]:
    """Trials under way with their values, as soon as there are some."""
    deadline = time.monotonic() + 400
    url = f"sqlite:///{tuner.lab.folder}/mine/study.db"
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1]
        try:
            storage = optuna.storages.RDBStorage(url, skip_table_creation=True)
            study = optuna.load_study(study_name="Denoise-split", storage=storage)
        except Exception:  # neither the file nor the study is there yet
            time.sleep(0.2)
            continue
        found = [t for t in study.get_trials(states=(TrialState.RUNNING,)) if "owner" in t.user_attrs and t.params]
        if len(found) >= at_least:
            return found
        time.sleep(0.1)
    raise AssertionError("no trial began")


def stopped(worker: psutil.Process, tuner: Tuner, process: subprocess.Popen[str]) -> optuna.trial.FrozenTrial:
    """The trial whose values a worker had drawn when it was stopped; those that it was seen with before may be over."""
    for _ in range(200):
        worker.suspend()
        for trial in running(tuner, process, at_least=1):
            if trial.user_attrs["owner"]["pid"] == worker.pid and len(trial.params) == 4:
                return trial
        worker.resume()
        time.sleep(0.05)
    raise AssertionError("the worker was never in the midst of a trial")


def test_a_killed_worker_costs_one_trial_which_is_begun_again(tuner: Tuner) -> None:
    """What its method has started ends with it."""
    path, first = tuner.lab.folder / "tiny.py", "self.steps += 1\n        if self.steps == 1: "
    sleeper = "__import__('subprocess').Popen(['sleep', '200'], stdout=-3, stderr=-3)"
    path.write_text(path.read_text().replace("self.steps += 1", first + sleeper, 1))
    process = start(tuner, "--out", "mine", "--trials", "4", "--workers", "2", "--pruner", "none", pause=0.3)
    worker = psutil.Process(running(tuner, process, at_least=2)[0].user_attrs["owner"]["pid"])
    while not (left := worker.children(recursive=True)):
        time.sleep(0.02)
    victim = stopped(worker, tuner, process)
    worker.kill()
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    assert "a worker died (exit code -9)" in err
    assert not psutil.wait_procs(left, timeout=60)[1]
    result = json.loads(out)
    assert result["trials"] == {"total": 4, "complete": 4, "pruned": 0, "failed": 0, "running": 0}
    study = json.loads(Path(result["study_file"]).read_text())
    again = [trial for trial in study["trials"] if trial.get("retry_of") == victim.number]
    assert [trial["params"] for trial in again] == [victim.params]
    assert sum(trial["state"] == "fail" for trial in study["trials"]) == 1


def test_a_killed_command_leaves_no_worker_and_the_same_command_goes_on(tuner: Tuner) -> None:
    arguments = ("--out", "mine", "--trials", "2", "--workers", "2", "--pruner", "none")
    process = start(tuner, *arguments, pause=0.3)
    workers = [psutil.Process(t.user_attrs["owner"]["pid"]) for t in running(tuner, process, at_least=2)]
    process.kill()
    process.communicate()
    gone, alive = psutil.wait_procs(workers, timeout=200)
    assert not alive
    assert len(gone) == 2
    result = tuner.tune("--out", "mine", "--pruner", "none", trials=2)
    assert result["trials"] == {"total": 2, "complete": 2, "pruned": 0, "failed": 0, "running": 0}


def test_trouble_in_a_worker_is_told(tuner: Tuner) -> None:
    """A fault that no values cause, here of a disk, ends the command."""
    path = tuner.lab.folder / "tiny.py"
    fault = "raise OSError('no such disk')\n        clean"
    path.write_text(path.read_text().replace("self.watched()\n        clean", fault, 1))
    words = ("tune", "tiny:Denoise", "split.npz", "--space", "space.yaml", "--trials", "2", "--workers", "2")
    _, err = tuner.lab.gssl(*words, "--epochs", "2", "--out", "mine", code=1)
    assert "a worker failed: OSError: no such disk" in err


@pytest.mark.parametrize("workers", ["1", "3"])
def test_a_time_limit_of_nothing(tuner: Tuner, workers: str) -> None:
    words = ("tune", "tiny:Denoise", "split.npz", "--space", "space.yaml", "--trials", "9", "--workers", workers)
    _, err = tuner.lab.gssl(*words, "--timeout", "0.000001", "--out", "mine", code=1)
    assert "longer --timeout" in err


def test_nothing_is_chosen_while_another_command_still_trains(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    study = optuna.create_study(storage=storage)
    trial = study.ask()
    trial.set_user_attr(OWNER, owner())
    said: list[str] = []
    job = SimpleNamespace(deadline=None, storage="", trials=2, say=said.append)
    end = threading.Timer(2.5, lambda: study.tell(trial, 1.0))
    begin = time.monotonic()
    end.start()
    lacking = _left_by_others(job, study)  # type: ignore[arg-type]  # as much of a job as it looks at
    assert time.monotonic() - begin > 2
    assert lacking == 1
    assert said == ["waiting for trials of other commands on the same study"]


def test_a_deadline_ends_the_waiting(tmp_path: Path) -> None:
    study = optuna.create_study(storage=open_storage(f"sqlite:///{tmp_path}/study.db"))
    study.ask().set_user_attr(OWNER, owner())
    job = SimpleNamespace(deadline=time.monotonic() + 1.5, storage="", trials=2, say=lambda _: None)
    assert _left_by_others(job, study) == 0  # type: ignore[arg-type]


def test_workers_take_trials_from_an_sqlite_queue_one_at_a_time(tuner: Tuner) -> None:
    """Otherwise two that look at the same moment both take the first one."""
    folder = tuner.lab.folder / "mine"
    folder.mkdir()
    held, released = threading.Event(), list[datetime]()

    def hold() -> None:
        with FileLock(f"{folder}/study.db.lock"):
            held.set()
            time.sleep(8)
            released.append(datetime.now())

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    tuner.tune("--out", "mine", trials=1)
    holder.join()
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{folder}/study.db")
    begun = study.trials[0].datetime_start
    assert begun is not None
    assert begun > released[0]
