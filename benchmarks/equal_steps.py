"""Settings of a file of ``gssl converge`` at each number of updates, against the first of them::

    python -m gssl.benchmarks.equal_steps benchmarks/results/samplers/steps/BGRL-CS.jsonl

Time is left out of it: it shows what a gradient with less variance is worth, whatever it costs, be it that of a larger
batch or of other targets. A setting is a sampler with a batch size; at each number of updates it has that of its
learning rates whose mean score is best there.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from gssl.benchmarks.rows import markdown_table
from gssl.benchmarks.stats.paired import compare
from gssl.common.errors import InputError
from gssl.convergence.record import Trajectory, read
from gssl.convergence.summary import Score

SamplerAndSize = tuple[str, int]
"""Sampler and batch size."""
Values = Mapping[int, float]
"""A value for each seed."""


@dataclass(frozen=True)
class Found:
    """What one setting reached at a number of updates.

    Attributes:
        scores: best validation score up to there.
        losses: mean loss of the batches since the observation before.
    """

    scores: Values
    losses: Values


def at_step(trainings: Sequence[Trajectory], step: int) -> dict[SamplerAndSize, Found]:
    """What each setting reached after ``step`` updates; without those that ended early or were not observed there."""
    rates: dict[SamplerAndSize, dict[float, list[Trajectory]]] = defaultdict(lambda: defaultdict(list))
    for training in trainings:
        if not training.error and any(point.step == step for point in training.points):
            rates[training.sampler, training.batch_size][training.lr].append(training)
    found = {}
    for setting, groups in rates.items():
        every = [_found(group, step) for group in groups.values()]
        found[setting] = max(every, key=lambda one: fmean(one.scores.values()))
    return found


def _found(group: Sequence[Trajectory], step: int) -> Found:
    scores = {t.seed: max(p.val for p in t.points if p.step <= step) for t in group}
    losses = {t.seed: p.loss for t in group for p in t.points if p.step == step}
    return Found(scores, losses)


def report(trainings: Sequence[Trajectory]) -> str:
    """Two tables in Markdown: validation scores and training losses.

    Raises:
        InputError: there is no training, or they are not of one problem and plan.
    """
    problems = {(t.problem, t.metric, t.steps, t.observations) for t in trainings}
    if len(problems) != 1:
        raise InputError(
            f"the file must be of one problem (method, dataset, task, options) and one plan, but has {len(problems)}"
        )
    (((method, dataset, *_), metric, steps, observations),) = problems
    planned = [steps * k // observations for k in range(1, observations + 1)]
    settings = list(dict.fromkeys((t.sampler, t.batch_size) for t in trainings))
    columns = [at_step(trainings, step) for step in planned]
    seeds = len({t.seed for t in trainings})
    lines = [f"{method} on {dataset}, {seeds} seeds; in brackets the difference from the first row (paired t test)", ""]
    sides: dict[str, Callable[[Found], Values]] = {
        f"Best validation {metric}": lambda found: found.scores,
        "Mean loss of the batches since the observation before": lambda found: found.losses,
    }
    for title, side in sides.items():
        values = [{setting: side(found) for setting, found in column.items()} for column in columns]
        cells = [(name, f"{size}", *(_cell(v, (name, size), settings[0]) for v in values)) for name, size in settings]
        header = ("sampler", "batch", *(f"{step} steps" for step in planned))
        lines += [title, "", markdown_table(header, cells), ""]
    return "\n".join(lines)


def _cell(column: Mapping[SamplerAndSize, Values], setting: SamplerAndSize, first: SamplerAndSize) -> str:
    values = column.get(setting)
    if values is None:
        return "none"
    text = str(Score.of(values.values()))
    if setting == first or first not in column:
        return text
    found = compare(values, column[first])
    return f"{text} ({found.difference:+.4f}{'' if found.t_p is None else f', p {found.t_p:.3f}'})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables of a file."""
    parser = argparse.ArgumentParser(description="what settings are worth at equal steps")
    parser.add_argument("file", type=Path, help="that gssl converge wrote with --out")
    try:
        sys.stdout.write(report(read(parser.parse_args(arguments).file)))
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
