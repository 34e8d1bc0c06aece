"""Pictures of results: scores with intervals, critical differences, quality against cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gssl.benchmarks.report import svg
from gssl.benchmarks.stats.ranks import Ranking


@dataclass(frozen=True)
class Bar:
    """One row of a picture of scores, all in the unit that is shown.

    Attributes:
        name, href: of the row.
        mean: of the scores.
        low, high: ends of the interval; None for one seed.
        scores: of the seeds.
        published: numbers of others, with their source.
        reference: drawn apart.
        label: the number in words.
    """

    name: str
    href: str
    mean: float
    low: float | None
    high: float | None
    scores: tuple[float, ...]
    published: tuple[tuple[float, str], ...]
    reference: bool
    label: str


@dataclass(frozen=True)
class Spot:
    """One point of quality against cost."""

    name: str
    href: str
    cost: float
    quality: float
    on_front: bool
    reference: bool


_LEFT, _RIGHT, _ROW = 170.0, 590.0, 27.0


def intervals(bars: Sequence[Bar], *, title: str, axis: str) -> Markup:
    """Mean, interval, seeds and published numbers of each row."""
    values = [
        value
        for bar in bars
        for value in (bar.mean, *bar.scores, *(number for number, _ in bar.published), bar.low, bar.high)
        if value is not None
    ]
    scale = svg.scale_for(values, _LEFT, _RIGHT)
    bottom = 14 + _ROW * len(bars)
    parts = svg.horizontal_axis(scale, 8, bottom, axis, svg.short)
    for number, bar in enumerate(bars):
        parts += _interval_row(bar, scale, 14 + _ROW * (number + 0.5))
    return svg.figure(bottom + 44, title, parts, linked=True)


def _interval_row(bar: Bar, scale: svg.Scale, y: float) -> list[Markup]:
    kind = "reference" if bar.reference else "ours"
    parts = [svg.link(bar.href, svg.text(_LEFT - 14, y + 4, _cut(bar.name, 22), anchor="end", kind="name"))]
    if bar.low is not None and bar.high is not None:
        width = max(scale(bar.high) - scale(bar.low), 1.0)
        shape = {"x": scale(bar.low), "y": y - 6, "width": width, "height": 12, "rx": 3}
        parts.append(svg.tag("rect", **shape, class_=f"interval {kind}"))
    parts += [svg.dot(scale(score), y, 2.2, f"seed {kind}") for score in bar.scores if len(bar.scores) > 1]
    parts += [
        svg.tag(
            "path", svg.tag("title", f"{source}: {svg.short(value)}"), d=_diamond(scale(value), y), class_="published"
        )
        for value, source in bar.published
    ]
    parts.append(svg.dot(scale(bar.mean), y, 4.6, f"mean {kind}", f"{bar.name}: {bar.label}"))
    parts.append(svg.link(bar.href, svg.text(_RIGHT + 14, y + 4, bar.label, kind="value")))
    return parts


def critical_difference(ranking: Ranking, hrefs: Mapping[str, str], *, title: str) -> Markup:
    """Mean ranks on a line, best on the left; bars join what Nemenyi's test cannot tell apart (Demšar, 2006).

    Args:
        ranking: what is drawn.
        hrefs: where the name of each method leads.
        title: of the picture.
    """
    count = len(ranking.methods)
    scale = svg.Scale(1, max(count, 2), 150, svg.WIDTH - 150)
    top = 62.0
    parts = [svg.line(scale.start, top, scale.end, top, "rule")]
    for place in range(1, count + 1):
        parts += [
            svg.line(scale(place), top - 6, scale(place), top, "rule"),
            svg.text(scale(place), top - 12, str(place), anchor="middle", kind="tick"),
        ]
    if ranking.critical_difference is not None:
        parts += _bracket(scale, ranking.critical_difference)
    for level, (first, last) in enumerate(ranking.groups):
        y = top + 12 + 9 * level
        ends = scale(ranking.mean_ranks[first]) - 3, scale(ranking.mean_ranks[last]) + 3
        parts.append(svg.line(ends[0], y, ends[1], y, "clique"))
    start = top + 24 + 9 * len(ranking.groups)
    half = (count + 1) // 2
    for index, (name, rank) in enumerate(zip(ranking.methods, ranking.mean_ranks, strict=True)):
        left = index < half
        y = start + 21 * (index if left else count - 1 - index)
        end = scale.start - 12 if left else scale.end + 12
        parts += [
            svg.path([(scale(rank), top), (scale(rank), y), (end, y)], "stem"),
            svg.dot(scale(rank), top, 3, "mean ours"),
            svg.link(
                hrefs[name],
                svg.text(
                    end - 5 if left else end + 5,
                    y + 4,
                    f"{_cut(name, 16)} {rank:.2f}",
                    anchor="end" if left else "start",
                    kind="name",
                ),
            ),
        ]
    return svg.figure(start + 21 * half + 6, title, parts, linked=True)


def _bracket(scale: svg.Scale, difference: float) -> list[Markup]:
    """How long the critical difference is, above the axis; longer than the axis if nothing can be told apart."""
    end = min(scale(1 + difference), svg.WIDTH - 10)
    return [
        svg.line(scale.start, 22, end, 22, "clique"),
        svg.line(scale.start, 17, scale.start, 27, "rule"),
        svg.line(end, 17, end, 27, "rule"),
        svg.text(scale.start, 12, f"critical difference {difference:.2f}", kind="tick"),
    ]


def quality_cost(spots: Sequence[Spot], *, title: str, quality: str, cost: str, higher: bool) -> Markup:
    """Quality against cost on a logarithmic axis; the front is joined by steps and its points are named."""
    across = svg.scale_for([spot.cost for spot in spots], 62, svg.WIDTH - 24, log=True)
    up = (
        svg.scale_for([spot.quality for spot in spots], 300, 34)
        if higher
        else svg.scale_for([spot.quality for spot in spots], 34, 300)
    )
    parts = svg.horizontal_axis(across, 34, 300, cost, svg.short) + svg.vertical_axis(
        up, 62, svg.WIDTH - 24, quality, svg.short
    )
    front = sorted((spot for spot in spots if spot.on_front), key=lambda spot: spot.cost)
    corners: list[tuple[float, float]] = []
    for spot in front:
        if corners:
            corners.append((across(spot.cost), corners[-1][1]))
        corners.append((across(spot.cost), up(spot.quality)))
    if len(front) > 1:
        parts.append(svg.path(corners, "front"))
    taken: list[tuple[float, float]] = []
    for spot in sorted(spots, key=lambda spot: not spot.on_front):
        x, y = across(spot.cost), up(spot.quality)
        kind = "reference" if spot.reference else "ours" if spot.on_front else "beaten"
        label = f"{spot.name}: {svg.short(spot.quality)} at {svg.short(spot.cost)}"
        parts.append(svg.link(spot.href, svg.dot(x, y, 5.5, f"mean {kind}", label), label=label))
        place = _free_place(x, y, spot.name, taken)
        if place is not None:
            right = x > svg.WIDTH - 150
            parts.append(
                svg.text(
                    x - 8 if right else x + 8,
                    place,
                    _cut(spot.name, 22),
                    anchor="end" if right else "start",
                    kind="name strong" if spot.on_front else "name",
                )
            )
    return svg.figure(344, title, parts, linked=True)


def _free_place(x: float, y: float, name: str, taken: list[tuple[float, float]]) -> float | None:
    """Height at which a name hides no other one; None if there is none nearby."""
    for shift in (-7.0, 16.0, -20.0, 29.0):
        if all(abs(y + shift - other_y) > 12 or abs(x - other_x) > 110 for other_x, other_y in taken):
            taken.append((x, y + shift))
            return y + shift
    return None


def _diamond(x: float, y: float) -> str:
    return f"M{x:.1f} {y - 6:.1f}l5 6l-5 6l-5 -6z"


def _cut(name: str, length: int) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"
