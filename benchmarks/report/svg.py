"""SVG from Python: escaped elements, scales with round ticks, and the frame of a figure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH = 720.0
NARROW = 350.0  # of pictures for phones, whose letters would be too small to read if the wide one shrank
Number = float | int


def both(draw: Callable[[float], Markup]) -> Markup:
    """A picture for wide screens and one for narrow ones, of which the style sheet shows what fits.

    Args:
        draw: makes it from its width; an empty one stays alone.
    """
    wide = draw(WIDTH)
    return wide + draw(NARROW) if wide else wide


def tag(name: str, *children: str | Markup, **attributes: str | Number | None) -> Markup:
    """An element; texts are escaped, ``class_`` and ``text_anchor`` become ``class`` and ``text-anchor``.

    Example:
        >>> print(tag("text", "a < b", x=1.0, class_="label"))
        <text x="1" class="label">a &lt; b</text>
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>{''.join(str(escape(child)) for child in children)}</{name}>")


def figure(
    height: Number, title: str, children: Iterable[Markup], *, width: Number = WIDTH, linked: bool = False
) -> Markup:
    """A picture that screen readers announce by its title; the numbers stand in a table of the same page.

    Args:
        height, width: of its own units.
        title: what it shows.
        children: its elements.
        linked: whether there are links in it; they could not be reached in something that says it is an image.
    """
    return tag(
        "svg",
        tag("title", title),
        *children,
        viewBox=f"0 0 {_plain(width)} {_plain(height)}",
        role="group" if linked else "img",
        aria_label=title,
        class_={WIDTH: "chart wide", NARROW: "chart narrow"}.get(float(width), "chart"),
    )


def text(x: Number, y: Number, content: str, *, anchor: str = "start", kind: str = "label") -> Markup:
    """A text whose base line starts, ends or has its middle at a point."""
    return tag("text", content, x=x, y=y, text_anchor=anchor, class_=kind)


def line(x1: Number, y1: Number, x2: Number, y2: Number, kind: str) -> Markup:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def dot(x: Number, y: Number, radius: Number, kind: str, title: str = "") -> Markup:
    """A circle, with a text that a pointer brings up."""
    return tag("circle", *([tag("title", title)] if title else []), cx=x, cy=y, r=radius, class_=kind)


def link(href: str, *children: Markup, label: str | None = None) -> Markup:
    """What leads to another page; one without a text in it needs a label."""
    return tag("a", *children, href=href, aria_label=label)


def path(points: Iterable[tuple[Number, Number]], kind: str) -> Markup:
    """A line through points."""
    steps = " L".join(f"{_plain(x)} {_plain(y)}" for x, y in points)
    return tag("path", d=f"M{steps}", class_=kind)


def specks(points: Iterable[tuple[Number, Number]], kind: str) -> Markup:
    """Many points as one element: strokes of no length with round ends."""
    return tag("path", d="".join(f"M{_plain(x)} {_plain(y)}h0" for x, y in points), class_=kind)


@dataclass(frozen=True)
class Scale:
    """From values to pixels.

    Attributes:
        low, high: values at the two ends; positive for a logarithmic one.
        start, end: pixels there.
        log: whether it is logarithmic.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        at = math.log(max(value, self.low)) if self.log else value
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self, wanted: int = 6) -> list[float]:
        """Round values within the scale."""
        return _log_ticks(self.low, self.high) if self.log else _ticks(self.low, self.high, wanted)


def scale_for(values: Sequence[float], start: float, end: float, *, log: bool = False, margin: float = 0.06) -> Scale:
    """A scale that holds all values with some room at the ends.

    Args:
        values: at least one, finite; those that are not positive sit at the end of a logarithmic scale.
        start, end: pixels.
        log: logarithmic, if the values allow it.
        margin: share of the range that is left free at each end.
    """
    positive = [value for value in values if value > 0]
    if log and positive:
        low, high = min(positive), max(positive)
        room = (high / low) ** margin if high > low else 1.5
        return Scale(low / room, high * room, start, end, log=True)
    low, high = min(values), max(values)
    room = (high - low) * margin or abs(high) * 0.05 or 1.0
    return Scale(low - room, high + room, start, end)


def horizontal_axis(scale: Scale, top: float, bottom: float, title: str, show: Callable[[float], str]) -> list[Markup]:
    """Grid lines with numbers below them, as many as have room."""
    marks, free = [], -math.inf
    for tick in scale.ticks(6 if abs(scale.end - scale.start) > 300 else 4):
        at, half = scale(tick), 3.8 * len(show(tick))
        marks.append(line(at, top, at, bottom, "grid"))
        if at - half > free:
            marks.append(text(at, bottom + 16, show(tick), anchor="middle", kind="tick"))
            free = at + half + 4
    return [*marks, text((scale.start + scale.end) / 2, bottom + 34, title, anchor="middle", kind="axis")]


def vertical_axis(scale: Scale, left: float, right: float, title: str, show: Callable[[float], str]) -> list[Markup]:
    """Grid lines with numbers to their left; the title stands above."""
    marks: list[Markup] = []
    taken: list[float] = []
    for tick in scale.ticks(5):
        at = scale(tick)
        marks.append(line(left, at, right, at, "grid"))
        if all(abs(at - other) > 12 for other in taken):
            marks.append(text(left - 8, at + 4, show(tick), anchor="end", kind="tick"))
            taken.append(at)
    return [*marks, text(min(left, 12), min(scale.start, scale.end) - 10, title, kind="axis")]


def short(value: float) -> str:
    """A tick in few characters.

    Example:
        >>> short(0.30000000000000004), short(1500.0), short(2e6)
        ('0.3', '1500', '2e+06')
    """
    return f"{value:.4g}"


def _ticks(low: float, high: float, wanted: int) -> list[float]:
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    return [n * step for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5), tuple(range(1, 10))):
        found = [f * 10.0**d for d in decades for f in factors if low <= f * 10.0**d <= high]
        if len(found) >= 3:
            return found
    return _ticks(low, high, 5)  # so short a range that powers of ten say nothing of it


def _plain(value: str | Number) -> str:
    return value if isinstance(value, str) else f"{value:.6g}" if abs(value) >= 1e4 else f"{value:.4g}"
