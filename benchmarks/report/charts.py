"""Pictures of results: scores with intervals, critical differences, quality against cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from gssl.benchmarks.report import svg
from gssl.benchmarks.report.labels import LEADING, block, broken, text_width
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
        kind: ``ours``, ``apart`` for a row that is not comparable with the others, or ``reference``.
        label: the number in words.
    """

    name: str
    href: str
    mean: float
    low: float | None
    high: float | None
    scores: tuple[float, ...]
    published: tuple[tuple[float, str], ...]
    kind: str
    label: str


@dataclass(frozen=True)
class Spot:
    """One point of quality against cost; its kind as that of a :class:`Bar`."""

    name: str
    href: str
    cost: float
    quality: float
    on_front: bool
    kind: str


_NAMES = 240.0  # room for names beside a wide picture


def intervals(bars: Sequence[Bar], *, title: str, axis: str) -> Markup:
    """Mean, interval, seeds and published numbers of each row."""
    return svg.both(lambda width: _intervals(bars, width, title, axis))


def _intervals(bars: Sequence[Bar], width: float, title: str, axis: str) -> Markup:
    narrow = width == svg.NARROW
    values = max(text_width(bar.label) for bar in bars)
    room = width - values - 24 if narrow else _NAMES
    names = [broken(bar.name, room) for bar in bars]
    left = 12.0 if narrow else 26 + min(max(text_width(line) for lines in names for line in lines), _NAMES)
    scale = svg.scale_for(_drawn(bars), left, width - 14 if narrow else width - values - 22)
    heights = [12 + LEADING * len(lines) + (18 if narrow else 0) for lines in names]
    bottom = 14 + sum(heights)
    parts, y = svg.horizontal_axis(scale, 8, bottom, axis, svg.short), 14.0
    for bar, lines, height in zip(bars, names, heights, strict=True):
        middle = y + height / 2 + (4 + LEADING * len(lines) / 2 if narrow else 0)
        first = y + 14 if narrow else middle + 4 - LEADING * (len(lines) - 1) / 2
        at, anchor = (left - 8, "start") if narrow else (left - 14, "end")
        value = svg.text(width - 8 - values, first if narrow else middle + 4, bar.label, kind="value")
        parts += [
            svg.link(bar.href, block(at, first, lines, anchor=anchor)),
            *_interval_row(bar, scale, middle),
            svg.link(bar.href, value),
        ]
        y += height
    return svg.figure(bottom + 44, title, parts, width=width, linked=True)


def _drawn(bars: Sequence[Bar]) -> list[float]:
    """Everything that has a place on the axis."""
    return [
        value
        for bar in bars
        for value in (bar.mean, *bar.scores, *(number for number, _ in bar.published), bar.low, bar.high)
        if value is not None
    ]


def _interval_row(bar: Bar, scale: svg.Scale, y: float) -> list[Markup]:
    parts = []
    if bar.low is not None and bar.high is not None:
        width = max(scale(bar.high) - scale(bar.low), 1.0)
        shape = {"x": scale(bar.low), "y": y - 6, "width": width, "height": 12, "rx": 3}
        parts.append(svg.tag("rect", **shape, class_=f"interval {bar.kind}"))
    parts += [svg.dot(scale(score), y, 2.2, f"seed {bar.kind}") for score in bar.scores if len(bar.scores) > 1]
    parts += [
        svg.tag(
            "path", svg.tag("title", f"{source}: {svg.short(value)}"), d=_diamond(scale(value), y), class_="published"
        )
        for value, source in bar.published
    ]
    parts.append(svg.dot(scale(bar.mean), y, 4.6, f"mean {bar.kind}", f"{bar.name}: {bar.label}"))
    return parts


def critical_difference(ranking: Ranking, hrefs: Mapping[str, str], *, title: str) -> Markup:
    """Mean ranks on a line, best on the left; bars join what Nemenyi's test cannot tell apart (Demšar, 2006).

    Args:
        ranking: what is drawn.
        hrefs: where the name of each method leads.
        title: of the picture.
    """
    return svg.both(lambda width: _critical_difference(ranking, hrefs, width, title))


def _critical_difference(ranking: Ranking, hrefs: Mapping[str, str], width: float, title: str) -> Markup:
    count = len(ranking.methods)
    side = 116.0 if width == svg.NARROW else 190.0
    scale = svg.Scale(1, max(count, 2), side, width - side)
    top = 62.0
    parts = [svg.line(scale.start, top, scale.end, top, "rule")]
    step = max(1, round(18 * (count - 1) / (scale.end - scale.start) + 0.49))
    for place in range(1, count + 1):
        parts.append(svg.line(scale(place), top - 6, scale(place), top, "rule"))
        if (place - 1) % step == 0:
            parts.append(svg.text(scale(place), top - 12, str(place), anchor="middle", kind="tick"))
    if ranking.critical_difference is not None:
        parts += _bracket(scale, ranking.critical_difference, width)
    for level, (first, last) in enumerate(ranking.groups):
        y = top + 12 + 9 * level
        ends = scale(ranking.mean_ranks[first]) - 3, scale(ranking.mean_ranks[last]) + 3
        parts.append(svg.line(ends[0], y, ends[1], y, "clique"))
    start, half = top + 24 + 9 * len(ranking.groups), (count + 1) // 2
    ends_at = [start]
    for members in (range(half), range(count - 1, half - 1, -1)):  # the worst of the right side comes first
        y = start
        for index in members:
            stem, y = _stem(ranking, index, hrefs, scale, (top, y), side - 22)
            parts += stem
        ends_at.append(y)
    return svg.figure(max(ends_at) + 6, title, parts, width=width, linked=True)


