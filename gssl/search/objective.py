"""One trial: suggest values, train, and score on validation items."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from optuna import Trial, TrialPruned

from gssl.common.errors import InputError, TrainingError
from gssl.common.seeds import derive_seed
from gssl.config.record import RunConfig
from gssl.evaluate.metrics import higher_is_better
from gssl.experiment.build import make_method, make_probe, make_sampler
from gssl.method import Method
from gssl.methods.supervised import Supervised
from gssl.samplers.base import Sampler
from gssl.search.job import Job
from gssl.search.sealed import Sealed, validation_score
from gssl.search.translate import suggest
from gssl.search.trials import ERROR, INTERRUPTED, OWNER, counts, owner
from gssl.search.watch import Watch
from gssl.training.embed import embed_dataset
from gssl.training.loop import pretrain
from gssl.training.result import TrainResult
from gssl.training.supervised import validation, with_validation

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
            config = job.config(values)
            lesson = make_lesson(config, job.sealed, job.seed)
        except InputError as error:  # values that are right by themselves and do not go together
            raise TrainingError(str(error)) from None
        watch = Watch(
            trial, lesson.method, lesson.score, job.rungs, lesson.sampler.batches_per_epoch, parent=self.parent
        )
        trained = lesson.train(config, job.seed, job.device, watch)
        trial.set_user_attr("epochs", trained.epochs)
        trial.set_user_attr("seconds", trained.seconds)
        if watch.pruned:
            raise TrialPruned
        found = {"val": lesson.score(), "seconds": trained.seconds}
        trial.set_user_attr("wall_seconds", time.perf_counter() - started)
        scores = tuple(found[name] for name in job.objectives)
        return scores if len(scores) > 1 else scores[0]


def _told(error: Exception) -> str:
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error):
        return "the memory ran out"
    return f"{error}" if isinstance(error, TrainingError) else f"{type(error).__name__}: {error}"


@dataclass(frozen=True, eq=False)
class Lesson:
    """A method, what it trains on and what scores it.

    Attributes:
        method: before training.
        sampler: its batches.
        score: validation score of the method in evaluation mode.
        validate: what the loop calls after every epoch; None for a self-supervised method.
    """

    method: Method
    sampler: Sampler
    score: Callable[[], float]
    validate: Callable[[], float] | None = None

    def train(self, config: RunConfig, seed: int, device: str, watch: Watch) -> TrainResult:
        """Train as a run with this seed would.

        Raises:
            TrainingError: training diverged.
        """
        return pretrain(
            self.method,
            self.sampler,
            config.train,
            seed=derive_seed(seed, "train"),
            device=device,
            validate=self.validate,
            watch=watch,
        )


def make_lesson(config: RunConfig, sealed: Sealed, seed: int) -> Lesson:
    """What a trial trains and is scored by.

    A supervised row learns from the first split alone.

    Raises:
        InputError: the parts do not go together.
    """
    method, probe, dataset = make_method(config, sealed.dataset, seed), make_probe(config), sealed.dataset
    metric = probe.metric(dataset)
    if not isinstance(method, Supervised):
        sampler = make_sampler(config, dataset, seed, method)
        return Lesson(
            method,
            sampler,
            lambda: validation_score(sealed, probe, embed_dataset(method, dataset), metric, seed),
        )
    split = with_validation(sealed.splits[0], sealed.labels, seed)
    method.fit_labels(sealed.labels, split)
    score = validation(method, dataset, split, metric)
    sign = 1 if higher_is_better(metric) else -1
    return Lesson(
        method, make_sampler(config, dataset, seed, method, split.train), lambda: sign * score(), validate=score
    )
