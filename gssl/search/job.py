"""What a worker must know to carry out trials; plain data that travels between processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from gssl.common.errors import InputError, unknown
from gssl.common.space import Space
from gssl.config.record import RunConfig
from gssl.config.resolve import Request, Subject, resolve
from gssl.datasets.types import Metric
from gssl.evaluate.metrics import higher_is_better
from gssl.search.space import Value, with_values
from gssl.settings.problem import Problem

Objective = Literal["val", "seconds"]
Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Job:
    """A study and how to carry out its trials.

    Attributes:
        base: settings that all trials share.
        subject: the dataset's name, level and default probe.
        space: what is searched.
        problem: with the data sealed: no test label, no held-out edge.
        metric: of the validation score.
        objectives: what is optimised.
        seed: of the search, of the weights and of the split.
        rungs: epochs after which a trial reports and may be pruned; none with two objectives.
        algorithm, pruner: names.
        storage: where the study is kept.
        study: its name.
        trials: how many there are to be.
        device: where trials train.
        deadline: time of :func:`time.monotonic`, which all processes of a machine share, after which no trial begins;
            None for no limit.
        say: told of every trial.
        threads: of one operation in a trial, whose last bits they may decide.
    """

    base: Request
    subject: Subject
    space: Mapping[str, Space]
    problem: Problem
    metric: Metric
    objectives: tuple[Objective, ...]
    seed: int
    rungs: tuple[int, ...]
    algorithm: str
    pruner: str
    storage: str
    study: str
    trials: int
    device: str
    deadline: float | None
    say: Say
    threads: int = 1

    @property
    def directions(self) -> list[Literal["minimize", "maximize"]]:
        """One per objective."""
        quality: Literal["minimize", "maximize"] = "maximize" if higher_is_better(self.metric) else "minimize"
        return ["minimize" if objective == "seconds" else quality for objective in self.objectives]

    def config(self, values: Mapping[str, Value]) -> RunConfig:
        """The full configuration of a trial.

        Raises:
            InputError: the values do not go together.
        """
        return resolve(with_values(self.base, values), self.subject)


def parse_objectives(text: str) -> tuple[Objective, ...]:
    """``val`` or ``val,seconds``.

    Raises:
        InputError: something else.
    """
    known: dict[str, Objective] = {"val": "val", "seconds": "seconds"}
    names = [name.strip().lower() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise unknown("objective", name, known)
    if names[0] != "val" or len(set(names)) < len(names):
        raise InputError(f"--objective is val or val,seconds (got {text!r})")
    return tuple(known[name] for name in names)
