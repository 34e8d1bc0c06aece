"""Pictures of a search in the page's own style, drawn from the trials in ``study.json``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from markupsafe import Markup
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances

from gssl.benchmarks.report import svg
from gssl.benchmarks.report.charts import Spot, quality_cost
from gssl.benchmarks.report.labels import LEADING, block, broken, legend
from gssl.benchmarks.stats.cost import pareto_front

_PANEL = 340.0  # width of the picture of one parameter
_FEWEST = 4  # finished trials that importance is computed from
_DRAWN = 60  # trials whose scores during training are drawn


@dataclass(frozen=True)
class Point:
    """A trial, as far as it can be drawn.

    Attributes:
        number: of the trial.
        score: its validation score, in the unit that is shown; of a pruned one, its last report.
        complete: whether it was trained to the end.
        params: name to value.
        reports: epoch to score during training.
        epochs: that it was trained for, if known.
        seconds: of its training, where that is an objective.
    """

    number: int
    score: float
    complete: bool
    params: Mapping[str, Any]
    reports: tuple[tuple[float, float], ...]
    epochs: float | None
    seconds: float | None


@dataclass(frozen=True)
class Drawing:
    """What the pictures share.

    Attributes:
        title: method and dataset.
        points: trials with a score, by number.
        logarithmic: parameters that were searched so.
        metric: name of the score.
        higher: whether more of it is better.
    """

    title: str
    points: tuple[Point, ...]
    logarithmic: frozenset[str]
    metric: str
    higher: bool

    @property
    def complete(self) -> list[Point]:
        return [point for point in self.points if point.complete]

    @property
    def score(self) -> str:
        return f"validation {self.metric}"

    @property
    def best(self) -> Point:
        return max(self.complete, key=lambda p: p.score if self.higher else -p.score)

    def pictures(self) -> Iterator[tuple[str, Markup]]:
        """Heading and picture of everything that the trials allow."""
        if not self.complete:
            return
        yield "Score of each trial, and the best so far", svg.both(self._history)
        shares = importances(self.complete)
        if shares:
            yield "Importance of each parameter for the score", svg.both(lambda width: self._importance(shares, width))
        timed = [point for point in self.complete if point.seconds is not None and point.seconds > 0]
        if len(timed) > 1:
            yield "Score against seconds", self._pareto(timed)
        if any(point.reports for point in self.points):
            yield "Scores during pretraining, by which trials are pruned", svg.both(self._reports)

    def slices(self) -> Iterator[Markup]:
        """The score over each parameter."""
        for name in dict.fromkeys(name for point in self.complete for name in point.params):
            yield self._slice(name, [point for point in self.points if name in point.params])

    def _history(self, width: float) -> Markup:
        left, right = _sides(width)
        x = svg.scale_for([point.number for point in self.points], left, right, margin=0.03)
        signs = [("complete", "ours"), ("pruned", "apart")]
        key = [(name, svg.dot(0, 0, 4.2, f"mean {kind}")) for name, kind in signs]
        parts, top = legend([*key, ("best so far", svg.line(-9, 0, 9, 0, "front"))], 12, right, 16)
        top += 30
        y = svg.scale_for([point.score for point in self.points], top + 200, top)
        parts += svg.horizontal_axis(x, top, top + 200, "trial", svg.short)
        parts += svg.vertical_axis(y, left, right, self.score, svg.short)
        corners: list[tuple[float, float]] = []
        record: float | None = None
        for point in self.complete:
            if record is None or ((point.score > record) == self.higher and point.score != record):
                corners += [(x(point.number), y(record))] if record is not None else []
                corners.append((x(point.number), y(point.score)))
                record = point.score
        assert record is not None
        parts.append(svg.path([*corners, (right, y(record))], "front"))
        parts += [self._dot(point, x(point.number), y(point.score)) for point in self.points]
        return svg.figure(top + 244, f"Trials of {self.title}", parts, width=width)

    def _dot(self, point: Point, x: float, y: float) -> Markup:
        kind = "ours" if point.complete else "apart"
        return svg.dot(x, y, 4.2, f"mean {kind}", f"trial {point.number}: {svg.short(point.score)}")

    def _slice(self, name: str, points: Sequence[Point]) -> Markup:
        lines = broken(name, _PANEL - 20)
        top = 26 + LEADING * len(lines)
        y = svg.scale_for([point.score for point in points], top + 130, top)
        parts = [block(12, 16, lines, kind="name strong"), *svg.vertical_axis(y, 52, _PANEL - 14, "", svg.short)]
        values = [point.params[name] for point in points]
        if all(map(_number, values)):
            x = svg.scale_for(values, 56, _PANEL - 22, log=name in self.logarithmic)
            places, end = [x(value) for value in values], top + 174
            parts += svg.horizontal_axis(x, top, top + 130, "", svg.short)
        else:
            known = list(dict.fromkeys(str(value) for value in values))
            step = (_PANEL - 70) / len(known)
            places = [56 + step * (known.index(str(value)) + 0.5) for value in values]
            parts.append(svg.line(56, top + 130, _PANEL - 14, top + 130, "grid"))
            names = [broken(text, max(step - 6, 24)) for text in known]
            parts += [block(56 + step * (n + 0.5), top + 148, t, anchor="middle") for n, t in enumerate(names)]
            end = top + 154 + LEADING * max(map(len, names))
        parts += [self._dot(point, at, y(point.score)) for point, at in zip(points, places, strict=True)]
        return svg.figure(end, f"Score over {name}", parts, width=_PANEL)

    def _importance(self, shares: Mapping[str, float], width: float) -> Markup:
        left = 230.0 if width == svg.WIDTH else 150.0
        x = svg.Scale(0, max(shares.values()) or 1.0, left, width - 60)
        parts, y = [], 8.0
        for name, share in shares.items():
            lines = broken(name, left - 22)
            height = 12 + LEADING * len(lines)
            middle = y + height / 2
            first = middle + 4 - LEADING * (len(lines) - 1) / 2
            parts += [
                block(left - 12, first, lines, anchor="end"),
                svg.tag("rect", x=left, y=middle - 8, width=max(x(share) - left, 1), height=16, class_="bar noise"),
                svg.text(max(x(share), left) + 8, middle + 4, f"{100 * share:.0f} %", kind="value"),
            ]
            y += height
        return svg.figure(y + 8, f"Importance of parameters, {self.title}", parts, width=width)

    def _pareto(self, points: Sequence[Point]) -> Markup:
        sign = 1 if self.higher else -1
        front = set(pareto_front([(point.seconds or 0.0, sign * point.score) for point in points]))
        spots = [
            Spot(f"trial {p.number}", "", p.seconds or 0.0, p.score, n in front, "ours") for n, p in enumerate(points)
        ]
        title, cost = f"Score against seconds, {self.title}", "seconds of training, logarithmic"
        return quality_cost(spots, title=title, quality=self.score, cost=cost, higher=self.higher)

    def _reports(self, width: float) -> Markup:
        left, right = _sides(width)
        curves = {point.number: _curve(point) for point in self.points if point.reports}
        shown = dict(list(curves.items())[-_DRAWN:]) | {n: curves[n] for n in [self.best.number] if n in curves}
        x = svg.scale_for([at for curve in shown.values() for at, _ in curve], left, right, log=True, margin=0.02)
        y = svg.scale_for([score for curve in shown.values() for _, score in curve], 250, 48)
        parts = svg.horizontal_axis(x, 48, 250, "epoch, logarithmic", svg.short)
        parts += svg.vertical_axis(y, left, right, self.score, svg.short)
        for number, curve in sorted(shown.items(), key=lambda item: item[0] == self.best.number):
            kind = "curve c1" if number == self.best.number else "curve thin c0"
            path = [(x(at), y(score)) for at, score in curve]
            title = f"trial {number}: {svg.short(curve[-1][1])}"
            parts += [svg.path(path, kind), svg.dot(*path[-1], 2.6, f"knot {kind.split()[-1]}", title)]
        parts += legend([("best trial", svg.line(-9, 0, 9, 0, "curve c1"))], 12, right, 16)[0]
        return svg.figure(294, f"Scores during pretraining, {self.title}", parts, width=width)


def importances(points: Sequence[Point]) -> dict[str, float]:
    """Share of each parameter in the variance of the score by functional ANOVA (Hutter et al., 2014), largest first.

    Of the parameters that every trial has; nothing where there are too few trials, or all have the same score.
    """
    names = [name for name in points[0].params if all(name in point.params for point in points)] if points else []
    ranges = {name: _range([point.params[name] for point in points]) for name in names}
    varied = {name: found for name, found in ranges.items() if found is not None}
    if len(points) < _FEWEST or not varied or len({point.score for point in points}) < 2:
        return {}
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study()
    for point in points:
        params = {name: _plain(point.params[name], kind) for name, kind in varied.items()}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=varied, value=point.score))
    try:
        found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0), normalize=True)
    except (RuntimeError, ValueError):  # the forest sees no difference
        return {}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _range(values: Sequence[Any]) -> BaseDistribution | None:
    """What the values were drawn from, as far as they show it; None if they are all the same."""
    if len({str(value) for value in values}) < 2:
        return None
    if all(map(_number, values)):
        low, high = float(min(values)), float(max(values))
        return FloatDistribution(low, high, log=low > 0 and high / low > 20)
    return CategoricalDistribution(sorted({str(value) for value in values}))


def _plain(value: Any, kind: BaseDistribution) -> float | str:
    return float(value) if isinstance(kind, FloatDistribution) else str(value)


def _number(value: object) -> bool:
    """Whether it has a place on an axis."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and abs(value) < 1e15


def _curve(point: Point) -> list[tuple[float, float]]:
    """Reports by epoch, with the score at the end of a complete trial."""
    last = [(point.epochs, point.score)] if point.complete and point.epochs else []
    return sorted({epoch: score for epoch, score in (*point.reports, *last) if epoch > 0}.items()) or [
        (1.0, point.score)
    ]


def _sides(width: float) -> tuple[float, float]:
    return (62.0 if width == svg.WIDTH else 46.0), width - 20
