"""Local workers of a study: one in this process, or several processes, each with as many threads as a trial has."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
import traceback
from contextlib import nullcontext
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from gssl.common.errors import InputError, TrainingError
from gssl.results.database import PATIENCE_SECONDS
from gssl.results.session import descendants, kill_session, lead_session
from gssl.search.job import Job
from gssl.search.objective import FailedTrialError, Objective, SurplusError
from gssl.search.storage import queue_lock, storage_errors
from gssl.search.study import open_study, queue_default
from gssl.search.trials import ERROR, missing, recover, under_way
from gssl.training.threads import computing_on

_LOOK = 1.0  # seconds between looks at trials of others
_CLEANING_SECONDS = 0.5  # for helpers of a worker that has ended to end, too
_MAX_DEATHS = 5  # processes that are replaced before the search gives up
_ERRORS: dict[str, type[Exception]] = {"input": InputError, "training": TrainingError}


def search(job: Job, workers: int) -> Study:
    """Carry out the trials that a study still lacks, or those that can begin before the deadline.

    Args:
        job: the study.
        workers: local processes. Others, here and on other machines, may work on the same study.

    Returns:
        The study.

    Raises:
        InputError: the storage cannot be used, or the study there is another one.
        TrainingError: workers died again and again.
    """
    study = open_study(job)
    with storage_errors(job.storage):
        recover(study)
        queue_default(study, job)
        todo = missing(study, job.trials)
    while todo > 0 and not _late(job):
        if min(workers, todo) == 1:
            with computing_on(job.threads):
                _work(job, study)
        else:
            _parallel(job, study, min(workers, todo))
        todo = _left_by_others(job, study)
    _left_by_others(job, study)
    return study


def _left_by_others(job: Job, study: Study) -> int:
    """Wait for trials that other commands train, without which nothing should be chosen; how many are lacking then."""
    said, seen = False, dict[int, float]()
    while not _late(job):
        with storage_errors(job.storage):
            recover(study, seen)
            if not under_way(study):
                return missing(study, job.trials)
        if not said:
            job.say("waiting for trials of other commands on the same study")
            said = True
        time.sleep(_LOOK)
    return 0


def _work(job: Job, study: Study, parent: int | None = None) -> None:
    """Trials one after the other until there are enough."""
    lock = queue_lock(job.storage)
    objective = Objective(job, parent, begun=_nothing if lock is None else lock.release)
    with storage_errors(job.storage):
        while missing(study, job.trials) > 0 and not _late(job):
            with nullcontext() if lock is None else lock:  # until the objective has its trial
                study.optimize(
                    objective,
                    n_trials=1,
                    catch=(SurplusError, FailedTrialError),
                    callbacks=[lambda study, trial: _tell(job, study, trial)],
                )


def _nothing() -> None:
    """There is no lock to give back."""


def _late(job: Job) -> bool:
    return job.deadline is not None and time.monotonic() > job.deadline


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    answer: Connection


def _parallel(job: Job, study: Study, workers: int) -> None:
    payload, deaths = pickle.dumps(job), 0
    running = [_start(payload) for _ in range(workers)]
    try:
        while running:
            ready = wait([worker.process.sentinel for worker in running])
            for worker in [worker for worker in running if worker.process.sentinel in ready]:
                running.remove(worker)
                _bury(worker)
                _raise_answer(worker)
                if worker.process.exitcode == 0:
                    continue
                deaths += 1
                job.say(f"a worker died (exit code {worker.process.exitcode}); its trial is begun again")
                if deaths > _MAX_DEATHS:
                    raise TrainingError(
                        f"workers died {deaths} times, the last with exit code {worker.process.exitcode}; if the "
                        "memory ran out, use fewer --workers or a smaller model"
                    )
                with storage_errors(job.storage):
                    recover(study)
                    if missing(study, job.trials) > 0:
                        running.append(_start(payload))
    finally:
        for worker in running:
            worker.process.terminate()
        for worker in running:
            _bury(worker)


def _bury(worker: _Worker) -> None:
    """Wait for the end of a worker, and end what a trial of it has started."""
    worker.process.join()
    if worker.process.pid is not None:
        kill_session(worker.process.pid, grace=_CLEANING_SECONDS)


def _start(payload: bytes) -> _Worker:
    # Not forked: threads of torch and of the storage do not survive it.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_main, args=(payload, theirs, os.getpid()), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _main(payload: bytes, answer: Connection, parent: int) -> None:
    """A worker process; it says why it ended early, and otherwise nothing."""
    signal.signal(signal.SIGTERM, _interrupt)
    lead_session()
    try:
        job: Job = pickle.loads(payload)
        with computing_on(job.threads):
            _work(job, open_study(job, patience=PATIENCE_SECONDS), parent)
    except InputError as error:
        answer.send(("input", str(error)))
    except TrainingError as error:
        answer.send(("training", str(error)))
    except Exception as error:
        traceback.print_exc()
        answer.send(("training", f"a worker failed: {type(error).__name__}: {error}"))
    except KeyboardInterrupt:  # the trial under way is marked, and the parent knows, or is gone
        kill_session(os.getpid(), others=descendants(os.getpid()))
        os._exit(0)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _raise_answer(worker: _Worker) -> None:
    try:
        kind, message = worker.answer.recv() if worker.answer.poll() else ("", "")
    except EOFError:  # it died, or it had nothing to say
        return
    if kind:
        raise _ERRORS[kind](message)


def _tell(job: Job, study: Study, trial: FrozenTrial) -> None:
    """One line about a trial that is over."""
    done = job.trials - missing(study, job.trials)
    if trial.state == TrialState.COMPLETE:
        value = ", ".join(f"{name} {number:.4g}" for name, number in zip(job.objectives, trial.values, strict=True))
        job.say(f"trial {trial.number}: {value}{_best(job, study)}; {done} of {job.trials} begun")
    elif ERROR in trial.user_attrs:
        job.say(f"trial {trial.number} failed: {trial.user_attrs[ERROR]}")
    elif trial.state == TrialState.PRUNED:
        job.say(f"trial {trial.number}: pruned after {trial.last_step} epochs; {done} of {job.trials} begun")


def _best(job: Job, study: Study) -> str:
    if len(job.objectives) > 1:
        return ""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    sign = 1 if study.direction == StudyDirection.MAXIMIZE else -1
    best = max(complete, key=lambda trial: sign * (trial.value or 0.0))
    return f" (best {best.value:.4g} of trial {best.number})"