def _stem(
    ranking: Ranking,
    index: int,
    hrefs: Mapping[str, str],
    scale: svg.Scale,
    heights: tuple[float, float],
    room: float,
) -> tuple[list[Markup], float]:
    """The line from a rank to its name at one of the sides, and where the next name may begin."""
    (top, y), left = heights, index < (len(ranking.methods) + 1) // 2
    name, at = ranking.methods[index], scale(ranking.mean_ranks[index])
    end = scale.start - 12 if left else scale.end + 12
    lines = broken(f"{name} {ranking.mean_ranks[index]:.2f}", room)
    place = end - 5 if left else end + 5
    parts = [
        svg.path([(at, top), (at, y), (end, y)], "stem"),
        svg.dot(at, top, 3, "mean ours"),
        svg.link(hrefs[name], block(place, y + 4, lines, anchor="end" if left else "start")),
    ]
    return parts, y + 6 + LEADING * len(lines)


def _bracket(scale: svg.Scale, difference: float, width: float) -> list[Markup]:
    """How long the critical difference is, above the axis; longer than the axis if nothing can be told apart."""
    end = min(scale(1 + difference), width - 10)
    return [
        svg.line(scale.start, 22, end, 22, "clique"),
        svg.line(scale.start, 17, scale.start, 27, "rule"),
        svg.line(end, 17, end, 27, "rule"),
        svg.text(scale.start, 12, f"critical difference {difference:.2f}", kind="tick"),
    ]


def quality_cost(spots: Sequence[Spot], *, title: str, quality: str, cost: str, higher: bool) -> Markup:
    """Quality against cost on a logarithmic axis; the front is joined by steps and its points are named first."""
    return svg.both(lambda width: _quality_cost(spots, width, title, quality, cost, higher))


def _quality_cost(spots: Sequence[Spot], width: float, title: str, quality: str, cost: str, higher: bool) -> Markup:
    left, right = 62.0 if width == svg.WIDTH else 46.0, width - 24
    across = svg.scale_for([spot.cost for spot in spots], left, right, log=True)
    bottom, top = (300, 34) if higher else (34, 300)
    up = svg.scale_for([spot.quality for spot in spots], bottom, top)
    parts = svg.horizontal_axis(across, 34, 300, cost, svg.short)
    parts += svg.vertical_axis(up, left, right, quality, svg.short)
    corners: list[tuple[float, float]] = []
    for spot in sorted((spot for spot in spots if spot.on_front), key=lambda spot: spot.cost):
        corners += [(across(spot.cost), corners[-1][1])] if corners else []
        corners.append((across(spot.cost), up(spot.quality)))
    parts += [svg.path(corners, "front")] if len(corners) > 1 else []
    taken = [_around(across(spot.cost), up(spot.quality)) for spot in spots]
    taken += [(min(a, c), min(b, d) - 1, max(a, c) + 1, max(b, d) + 1) for (a, b), (c, d) in pairwise(corners)]
    for spot in sorted(spots, key=lambda spot: not spot.on_front):
        x, y = across(spot.cost), up(spot.quality)
        kind = "beaten" if spot.kind == "ours" and not spot.on_front else spot.kind
        label = f"{spot.name}: {svg.short(spot.quality)} at {svg.short(spot.cost)}"
        parts.append(svg.link(spot.href, svg.dot(x, y, 5.5, f"mean {kind}", label), label=label))
        parts += _named(spot, (x, y), taken, width)
    return svg.figure(344, title, parts, width=width, linked=True)


_Box = tuple[float, float, float, float]  # left, top, right, bottom


def _around(x: float, y: float) -> _Box:
    return (x - 5, y - 5, x + 5, y + 5)


def _named(spot: Spot, at: tuple[float, float], taken: list[_Box], width: float) -> list[Markup]:
    """The name where it hides nothing; nothing if there is no such place, and a pointer brings it up."""
    lines = broken(spot.name, 170 if width == svg.WIDTH else 130)
    wide, high = 1.1 * max(map(text_width, lines)), LEADING * len(lines)
    for shift in (0.0, -14.0, 14.0, -26.0, 26.0):
        for anchor in ("start", "end"):
            x = at[0] + 9 if anchor == "start" else at[0] - 9
            y = at[1] + shift - high / 2
            box = (x, y, x + wide, y + high) if anchor == "start" else (x - wide, y, x, y + high)
            inside = box[0] >= 4 and box[2] <= width - 4 and box[1] >= 30 and box[3] <= 304
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                kind = "name strong" if spot.on_front else "name"
                return [block(x, y + 12, lines, anchor=anchor, kind=kind)]
    return []


def _overlap(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _diamond(x: float, y: float) -> str:
    return f"M{x:.1f} {y - 6:.1f}l5 6l-5 6l-5 -6z"
