"""Which trials of a study count, which were cut off, and who works on them."""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta
from typing import Any

import psutil
from optuna import Study
from optuna.storages import fail_stale_trials
from optuna.trial import FrozenTrial, TrialState

ERROR = "error"  # why a trial failed by its own fault
OWNER = "owner"  # the process that works on it
INTERRUPTED = "interrupted"  # whether it was stopped from outside
RETRY_OF = "retry_of"  # number of the trial whose values it repeats
RETRIES = "retries"  # how often a process died over these values
_MAX_RETRIES = 2
_NAMELESS = timedelta(minutes=2)  # a trial without an owner after this time has lost it before it could say who it is


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial is one of those that were asked for: finished, failed by its own fault, or under way."""
    if trial.state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING):
        return True
    return trial.state == TrialState.FAIL and (ERROR in trial.user_attrs or _given_up(trial))


def missing(study: Study, wanted: int) -> int:
    """How many trials are still to be begun."""
    return wanted - sum(map(counts, study.get_trials(deepcopy=False)))


def owner() -> dict[str, Any]:
    """This process, in a form that another one can check."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "born": psutil.Process().create_time()}


def recover(study: Study) -> int:
    """Fail trials whose process is gone, and queue again the values of those that were cut off.

    Trials of other hosts are left to the heartbeat of the database.

    Returns:
        How many were queued.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if _abandoned(trial):
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
    trials = study.get_trials(deepcopy=False)
    repeated = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    queued = 0
    for trial in trials:
        lost = trial.state == TrialState.FAIL and not counts(trial)
        if not (lost and trial.params) or trial.number in repeated:
            continue
        retries = trial.user_attrs.get(RETRIES, 0) + (INTERRUPTED not in trial.user_attrs)
        study.enqueue_trial(trial.params, user_attrs={RETRY_OF: trial.number, RETRIES: retries})
        queued += 1
    return queued


def under_way(study: Study) -> list[FrozenTrial]:
    """Trials that somebody works on, as far as that can be known: of other hosts only in a storage with heartbeats."""
    fail_stale_trials(study)
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    beating = getattr(study._storage, "get_heartbeat_interval", lambda: None)() is not None
    here = socket.gethostname()
    return [trial for trial in running if beating or trial.user_attrs.get(OWNER, {}).get("host") == here]


def _given_up(trial: FrozenTrial) -> bool:
    """Whether a process died over its values once too often."""
    return INTERRUPTED not in trial.user_attrs and trial.user_attrs.get(RETRIES, 0) >= _MAX_RETRIES


def _abandoned(trial: FrozenTrial) -> bool:
    worker = trial.user_attrs.get(OWNER)
    if worker is None:
        return trial.datetime_start is not None and datetime.now() - trial.datetime_start > _NAMELESS
    if worker["host"] != socket.gethostname():
        return False
    try:
        return bool(abs(psutil.Process(worker["pid"]).create_time() - worker["born"]) > 1)
    except psutil.NoSuchProcess:
        return True
