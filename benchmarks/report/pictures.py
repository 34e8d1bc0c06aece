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
from gssl.benchmarks.report.labels import LEADING, block, broken, legend
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


def mean_scores(curves: Sequence[Curve], unit: float) -> tuple[tuple[float, float], ...]:
    """Validation score by epoch, as a mean over the seeds that looked at one there.

    Args:
        curves: of one configuration.
        unit: what scores are multiplied by.
    """
    found: dict[int, list[float]] = {}
    for curve in curves:
        for epoch, val in zip(curve.epochs, curve.vals, strict=True):
            if val is not None and math.isfinite(val):
                found.setdefault(epoch, []).append(unit * val)
    return tuple((float(epoch), fmean(scores)) for epoch, scores in sorted(found.items()))


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
    return svg.both(lambda width: _lines(curves, width, title, (across, up), log)) if curves else Markup("")


def _lines(curves: Sequence[Line], width: float, title: str, names: tuple[str, str], log: bool) -> Markup:
    left, right = 62.0 if width == svg.WIDTH else 46.0, width - 20
    signs = [(c.name, svg.line(-9, 0, 9, 0, f"curve c{n % COLOURS}")) for n, c in enumerate(curves)]
    parts, top = legend(signs, 12, right, 16)
    top += 30
    x = svg.scale_for([p[0] for c in curves for p in c.points], left, right, margin=0.01)
    y = svg.scale_for([p[1] for c in curves for p in c.points], top + 220, top, log=log)
    parts += svg.horizontal_axis(x, top, top + 220, names[0], svg.short)
    parts += svg.vertical_axis(y, left, right, names[1], svg.short)
    for number, curve in enumerate(curves):
        colour = f"c{number % COLOURS}"
        parts.append(svg.path([(x(a), y(b)) for a, b in curve.points], f"curve {colour}"))
        if len(curve.points) < 15:
            knot = f"knot {colour}"
            parts += [svg.dot(x(a), y(b), 3, knot, f"{curve.name}: {svg.short(b)}") for a, b in curve.points]
    return svg.figure(top + 264, title, parts, width=width)


def scatter(found: Projection, labels: np.ndarray | None, *, title: str) -> Markup:
    """Two principal components on equal scales; colours are classes where the labels are at hand, with a legend.

    Classes beyond the tenth repeat the colours in squares; beyond twenty, the smallest ones share one sign.
    """
    points = found.points
    centre = (points.max(axis=0) + points.min(axis=0)) / 2
    reach = max(float(np.ptp(points, axis=0).max()) / 2, 1e-12) * 1.04
    x = svg.Scale(centre[0] - reach, centre[0] + reach, 10, 410)
    y = svg.Scale(centre[1] - reach, centre[1] + reach, 410, 10)
    parts = [svg.tag("rect", x=4, y=4, width=412, height=412, rx=6, class_="plane")]
    signs = []
    for name, kind, members in _classes(np.zeros(len(points), np.int64) if labels is None else labels[found.drawn]):
        parts.append(svg.specks([(x(a), y(b)) for a, b in points[members]], f"speck {kind}"))
        signs.append((name, svg.specks([(0, 0)], f"speck sign {kind}")))
    height = 420.0
    if labels is not None:
        entries, height = legend(signs, 8, 412, 436)
        parts += entries
        height += 12
    return svg.figure(height, title, parts, width=420)


def _classes(of: np.ndarray) -> list[tuple[str, str, np.ndarray]]:
    """Name, sign and points of each class that is drawn; -1 means that an item has none."""
    values, counts = np.unique(of[of >= 0], return_counts=True)
    kept = np.sort(values[np.argsort(-counts, kind="stable")][: 2 * COLOURS])
    found = [
        (f"class {value}", f"c{n % COLOURS}" + (" square" if n >= COLOURS else ""), of == value)
        for n, value in enumerate(kept)
    ]
    rest, none = (of >= 0) & ~np.isin(of, kept), of < 0
    found += [(f"{len(values) - len(kept)} other classes", "other", rest)] if rest.any() else []
    return found + ([("no label", "other", none)] if none.any() else [])


def gradient_errors(file: VarianceFile, *, title: str) -> Markup:
    """Squared bias and variance of each sampler's gradient, end to end."""
    return svg.both(lambda width: _gradient_errors(file, width, title))


def _gradient_errors(file: VarianceFile, width: float, title: str) -> Markup:
    rows = sorted(file.samplers.items(), key=lambda item: item[1].mse)
    left, right = (190.0, width - 84) if width == svg.WIDTH else (118.0, width - 62)
    scale = svg.Scale(0, max(max(numbers.mse for _, numbers in rows) * 1.02, 1e-12), left, right)
    signs = [
        (name, svg.tag("rect", x=-7, y=-6, width=14, height=12, class_=f"bar {kind}"))
        for name, kind in (("bias²", "bias"), ("variance", "noise"))
    ]
    key, _ = legend(signs, left, width - 8, 20)
    names = [broken(name, left - 20) for name, _ in rows]
    heights = [12 + LEADING * len(part) for part in names]
    bottom = 40 + sum(heights)
    parts, y = [*key, *svg.horizontal_axis(scale, 34, bottom, "squared error, relative", svg.short)], 40.0
    for (_, numbers), part, height in zip(rows, names, heights, strict=True):
        middle, centre = scale(numbers.bias2), y + height / 2
        parts += [
            block(left - 12, centre + 4 - LEADING * (len(part) - 1) / 2, part, anchor="end"),
            svg.tag("rect", x=left, y=centre - 9, width=middle - left, height=18, class_="bar bias"),
            svg.tag("rect", x=middle, y=centre - 9, width=scale(numbers.mse) - middle, height=18, class_="bar noise"),
            svg.text(scale(numbers.mse) + 8, centre + 4, svg.short(numbers.mse), kind="value"),
        ]
        y += height
    return svg.figure(bottom + 44, title, parts, width=width)


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
    return lines(found, title=title, across=across, up=f"validation {trainings[0].metric.replace('_', ' ')}")


def _mean_curve(seeds: Sequence[Sequence[Point]], by: By) -> tuple[tuple[float, float], ...]:
    """Mean over the seeds of their n-th points, as far as all have one."""
    key = "seconds" if by == "seconds" else "step"
    return tuple(
        (fmean(float(getattr(p, key)) for p in points), fmean(p.val for p in points))
        for points in zip(*seeds, strict=False)
    )
