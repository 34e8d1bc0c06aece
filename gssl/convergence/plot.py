"""Curves of several samplers against steps and against seconds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gssl.common.errors import InputError
from gssl.convergence.record import Cell, Point, Trajectory
from gssl.convergence.summary import By, candidates, chosen

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Shown = Literal["loss", "val", "gradient_error"]
_LABELS: dict[Shown, str] = {"loss": "loss of a batch", "val": "validation score", "gradient_error": "gradient error"}
_AXES: tuple[By, By] = ("steps", "seconds")
_LEADERS = 5  # drawn thicker


def check(path: Path) -> None:
    """Whether a picture can be written there, before hours of work.

    Raises:
        InputError: matplotlib is missing or does not know the format, or there is no such folder.
    """
    formats = _figure().canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in formats:
        raise InputError(f"--plot {path} cannot be drawn: its name must end with one of {', '.join(sorted(formats))}")
    if not path.parent.is_dir():
        raise InputError(f"--plot {path} cannot be drawn: there is no folder {path.parent}")


def draw(
    trainings: Sequence[Trajectory],
    path: Path,
    *,
    title: str,
    kept: Mapping[By, Collection[Cell]] | None = None,
) -> None:
    """Loss, validation score and, where it was measured, gradient error, against steps (left) and seconds (right).

    Each sampler is shown at the batch size and learning rate that are its best at equal steps, or equal seconds, as
    the mean over its seeds, up to the steps and seconds that all have. Below stand the samplers, the best ones first.

    Args:
        trainings: of one method on one dataset.
        path: where to write; the suffix says in which format.
        title: of the picture.
        kept: sampler, batch size and learning rate of what is shown on each axis; None for each sampler's best.

    Raises:
        InputError: matplotlib is missing, does not know the format, or the file cannot be written.
    """
    points = [point for training in trainings for point in training.points]
    shown: list[Shown] = [key for key in _LABELS if any(getattr(point, key) is not None for point in points)]
    ranked = {by: chosen(candidates(t for t in trainings if kept is None or t.cell in kept[by]), by) for by in _AXES}
    styles = _styles(list(dict.fromkeys(setting.sampler for by in _AXES for setting in ranked[by])))
    legend = 0.3 + 0.16 * len(styles)  # inches
    figure = _figure(figsize=(13, 3.2 * len(shown) + legend), layout="constrained")
    rows = figure.subplots(len(shown) + 1, 2, squeeze=False, height_ratios=[*[3.2] * len(shown), legend])
    grid, below = rows[:-1], rows[-1]
    for row in grid:
        row[1].sharey(row[0])
    for column, by in enumerate(_AXES):
        for rank, setting in enumerate(ranked[by]):
            group = [t.points for t in trainings if t.cell == setting.cell]
            label = f"{setting.sampler}, {setting.batch_size}, {setting.lr:g}"
            weight = {"linewidth": 1.8} if rank < _LEADERS else {"linewidth": 0.9, "alpha": 0.6}
            for axes, key in zip(grid[:, column], shown, strict=True):
                axes.plot(*mean_curve(group, by, key), label=label, **styles[setting.sampler], **weight)
        for axes, key in zip(grid[:, column], shown, strict=True):
            _describe(axes, by, key, trainings[0])
        below[column].axis("off")
        below[column].legend(*grid[0, column].get_legend_handles_labels(), loc="upper left", fontsize=6.5)
    for row, key in zip(grid, shown, strict=True):
        row[0].set_ylabel(_LABELS[key])
    figure.suptitle(title)
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be drawn: {error}") from None


def _styles(samplers: Sequence[str]) -> dict[str, dict[str, Any]]:
    """How each sampler is drawn, in both columns: no two are alike up to 80 of them."""
    from matplotlib import colormaps

    colors, dashes = colormaps["tab20"].colors, ("-", "--", "-.", ":")  # type: ignore[attr-defined]  # of a list
    return {
        sampler: {"color": colors[i % len(colors)], "linestyle": dashes[i // len(colors) % len(dashes)], "marker": "."}
        for i, sampler in enumerate(samplers)
    }


def mean_curve(group: Sequence[Sequence[Point]], by: By, key: Shown) -> tuple[np.ndarray, np.ndarray]:
    """Mean over trainings of what was observed.

    The seeds of a sampler are observed at times and steps of their own; between observations a curve is straight.

    Args:
        group: the points of each training, rising.
        by: the axis.
        key: what; points without it are left out.

    Returns:
        Positions on the axis and means, shape (n,), where all trainings have a value; possibly none.
    """
    where = "step" if by == "steps" else "seconds"
    curves = [
        np.array([(getattr(p, where), getattr(p, key)) for p in points if getattr(p, key) is not None], dtype=float)
        for points in group
    ]
    if not curves or not all(map(len, curves)):
        return np.empty(0), np.empty(0)
    low, high = max(c[0, 0] for c in curves), min(c[-1, 0] for c in curves)
    at = np.unique(np.concatenate([c[:, 0] for c in curves]))
    at = at[(low <= at) & (at <= high)]
    mean: np.ndarray = np.mean([np.interp(at, c[:, 0], c[:, 1]) for c in curves], axis=0)
    return at, mean


def _describe(axes: Axes, by: By, key: Shown, training: Trajectory) -> None:
    axes.set_xlabel("steps" if by == "steps" else f"seconds ({training.clock})")
    axes.set_xlim(0, training.steps if by == "steps" else training.seconds)
    if key == "loss":
        from matplotlib.ticker import MaxNLocator, ScalarFormatter

        axes.set_yscale("symlog", linthresh=0.1)
        axes.yaxis.set_major_locator(MaxNLocator(5))  # losses rarely span a power of ten
        axes.yaxis.set_major_formatter(ScalarFormatter())
    if key == "gradient_error":
        axes.set_yscale("log")


def _figure(**settings: object) -> Figure:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise InputError("a plot needs matplotlib: pip install 'gssl[plot]', or leave out --plot") from None
    figure = Figure(**settings)  # type: ignore[arg-type]  # passed through
    FigureCanvasAgg(figure)
    return figure
