"""Of several learning rates and batch sizes, each sampler's best; tables of scores at equal seconds and steps."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

from gssl.convergence.record import Cell, Trajectory

By = Literal["seconds", "steps"]


@dataclass(frozen=True)
class Score:
    """Validation score of one candidate over its seeds: mean, standard deviation (0 for one seed), number of seeds."""

    mean: float
    std: float
    seeds: int

    @classmethod
    def of(cls, values: Collection[float]) -> Score:
        """The score of the seeds' values, of which there is one at least."""
        return cls(fmean(values), stdev(values) if len(values) > 1 else 0.0, len(values))

    def __str__(self) -> str:
        return f"{self.mean:.4f} ± {self.std:.4f}" if self.seeds > 1 else f"{self.mean:.4f}"


@dataclass(frozen=True)
class Candidate:
    """One sampler with a batch size and a learning rate.

    Attributes:
        sampler, batch_size, lr: of the trainings.
        at_seconds, at_steps: best score within the planned time, and within the planned steps; None if a training
            has no point there. Those of a training that ended early are from before it did.
        steps_per_second: updates in a second of training, a mean over the seeds.
        failed: trainings that ended early.
    """

    sampler: str
    batch_size: int
    lr: float
    at_seconds: Score | None
    at_steps: Score | None
    steps_per_second: float
    failed: int

    @property
    def cell(self) -> Cell:
        """As that of its trainings."""
        return self.sampler, self.batch_size, self.lr

    def score(self, by: By) -> Score | None:
        return self.at_seconds if by == "seconds" else self.at_steps


def candidates(trainings: Iterable[Trajectory]) -> list[Candidate]:
    """Every candidate, in the order of its first training."""
    groups: dict[Cell, list[Trajectory]] = defaultdict(list)
    for training in trainings:
        groups[training.cell].append(training)
    return [
        Candidate(
            *key,
            at_seconds=_score(group, "seconds"),
            at_steps=_score(group, "steps"),
            steps_per_second=fmean(_speed(t) for t in group),
            failed=sum(bool(t.error) for t in group),
        )
        for key, group in groups.items()
    ]


def chosen(found: Sequence[Candidate], by: By) -> list[Candidate]:
    """For each sampler the candidate with the best mean validation score, the best sampler first.

    Settings in which a training ended early come after all others of the sampler, and those without a score last, so
    that every sampler is there.
    """
    best: dict[str, Candidate] = {}
    for candidate in found:
        known = best.get(candidate.sampler)
        if known is None or _rank(candidate, by) > _rank(known, by):
            best[candidate.sampler] = candidate
    return sorted(best.values(), key=lambda s: (s.score(by) is not None, _rank(s, by)[-1]), reverse=True)


def _rank(candidate: Candidate, by: By) -> tuple[bool, bool, float]:
    score = candidate.score(by)
    return score is not None, not candidate.failed, -math.inf if score is None else score.mean


def _score(group: Sequence[Trajectory], by: By) -> Score | None:
    scores = [t.best(by=by) for t in group]
    known = [score for score in scores if score is not None]
    if len(known) < len(group):
        return None
    return Score.of(known)


def _speed(training: Trajectory) -> float:
    last = training.points[-1] if training.points else None
    return last.step / last.seconds if last is not None and last.seconds > 0 else 0.0
