"""Curves of several samplers against steps and against seconds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from gssl.common.errors import InputError
from gssl.convergence.record import Point, Training
from gssl.convergence.summary import chosen, settings

_LABELS = {"loss": "loss of a batch", "val": "validation score", "gradient_error": "gradient error"}


def draw(trainings: Sequence[Training], path: Path, *, title: str) -> None:
    """Loss, validation score and, where it was measured, gradient error, against steps (left) and seconds (right).

    Each sampler is shown at its best batch size and learning rate at equal seconds, as the mean of its seeds.

    Args:
        trainings: of one method on one dataset.
        path: where to write; the suffix says in which format.
        title: of the picture.

    Raises:
        InputError: matplotlib is missing, does not know the format, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise InputError("a plot needs matplotlib: pip install 'gssl[plot]', or leave out --plot") from None
    curves = _curves(trainings)
    shown = [key for key in _LABELS if any(getattr(p, key) is not None for points in curves.values() for p in points)]
    figure = Figure(figsize=(11, 3.2 * len(shown)), layout="constrained")
    grid = figure.subplots(len(shown), 2, squeeze=False, sharey="row")
    for row, key in zip(grid, shown, strict=True):
        for axes, against in zip(row, ("step", "seconds"), strict=True):
            for name, points in curves.items():
                axes.plot([getattr(p, against) for p in points], [getattr(p, key) for p in points], label=name)
            axes.set_xlabel("steps" if against == "step" else f"seconds ({trainings[0].clock})")
            if key != "val":
                axes.set_yscale("log")
        row[0].set_ylabel(_LABELS[key])
    grid[0][1].legend(fontsize="small")
    figure.suptitle(title)
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be drawn: {error}") from None


def _curves(trainings: Sequence[Training]) -> dict[str, list[Point]]:
    """For each sampler the mean over seeds of the n-th point of its best setting."""
    groups: dict[tuple[str, int, float], list[Training]] = defaultdict(list)
    for training in trainings:
        groups[training.sampler, training.batch_size, training.lr].append(training)
    curves = {}
    for best in chosen(settings(trainings), "seconds"):
        group = groups[best.sampler, best.batch_size, best.lr]
        rows = zip(*(t.points for t in group), strict=False)
        curves[f"{best.sampler}, {best.batch_size}, {best.lr:g}"] = [_mean(row) for row in rows]
    return curves


def _mean(points: Sequence[Point]) -> Point:
    errors = [p.gradient_error for p in points if p.gradient_error is not None]
    return Point(
        step=round(fmean(p.step for p in points)),
        seconds=fmean(p.seconds for p in points),
        loss=fmean(p.loss for p in points),
        val=fmean(p.val for p in points),
        gradient_error=fmean(errors) if errors else None,
    )
