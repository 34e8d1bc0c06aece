"""One trial: suggest values, train, and score on validation items."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from optuna import Trial, TrialPruned

from gssl.common.errors import InputError, TrainingError
from gssl.common.seeds import derive_seed
from gssl.graph.precision import single_precision
from gssl.method import Method
from gssl.samplers.base import Sampler
from gssl.search.job import Job
from gssl.search.translate import suggest
from gssl.search.trials import ERROR, INTERRUPTED, OWNER, counts, owner
from gssl.search.watch import TrialWatch
from gssl.settings.base import Training
from gssl.settings.problem import Problem
from gssl.training.loop import pretrain
from gssl.training.result import TrainResult

# What a method raises where its values do not work, an allocator of the CPU without memory among them. Trouble with the
# storage or a disk is none of these.
_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


class FailedTrialError(Exception):
    """A trial that failed by its own fault, in a study that cannot call it pruned."""


class SurplusError(Exception):
    """Another worker took the last trial at the same moment."""


@dataclass(frozen=True, eq=False)
class Objective:
    """What Optuna calls for each trial.

    Attributes:
        job: the study.
        parent: process that must stay alive while a trial trains; None if it need not.
        begun: called once the trial is this process's.
    """

    job: Job
    parent: int | None = None
    begun: Callable[[], None] = lambda: None

    @single_precision()
    def __call__(self, trial: Trial) -> float | tuple[float, ...]:
        """The objectives of a trial.

        Raises:
            TrialPruned: it is not promising, or (with one objective) it failed, which the search learns from.
            FailedTrialError: with two objectives it failed.
            SurplusError: there are enough trials.
            InputError: the protocol has no validation score.
        """
        earlier = trial.study.get_trials(deepcopy=False)[: trial.number]
        if sum(map(counts, earlier)) >= self.job.trials:
            raise SurplusError
        trial.set_user_attr(OWNER, owner())
        self.begun()
        try:
            return self._carry_out(trial)
        except InputError:
            raise
        except _FAULTS as error:
            trial.set_user_attr(ERROR, _told(error))
            raise (TrialPruned if len(self.job.objectives) == 1 else FailedTrialError)(str(error)) from None
        except KeyboardInterrupt:
            trial.set_user_attr(INTERRUPTED, True)
            raise

    def _carry_out(self, trial: Trial) -> float | tuple[float, ...]:
        job, started = self.job, time.perf_counter()
        values = {key: suggest(trial, key, space) for key, space in job.space.items()}
        try:
            rehearsal = make_rehearsal(job.problem.under(job.config(values)), job.seed, job.device)
        except InputError as error:  # values that are right by themselves and do not go together
            raise TrainingError(str(error)) from None
        watch = TrialWatch(
            trial,
            rehearsal.method,
            rehearsal.score,
            job.rungs,
            rehearsal.sampler.batches_per_epoch,
            parent=self.parent,
        )
        trained = rehearsal.train(job.device, watch)
        trial.set_user_attr("epochs", trained.epochs)
        trial.set_user_attr("seconds", rehearsal.seconds_before + trained.seconds)
        if watch.pruned:
            raise TrialPruned
        found = {"val": rehearsal.score(), "seconds": rehearsal.seconds_before + trained.seconds}
        trial.set_user_attr("wall_seconds", time.perf_counter() - started)
        scores = tuple(found[name] for name in job.objectives)
        return scores if len(scores) > 1 else scores[0]


def _told(error: Exception) -> str:
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error):
        return "the memory ran out"
    return f"{error}" if isinstance(error, TrainingError) else f"{type(error).__name__}: {error}"


@dataclass(frozen=True, eq=False)
class Rehearsal:
    """What a search scores: the last training of a seed, ready to begin, after those that it starts from.

    Attributes:
        training: the last one.
        method: before it.
        sampler: its batches.
        seconds_before: time that the trainings took that it starts from.
    """

    training: Training
    method: Method
    sampler: Sampler
    seconds_before: float = 0.0

    def score(self) -> float:
        """Validation score of the method in evaluation mode."""
        return self.training.val(self.method)

    def train(self, device: str, watch: TrialWatch) -> TrainResult:
        """Train as a run with this seed would.

        Raises:
            TrainingError: training diverged.
        """
        return pretrain(
            self.method,
            self.sampler,
            self.training.train,
            seed=derive_seed(self.training.seed, "train"),
            device=device,
            validate=self.training.validate(self.method),
            watch=watch,
        )


def make_rehearsal(problem: Problem, seed: int, device: str = "cpu") -> Rehearsal:
    """What a trial trains and is scored by.

    A method that learns from labels learns from the first split alone. What the last training starts from is trained
    at once, without a look.

    Raises:
        InputError: the parts do not go together.
        TrainingError: an earlier training diverged.
    """
    first, *rest = problem.trainings(seed)
    if first.splits:
        return _begun(first, None, 0.0)
    method = first.method()
    done = pretrain(method, first.sampler(method), first.train, seed=derive_seed(seed, "train"), device=device)
    return _begun(rest[0], method, done.seconds)


def _begun(training: Training, source: Method | None, seconds: float) -> Rehearsal:
    method = training.method(source)
    return Rehearsal(training, method, training.sampler(method), seconds)
