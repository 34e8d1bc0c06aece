"""The study of a search: made, or found again and checked that it is the same one."""

from __future__ import annotations

import json
from typing import Any

import optuna
from optuna import Study
from optuna.trial import TrialState

from gssl.common.errors import InputError
from gssl.config.record import plain
from gssl.config.resolve import resolve
from gssl.experiment.plugins import plugin_digests
from gssl.results.store import shown
from gssl.search.algorithms import make_pruner, make_sampler
from gssl.search.job import Job
from gssl.search.space import Value, nearest, space_data, value_of
from gssl.search.storage import open_storage, opening
from gssl.search.trials import IDENTITY, has_values

DEFAULT = "default"  # marks the trial with the values that a run without search has


def open_study(job: Job, *, patience: float = 0.0) -> Study:
    """The study of a job, a new one or one that goes on.

    Args:
        job: the search.
        patience: seconds for which a server is waited for at the start; later it always is.

    Raises:
        InputError: the storage cannot be used, or a study of that name searches something else.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler, pruner = make_sampler(job.algorithm, job.seed, len(job.objectives)), make_pruner(job.pruner, job.rungs)
    storage = open_storage(job.storage, patience=patience)
    with opening(job.storage):
        study = optuna.create_study(
            study_name=job.study,
            storage=storage,
            sampler=sampler,
            pruner=pruner,
            directions=job.directions,
            load_if_exists=True,
        )
        stored = study.user_attrs.get(IDENTITY)
        if stored is None:
            if study.get_trials(deepcopy=False):
                raise InputError(
                    f"the study {job.study!r} in that storage was not made by gssl; choose another --study"
                )
            study.set_user_attr(IDENTITY, identity(job))
        else:
            _compare(job, stored)
    return study


def identity(job: Job) -> dict[str, Any]:
    """What makes two searches the same: everything that a trial depends on, as plain data."""
    config = resolve(job.base, job.subject)
    content = config.mapping()
    return {
        "method": content.pop("method"),
        "dataset": config.dataset,
        "data": job.problem.task.dataset.checksum,
        "space": space_data(job.space),
        "encoder": content["encoder"],
        "sampler": content["sampler"],
        "train": {key: value for key, value in content["train"].items() if key != "checkpoint_seconds"},
        "probe": content["probe"],
        **{key: content[key] for key in ("task", "setting", "finetune") if key in content},
        "objective": list(job.objectives),
        "algorithm": job.algorithm,
        "pruner": job.pruner,
        "seed": job.seed,
        **({"threads": job.threads} if job.threads != 1 else {}),  # studies of before have none
        "code": plugin_digests(config) | job.problem.sources,
    }


def queue_default(study: Study, job: Job) -> None:
    """Let the first trial be the values that a run without search has, as near as the space allows."""
    for trial in study.get_trials(deepcopy=False):
        pending = trial.state in (TrialState.WAITING, TrialState.RUNNING)
        if DEFAULT in trial.user_attrs and (pending or has_values(study, trial)):
            return
    study.enqueue_trial(default_values(job), user_attrs={DEFAULT: True})


def default_values(job: Job) -> dict[str, Value]:
    """Those of the searched parameters whose default lies in the space or beside it."""
    config = resolve(job.base, job.subject)
    found: dict[str, Value] = {}
    for key, space in job.space.items():
        try:
            found[key] = nearest(space, value_of(config, key))
        except LookupError:
            continue
    return found


def _compare(job: Job, stored: dict[str, Any]) -> None:
    mine = json.loads(json.dumps(plain(identity(job))))
    different = [key for key in {**stored, **mine} if stored.get(key) != mine.get(key)]
    if different:
        lines = [f"  {key}: {_difference(stored.get(key), mine.get(key))}" for key in different]
        raise InputError(
            f"the study {job.study!r} in {shown(job.storage)} searches something else (there, now):\n"
            + "\n".join(lines)
            + "\nchoose another --study, --storage or --out"
        )


def _difference(there: Any, now: Any) -> str:
    """Only what differs of two mappings."""
    if isinstance(there, dict) and isinstance(now, dict):
        keys = [key for key in {**there, **now} if there.get(key) != now.get(key)]
        return "; ".join(f"{key} {_short(there.get(key))}, {_short(now.get(key))}" for key in keys)
    return f"{_short(there)}, {_short(now)}"


def _short(value: Any) -> str:
    return "absent" if value is None else json.dumps(value)
