"""What a study found, as plain data and as the file ``study.json``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from gssl.common.errors import TrainingError
from gssl.search.job import Job
from gssl.search.study import identity
from gssl.search.trials import ERROR, counts

_SHOWN = ("epochs", "seconds", "wall_seconds", "default", "retry_of", ERROR)


def best_trial(study: Study) -> FrozenTrial:
    """The trial with the best validation score; with two objectives, of the Pareto set.

    Raises:
        TrainingError: no trial was finished.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        errors = [trial.user_attrs[ERROR] for trial in study.get_trials(deepcopy=False) if ERROR in trial.user_attrs]
        reason = f"the last one failed: {errors[-1]}" if errors else "give more --trials or a longer --timeout"
        raise TrainingError(f"no trial was finished, so there is nothing to choose from; {reason}")
    if len(study.directions) == 1:
        return study.best_trial
    sign = 1 if study.directions[0].name == "MAXIMIZE" else -1
    return max(study.best_trials, key=lambda trial: sign * trial.values[0])


def pareto(study: Study) -> list[FrozenTrial]:
    """Trials that no other one beats in every objective, best score first; empty with one objective."""
    if len(study.directions) == 1:
        return []
    sign = -1 if study.directions[0].name == "MAXIMIZE" else 1
    return sorted(study.best_trials, key=lambda trial: sign * trial.values[0])


def trial_data(trial: FrozenTrial) -> dict[str, Any]:
    """A trial as plain data."""
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "values": trial.values,
        "params": trial.params,
        "reports": {str(step): value for step, value in sorted(trial.intermediate_values.items())},
        **{key: trial.user_attrs[key] for key in _SHOWN if key in trial.user_attrs},
        "begun": trial.datetime_start.isoformat(timespec="seconds") if trial.datetime_start else None,
        "finished": trial.datetime_complete.isoformat(timespec="seconds") if trial.datetime_complete else None,
    }


def tally(trials: Sequence[FrozenTrial]) -> dict[str, int]:
    """How many trials ended how; those that were cut off and begun again are not in it."""
    mine = [trial for trial in trials if counts(trial)]
    failed = [trial for trial in mine if ERROR in trial.user_attrs or trial.state == TrialState.FAIL]
    return {
        "total": len(mine),
        "complete": sum(trial.state == TrialState.COMPLETE for trial in mine),
        "pruned": sum(trial.state == TrialState.PRUNED and trial not in failed for trial in mine),
        "failed": len(failed),
        "running": sum(trial.state == TrialState.RUNNING for trial in mine),
    }


def study_data(job: Job, study: Study) -> dict[str, Any]:
    """The whole study as plain data; there is no test score in it, and none was computed."""
    trials = study.get_trials(deepcopy=False)
    return {
        "study": job.study,
        "metric": job.metric,
        **identity(job),
        "directions": job.directions,
        "labelled_items": job.problem.task.shown(),
        "splits": [split.name for split in job.problem.splits(job.seed)],
        "trials": [trial_data(trial) for trial in trials],
    }
