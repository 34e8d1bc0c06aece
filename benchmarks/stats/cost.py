"""Quality against cost."""

from __future__ import annotations

from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Positions of the points that no other one beats: none is as cheap and better, or cheaper and as good.

    Args:
        points: (cost, quality) of each; lower cost and higher quality are better.

    Returns:
        In order of rising cost. Points that coincide are all on the front or all off it.

    Example:
        >>> pareto_front([(1.0, 0.5), (2.0, 0.4), (3.0, 0.9)])
        [0, 2]
    """
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1]))
    front: list[int] = []
    for index in order:
        if not front or points[index][1] > points[front[-1]][1] or points[index] == points[front[-1]]:
            front.append(index)
    return front
