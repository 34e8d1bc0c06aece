"""Texts in pictures: how much room they take, how long ones are broken, and legends that flow."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from gssl.benchmarks.report import svg

SIZE = 13.0  # of names, in the style sheet
LEADING = 15.0  # between the lines of a name
_MOST_LINES = 6  # what is still longer ends with an ellipsis, and a pointer brings up all of it
_BREAKS = " -+,_/:.;=&<>()"
_NARROW, _BROAD = frozenset(" .,:;|!'ijlItfr()[]"), frozenset("MWmw@%—…")


def text_width(content: str, size: float = SIZE) -> float:
    """About how wide a text is, rather too much than too little: fonts differ from machine to machine.

    Example:
        >>> text_width("iii") < text_width("aaa") < text_width("WWW")
        True
    """
    return size * sum(_share(letter) for letter in content)


def _share(letter: str) -> float:
    if letter in _NARROW:
        return 0.42
    if letter in _BROAD or ord(letter) >= 0x2E80:
        return 1.02
    return 0.72 if letter.isupper() else 0.64


def broken(name: str, room: float, size: float = SIZE) -> list[str]:
    """Lines that each fit into the room, broken after a space or a mark where there is one.

    Example:
        >>> broken("GRACE + labor", 300), broken("GRACE + labor", 70)
        (['GRACE + labor'], ['GRACE +', 'labor'])
    """
    lines: list[str] = []
    rest = name
    while rest and len(lines) < _MOST_LINES:
        end = _fitting(rest, room, size)
        if end < len(rest):
            marks = [n + 1 for n in range(end) if rest[n] in _BREAKS and not (rest[n] == "." and rest[n + 1].isdigit())]
            end = marks[-1] if marks and marks[-1] > end // 3 else end
        lines.append(rest[:end].strip())
        rest = rest[end:].lstrip()
    if rest:
        lines[-1] = f"{lines[-1][:-1]}…"
    return lines or [""]


def _fitting(text: str, room: float, size: float) -> int:
    """How many letters fit; at least one."""
    width = 0.0
    for place, letter in enumerate(text):
        width += size * _share(letter)
        if width > room:
            return max(place, 1)
    return len(text)


def block(x: float, y: float, lines: Sequence[str], *, anchor: str = "start", kind: str = "name") -> Markup:
    """Lines below each other; the base line of the first one is at ``y``."""
    if len(lines) == 1:
        return svg.text(x, y, lines[0], anchor=anchor, kind=kind)
    spans = [svg.tag("tspan", part, x=x, dy=LEADING if n else 0) for n, part in enumerate(lines)]
    return svg.tag("text", *spans, x=x, y=y, text_anchor=anchor, class_=kind)


def legend(entries: Sequence[tuple[str, Markup]], left: float, right: float, top: float) -> tuple[list[Markup], float]:
    """Signs with their names, one behind the other, in as many rows as it takes.

    Args:
        entries: name and sign of each; the sign is drawn around the point (0, 0) and up to 9 units from it.
        left, right, top: of the room.

    Returns:
        The elements and where they end.
    """
    parts: list[Markup] = []
    x, y, deepest = left, top, 1
    for name, sign in entries:
        lines = broken(name, right - left - 28)
        width = 28 + max(map(text_width, lines))
        if x > left and x + width > right:
            x, y, deepest = left, y + 3 + LEADING * deepest, 1
        parts.append(svg.tag("g", sign, transform=f"translate({x + 9:.1f} {y - 4:.1f})"))
        parts.append(block(x + 24, y, lines))
        x, deepest = x + width + 12, max(deepest, len(lines))
    return parts, y + LEADING * (deepest - 1)
