"""Algorithms of the search and of pruning, by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

from optuna import Study, pruners, samplers
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState

from gssl.common.errors import InputError, unknown
from gssl.common.seeds import derive_seed
from gssl.search.trials import counts

# A sampler from the seed of the study and that of the trial.
Maker = Callable[[int, int], samplers.BaseSampler]
ALGORITHMS: dict[str, Maker] = {
    "tpe": lambda study, trial: samplers.TPESampler(seed=trial),
    "random": lambda study, trial: samplers.RandomSampler(seed=trial),
    "gp": lambda study, trial: samplers.GPSampler(seed=trial),
    "cmaes": lambda study, trial: samplers.CmaEsSampler(seed=trial),
    "nsgaii": lambda study, trial: samplers.NSGAIISampler(seed=trial),
    "nsgaiii": lambda study, trial: samplers.NSGAIIISampler(seed=trial),
    # The points of one sequence belong together; choices are not part of it.
    "qmc": lambda study, trial: samplers.QMCSampler(
        seed=study, independent_sampler=samplers.RandomSampler(seed=trial), warn_independent_sampling=False
    ),
}
_NEEDS = {"cmaes": "cmaes"}
_ONE_OBJECTIVE = ("cmaes",)
_REDUCTION = 3  # one trial in so many goes on at each rung

PRUNERS: dict[str, Callable[[Sequence[int]], pruners.BasePruner]] = {
    "halving": lambda rungs: pruners.SuccessiveHalvingPruner(min_resource=rungs[0], reduction_factor=_REDUCTION),
    "hyperband": lambda rungs: pruners.HyperbandPruner(
        min_resource=rungs[0], max_resource=_REDUCTION * rungs[-1], reduction_factor=_REDUCTION
    ),
    "median": lambda rungs: pruners.MedianPruner(),
    "none": lambda rungs: pruners.NopPruner(),
}


def make_sampler(name: str, seed: int, objectives: int) -> samplers.BaseSampler:
    """The sampler of a study.

    Args:
        name: a key of ``ALGORITHMS``, in any case.
        seed: of the study.
        objectives: how many there are.

    Raises:
        InputError: no such algorithm, one that cannot do this, or a package is missing.
    """
    if name.lower() not in ALGORITHMS:
        raise unknown("algorithm", name, ALGORITHMS)
    name = name.lower()
    if name in _NEEDS and find_spec(_NEEDS[name]) is None:
        raise InputError(f"the algorithm {name} needs the package {_NEEDS[name]}: pip install 'gssl[tune]'")
    if objectives > 1 and name in _ONE_OBJECTIVE:
        raise InputError(f"the algorithm {name} has one objective; use tpe, gp, nsgaii or random")
    return SeededByTrial(ALGORITHMS[name], seed)


def make_pruner(name: str, rungs: Sequence[int]) -> pruners.BasePruner:
    """The pruner of a study.

    Args:
        name: a key of ``PRUNERS``, in any case.
        rungs: epochs after which trials report.

    Raises:
        InputError: no such pruner.
    """
    if name.lower() not in PRUNERS:
        raise unknown("pruner", name, PRUNERS)
    return PRUNERS[name.lower()](rungs) if rungs else pruners.NopPruner()


def rungs_of(epochs: int) -> tuple[int, ...]:
    """Epochs after which a trial reports: 1/27, 1/9 and 1/3 of the longest training.

    With successive halving, a third of the trials that reach one goes on to the next, so that no rung costs more than
    another: 30 trials take the time of 3 to 4 whole trainings.

    Example:
        >>> rungs_of(400), rungs_of(5), rungs_of(1)
        ((14, 44, 133), (1,), ())
    """
    return tuple(sorted({epochs // _REDUCTION**rung for rung in (3, 2, 1)} - {0}))


class SeededByTrial(samplers.BaseSampler):
    """A sampler whose draws depend on the seed, the number of trials before and their results alone.

    Optuna's own start their random stream with the process, so a study that goes on in another one would draw its
    first values again. With this one a study that was interrupted ends like one that was not.

    Args:
        make: makes the sampler of one trial.
        seed: of the study.
    """

    def __init__(self, make: Maker, seed: int) -> None:
        self._make, self._seed = make, seed
        self._inner = self._made(0)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        earlier = study.get_trials(deepcopy=False)[: trial.number]
        self._inner = self._made(sum(map(counts, earlier)))
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return dict(self._inner.sample_relative(study, trial, search_space))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self._inner.after_trial(study, trial, state, values)

    def _made(self, number: int) -> samplers.BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return self._make(
                derive_seed(self._seed, "search") % 2**32, derive_seed(self._seed, "search", number) % 2**32
            )
