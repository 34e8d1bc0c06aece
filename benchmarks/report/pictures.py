"""Pictures of trainings and samplers: curves, embeddings, gradient errors, convergence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from markupsafe import Markup

from gssl.benchmarks.report import svg
from gssl.benchmarks.report.extras import VarianceFile
from gssl.benchmarks.report.folders import Curve, Projection
from gssl.convergence.record import Point, Trajectory
from gssl.convergence.summary import By, candidates, chosen

COLOURS = 10  # of the style sheet: .c0 to .c9


@dataclass(frozen=True)
class Line:
    """Points of one line, with the name that stands in the legend."""

    name: str
    points: tuple[tuple[float, float], ...]


def training_curves(curves: Sequence[Curve], *, title: str) -> Markup:
    """Loss of each seed against the epoch, and its validation score below where training looked at one."""
    losses = [Line(c.label, tuple(zip(c.epochs, c.losses, strict=True))) for c in curves if c.epochs]
    vals = [
        Line(c.label, tuple((e, v) for e, v in zip(c.epochs, c.vals, strict=True) if v is not None)) for c in curves
    ]
    vals = [line for line in vals if line.points]
    pictures = [lines(losses, title=title, across="epoch", up="loss")]
    if vals:
        pictures.append(lines(vals, title=f"{title}: validation", across="epoch", up="validation score"))
    return Markup("").join(pictures)


def sparkline(curves: Sequence[Curve], *, title: str) -> Markup:
    """The shape of the loss alone, small: losses of different methods have no common unit."""
    shown = [curve for curve in curves if len(curve.epochs) > 1 and all(map(math.isfinite, curve.losses))][:5]
    if not shown:
        return Markup("")
    across = svg.scale_for([epoch for curve in shown for epoch in curve.epochs], 4, 196, margin=0)
    up = svg.scale_for([loss for curve in shown for loss in curve.losses], 66, 6)
    parts = [
        svg.path([(across(e), up(loss)) for e, loss in zip(curve.epochs, curve.losses, strict=True)], f"curve c{n}")
        for n, curve in enumerate(shown)
    ]
    return svg.figure(72, title, parts, width=200)


def lines(curves: Sequence[Line], *, title: str, across: str, up: str, log: bool = False) -> Markup:
    """Lines with a legend above."""
    curves = [Line(c.name, tuple(p for p in c.points if math.isfinite(p[1]) and (p[1] > 0 or not log))) for c in curves]
    curves = [curve for curve in curves if curve.points]
    if not curves:
        return Markup("")
    rows = math.ceil(len(curves) / 4)
    top = 40.0 + 18 * rows
    x = svg.scale_for([p[0] for c in curves for p in c.points], 62, svg.WIDTH - 20, margin=0.01)
    y = svg.scale_for([p[1] for c in curves for p in c.points], top + 220, top, log=log)
    parts = svg.horizontal_axis(x, top, top + 220, across, svg.short)
    parts += svg.vertical_axis(y, 62, svg.WIDTH - 20, up, svg.short)
    for number, curve in enumerate(curves):
        colour = f"c{number % COLOURS}"
        parts.append(svg.path([(x(a), y(b)) for a, b in curve.points], f"curve {colour}"))
        if len(curve.points) < 15:
            knot = f"knot {colour}"
            parts += [svg.dot(x(a), y(b), 3, knot, f"{curve.name}: {svg.short(b)}") for a, b in curve.points]
        at = 62 + 160 * (number % 4), 16 + 18 * (number // 4)
        parts.append(svg.line(at[0], at[1] - 4, at[0] + 18, at[1] - 4, f"curve {colour}"))
        parts.append(svg.text(at[0] + 24, at[1], curve.name[:18], kind="name"))
    return svg.figure(top + 264, title, parts)


def scatter(found: Projection, labels: np.ndarray | None, *, title: str) -> Markup:
    """Two principal components on equal scales; colours are classes where the labels are at hand."""
    points = found.points
    centre = (points.max(axis=0) + points.min(axis=0)) / 2
    reach = max(float(np.ptp(points, axis=0).max()) / 2, 1e-12) * 1.04
    x = svg.Scale(centre[0] - reach, centre[0] + reach, 10, 410)
    y = svg.Scale(centre[1] - reach, centre[1] + reach, 410, 10)
    classes = np.zeros(len(points), dtype=np.int64) if labels is None else labels[found.drawn]
    parts = [svg.tag("rect", x=4, y=4, width=412, height=412, rx=6, class_="plane")]
    for label in np.unique(classes):
        part = points[classes == label]
        parts.append(svg.specks([(x(a), y(b)) for a, b in part], f"speck c{int(label) % COLOURS}"))
    return svg.figure(420, title, parts, width=420)


def gradient_errors(file: VarianceFile, *, title: str) -> Markup:
    """Squared bias and variance of each sampler's gradient, end to end."""
    rows = sorted(file.samplers.items(), key=lambda item: item[1].mse)
    scale = svg.Scale(0, max(max(numbers.mse for _, numbers in rows) * 1.02, 1e-12), 190, 590)
    bottom = 40 + 27.0 * len(rows)
    parts = svg.horizontal_axis(
        scale, 34, bottom, "squared error, relative to the squared norm of the full gradient", svg.short
    )
    for n, (name, kind) in enumerate((("bias²", "bias"), ("variance", "noise"))):
        parts.append(svg.tag("rect", x=190 + 110 * n, y=10, width=14, height=12, class_=f"bar {kind}"))
        parts.append(svg.text(210 + 110 * n, 20, name, kind="name"))
    for number, (name, numbers) in enumerate(rows):
        y = 40 + 27.0 * number
        middle = scale(numbers.bias2)
        parts += [
            svg.text(178, y + 17, name[:26], anchor="end", kind="name"),
            svg.tag("rect", x=190, y=y + 4, width=middle - 190, height=18, class_="bar bias"),
            svg.tag("rect", x=middle, y=y + 4, width=scale(numbers.mse) - middle, height=18, class_="bar noise"),
            svg.text(scale(numbers.mse) + 8, y + 17, svg.short(numbers.mse), kind="value"),
        ]
    return svg.figure(bottom + 44, title, parts)


def convergence(trainings: Sequence[Trajectory], by: By, *, title: str) -> Markup:
    """Validation score of each sampler at its best setting, mean over seeds, against seconds or steps."""
    groups: dict[tuple[str, int, float], list[Trajectory]] = {}
    for training in trainings:
        groups.setdefault((training.sampler, training.batch_size, training.lr), []).append(training)
    found = [
        Line(best.sampler, _mean_curve([t.points for t in groups[best.sampler, best.batch_size, best.lr]], by))
        for best in chosen(candidates(trainings), by)
    ]
    across = f"seconds ({trainings[0].clock})" if by == "seconds" else "steps"
    return lines(found, title=title, across=across, up=f"validation {trainings[0].metric}")


def _mean_curve(seeds: Sequence[Sequence[Point]], by: By) -> tuple[tuple[float, float], ...]:
    """Mean over the seeds of their n-th points, as far as all have one."""
    key = "seconds" if by == "seconds" else "step"
    return tuple(
        (fmean(float(getattr(p, key)) for p in points), fmean(p.val for p in points))
        for points in zip(*seeds, strict=False)
    )
