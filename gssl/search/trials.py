"""Which trials of a study count, which were cut off, and who works on them."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from dataclasses import asdict
from typing import Any

from optuna import Study
from optuna.storages import fail_stale_trials
from optuna.trial import FrozenTrial, TrialState

from gssl.results.owner import Owner

IDENTITY = "gssl"  # of a study: what it searches, and how
ERROR = "error"  # why a trial failed by its own fault
OWNER = "owner"  # the process that works on it
INTERRUPTED = "interrupted"  # whether it was stopped from outside
RETRY_OF = "retry_of"  # number of the trial whose values it repeats
RETRIES = "retries"  # how often a process died over these values
_MAX_RETRIES = 2
_NAMELESS = 120.0  # seconds; whoever is seen without an owner for so long has lost it before it could say who it is


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
    return asdict(Owner.this())


def recover(study: Study, seen: MutableMapping[int, float] | None = None) -> int:
    """Fail trials whose process is gone, and queue again the values of those that were cut off.

    Trials of other hosts are left to the heartbeat of the database. One that was cut off while its values were drawn is
    drawn anew, as if it had not been begun.

    Args:
        study: which one.
        seen: when trials without an owner were first seen, by number; kept by who looks again and again.

    Returns:
        How many were queued.
    """
    seen = {} if seen is None else seen
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if _abandoned(trial, seen):
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
    trials = study.get_trials(deepcopy=False)
    repeated = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    queued = 0
    for trial in trials:
        lost = trial.state == TrialState.FAIL and not counts(trial)
        if not (lost and has_values(study, trial)) or trial.number in repeated:
            continue
        retries = trial.user_attrs.get(RETRIES, 0) + (INTERRUPTED not in trial.user_attrs)
        study.enqueue_trial(trial.params, user_attrs={RETRY_OF: trial.number, RETRIES: retries})
        queued += 1
    return queued


def has_values(study: Study, trial: FrozenTrial) -> bool:
    """Whether every value of a trial was drawn; values that are drawn beside given ones would be others."""
    return bool(trial.params) and set(study.user_attrs.get(IDENTITY, {}).get("space", ())) <= set(trial.params)


def under_way(study: Study) -> list[FrozenTrial]:
    """Trials that somebody works on, as far as that can be known: of other hosts only in a storage with heartbeats."""
    fail_stale_trials(study)
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    beating = getattr(study._storage, "get_heartbeat_interval", lambda: None)() is not None
    return [trial for trial in running if beating or _alive(trial.user_attrs.get(OWNER)) is True]


def _given_up(trial: FrozenTrial) -> bool:
    """Whether a process died over its values once too often."""
    return INTERRUPTED not in trial.user_attrs and trial.user_attrs.get(RETRIES, 0) >= _MAX_RETRIES


def _abandoned(trial: FrozenTrial, seen: MutableMapping[int, float]) -> bool:
    worker = trial.user_attrs.get(OWNER)
    if worker is None:
        # Not by the hour at which it began, which is that of another machine's clock.
        return time.monotonic() - seen.setdefault(trial.number, time.monotonic()) > _NAMELESS
    return _alive(worker) is False


def _alive(worker: Any) -> bool | None:
    """Whether the owner of a trial lives; None where nobody can tell, as of one that a former version named."""
    try:
        return Owner(worker["host"], worker["pid"], worker["started"]).alive()
    except (KeyError, TypeError):
        return None
