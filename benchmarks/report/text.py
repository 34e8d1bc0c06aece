"""Numbers, names and file names as the page writes them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from gssl.benchmarks.report.cells import Measure, Protocol
from gssl.benchmarks.stats.spread import Spread

NONE = "–"
MARKS = {
    "agrees": "✓ agrees",
    "above": "▲ above",
    "below": "▼ below",
    "unknown": "? one seed",
    "short": "– fewer epochs",
}
_LONGEST = 60
Judged = Protocol | Measure


def shown_unit(protocol: Judged) -> float:
    """What a score is multiplied by before it is shown: scores are shown in percent, errors as they are."""
    return 100.0 if protocol.higher_is_better else 1.0


def score(value: float | None, protocol: Judged) -> str:
    """One score with two decimals in percent, or an error with four.

    Example:
        >>> accuracy = Protocol("P1", 1, "{}", "accuracy")
        >>> score(0.82345, accuracy), score(None, accuracy)
        ('82.34', '–')
    """
    if value is None:
        return NONE
    return f"{100 * value:.2f}" if protocol.higher_is_better else f"{value:.4f}"


def mean_std(spread: Spread | None, protocol: Judged) -> str:
    """Mean and standard deviation; the mean alone for one seed."""
    if spread is None:
        return NONE
    mean = score(spread.mean, protocol)
    return mean if spread.std is None else f"{mean} ± {score(spread.std, protocol)}"


def interval(spread: Spread | None, protocol: Judged) -> str:
    """Ends of the bootstrap interval."""
    if spread is None or spread.low is None:
        return NONE
    return f"{score(spread.low, protocol)} to {score(spread.high, protocol)}"


def counted(number: int, thing: str) -> str:
    """A number with a noun.

    Example:
        >>> counted(1, "seed"), counted(3, "seed")
        ('1 seed', '3 seeds')
    """
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def p_value(p: float | None) -> str:
    """Three decimals.

    Example:
        >>> p_value(0.0004), p_value(0.0312), p_value(1.0), p_value(None)
        ('< 0.001', '0.031', '1', '–')
    """
    if p is None:
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 1 else "1"


def seconds(value: float | None) -> str:
    """A duration with three digits.

    Example:
        >>> seconds(0.01234), seconds(83.21), seconds(7300.0)
        ('0.0123 s', '83.2 s', '2.03 h')
    """
    if value is None:
        return NONE
    return f"{value / 3600:.3g} h" if value >= 3600 else f"{value:.3g} s"


def memory(value: float | None) -> str:
    """MiB without decimals."""
    return NONE if value is None else f"{value:.0f} MiB"


def slug(name: str) -> str:
    """A file name without anything that means something in a path; different names give different ones.

    Example:
        >>> slug("GRACE"), slug("ogbn-arxiv")
        ('GRACE', 'ogbn-arxiv')
        >>> slug("../x")
        'x-d6b96a97'
    """
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:_LONGEST]
    if plain and plain == name:
        return plain
    return f"{plain or 'x'}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def settings(config: Mapping[str, Any]) -> str:
    """A configuration as lines of ``section.option = value``."""
    lines = []
    for section, options in config.items():
        if isinstance(options, dict):
            lines += [f"{section}.{key} = {value}" for key, value in options.items()]
        else:
            lines.append(f"{section} = {options}")
    return "\n".join(lines)
