"""What all tables of :mod:`gssl.benchmarks.time_to_accuracy` in a folder say together::

    python -m gssl.benchmarks.sampler_overview

It makes two tables for equal seconds and two for equal steps: how far every sampler that is in all tables is from the
best one of each, and how draws by gradient norm compare with uniform ones where the propagation is the same. Where
the leaders of tables were trained on further seeds (``--confirm``), paired t tests say whether they differ, corrected
for their number (Holm, 1979), in each table and in the mean over the graphs that a method was trained on for as long.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from scipy.stats import t as student

from gssl.benchmarks.rows import markdown_table
from gssl.benchmarks.stats.paired import compare, holm
from gssl.benchmarks.stats.spread import spread
from gssl.benchmarks.time_to_accuracy import BY_NORM
from gssl.common.errors import InputError
from gssl.convergence.record import read

Differences = Mapping[int, float]
"""Of each seed."""
Scores = Mapping[str, float | None]
"""Validation score of each sampler; None where a training had no observation in time."""

_TITLE = re.compile(r"^Best validation \S+ within \S+ (s of processor time|steps): (\S+) on (\S+),", re.MULTILINE)
_ROW = re.compile(r"^\| (\S.*?) \| \d+ \| \S+ \| (none|[\d.]+)", re.MULTILINE)
_OWN = re.compile(r" (gamma|neighbors)=\S+")  # options that differ from table to table
_MINVAR = re.compile(r" norms=\S+ draw=\S+ mix=\S+ floor=\S+")
_COST = re.compile(r" cost=\S+")  # uniform draws have none
# Named samplers with uniform targets.
_UNIFORM = {"labor": "labor", "graphsage": "neighbor", "ladies": "ladies", "vrgcn": "vrgcn"}


def read_tables(text: str) -> dict[str, tuple[str, Scores]]:
    """The tables of one file, by what is equal in them: the name of the problem, and the scores."""
    starts = list(_TITLE.finditer(text))
    ends = [*(title.start() for title in starts[1:]), len(text)]
    found: dict[str, tuple[str, Scores]] = {}
    for title, end in zip(starts, ends, strict=True):
        rows = _ROW.findall(text, title.end(), end)
        scores = {_OWN.sub("", sampler): None if score == "none" else float(score) for sampler, score in rows}
        found["seconds" if title[1].startswith("s ") else "steps"] = (f"{title[2]}, {title[3]}", scores)
    return found


def distances(tables: Sequence[Scores]) -> dict[str, list[float | None]]:
    """How far each sampler that is in all tables is from the best of each; the least mean first, gaps last."""
    best = [max(score for score in table.values() if score is not None) for table in tables]
    found: dict[str, list[float | None]] = {}
    for sampler in (name for name in tables[0] if all(name in table for table in tables)):
        scores = [table[sampler] for table in tables]
        found[sampler] = [None if s is None else s - top for s, top in zip(scores, best, strict=True)]
    return dict(sorted(found.items(), key=lambda item: (None in item[1], -_mean(item[1]))))


def gains(tables: Sequence[Scores]) -> dict[str, list[float | None]]:
    """For each propagation with its options, the score of minimal-variance targets less that of uniform ones."""
    found: dict[str, list[float | None]] = {}
    for number, table in enumerate(tables):
        uniform = {_uniform(name): score for name, score in table.items()}
        for name, score in table.items():
            pair = _MINVAR.sub("", name)
            other = uniform.get(_COST.sub("", pair).replace("minvar+", "uniform+", 1))
            if name.startswith("minvar+") and score is not None and other is not None:
                propagation = pair.removeprefix("minvar+")
                found.setdefault(propagation, [None] * len(tables))[number] = score - other
    return dict(sorted(found.items(), key=lambda item: -_mean(item[1])))


def overview(folder: Path) -> str:
    """Markdown of all tables of the folder.

    Raises:
        InputError: there is none.
    """
    files = sorted(folder.glob("*-*.md"))
    read = [read_tables(path.read_text(encoding="utf-8")) for path in files]
    if not any(read):
        raise InputError(f"{folder} has no tables: make one with python -m gssl.benchmarks.time_to_accuracy")
    parts = []
    for by in ("seconds", "steps"):
        names, tables = zip(*(tables[by] for tables in read if by in tables), strict=True)
        parts += [f"## Equal {by}", "", "Validation score less that of the best sampler of the table.", ""]
        parts += [_markdown("sampler", names, distances(tables)), ""]
        parts += ["Minimal-variance targets less uniform ones, the propagation being the same.", ""]
        parts += [_markdown("propagation", names, gains(tables)), ""]
    if text := confirmations(folder):
        parts += ["## The leaders at equal seconds, on further seeds", "", text, ""]
    return "\n".join(["# All tables together", "", *parts])


@dataclass(frozen=True)
class Tested:
    """Two samplers on seeds that had no part in their choice.

    Attributes:
        method, dataset, seconds: what was trained, for how long.
        pair: the one that draws by gradient norm, and the other.
        differences: score at equal seconds of the first less that of the second, for each seed that both have.
    """

    method: str
    dataset: str
    seconds: float
    pair: tuple[str, str]
    differences: Differences

    @property
    def problem(self) -> str:
        return f"{self.method}, {self.dataset}, {self.seconds:g} s"


def tested(path: Path) -> Tested:
    """The trainings of a ``-confirm.jsonl``.

    Raises:
        InputError: they are not of two samplers, of which one draws by gradient norm, on two common seeds or more.
    """
    found = read(path)
    names = {training.sampler for training in found}
    drawn = {name for name in names if name.startswith(BY_NORM)}
    if not len(names) == 2 == 2 * len(drawn):
        raise InputError(f"{path} must hold one sampler that draws by gradient norm and one that does not")
    pair = next(iter(drawn)), next(iter(names - drawn))
    one, other = ({t.seed: t.best(by="seconds") for t in found if t.sampler == name} for name in pair)
    both = {seed: (one[seed], other[seed]) for seed in sorted(one.keys() & other.keys())}
    differences = {seed: a - b for seed, (a, b) in both.items() if a is not None and b is not None}
    if len(differences) < 2:
        raise InputError(f"{path} has fewer than two seeds on which both samplers have a score in time")
    return Tested(found[0].method, found[0].dataset, found[0].seconds, pair, differences)


def means(every: Sequence[Tested]) -> dict[str, Differences]:
    """Where a method was trained for as long on several graphs, mean differences of the seeds that all have."""
    groups: dict[tuple[str, float], list[Tested]] = {}
    for one in every:
        groups.setdefault((one.method, one.seconds), []).append(one)
    found: dict[str, Differences] = {}
    for (method, seconds), group in groups.items():
        seeds = set[int].intersection(*(set(one.differences) for one in group))
        if len(group) > 1 and len(seeds) > 1:
            name = f"{method}, {seconds:g} s: {', '.join(one.dataset for one in group)}"
            found[name] = {seed: fmean(one.differences[seed] for one in group) for seed in sorted(seeds)}
    return found


def confirmations(folder: Path) -> str:
    """The leaders of every table on seeds that had no part in their choice, in Markdown; empty where there are none."""
    every = [tested(path) for path in sorted(folder.glob("*-confirm.jsonl"))]
    if not every:
        return ""
    rows = [((one.problem, *(_MINVAR.sub("", name) for name in one.pair)), one.differences) for one in every]
    parts = [_tests(("table", "by gradient norm", "other"), rows)]
    if over := means(every):
        parts += ["", "Each seed's mean over the graphs, the leaders being those of each graph.", ""]
        parts += [_tests(("mean of",), [((name,), differences) for name, differences in over.items()])]
    return "\n".join(parts)


def _tests(first: tuple[str, ...], rows: Sequence[tuple[tuple[str, ...], Differences]]) -> str:
    """A table of paired t tests, corrected over its rows; each row begins with its names."""
    p = [compare(differences, dict.fromkeys(differences, 0.0)).t_p for _, differences in rows]
    cells = []
    for (names, differences), *both in zip(rows, p, holm(p), strict=True):
        values = list(differences.values())
        mean = fmean(values)
        half = float(student.ppf(0.975, len(values) - 1)) * (spread(values).standard_error or math.nan)
        interval = f"{mean - half:+.4f} to {mean + half:+.4f}"
        better = f"{sum(value > 0 for value in values)} of {len(values)}"
        cells.append((*names, f"{mean:+.4f}", interval, better, *map(_number, both)))
    return markdown_table((*first, "difference", "95 % interval", "seeds better", "p", "p (Holm)"), cells)


def _number(p: float | None) -> str:
    return "none" if p is None else f"{p:.3f}"


def _uniform(sampler: str) -> str:
    """The sampler as a pair, where it is a named one with uniform targets."""
    name, _, options = sampler.partition(" ")
    return f"uniform+{_UNIFORM[name]} {options}".strip() if name in _UNIFORM else sampler


def _mean(values: Sequence[float | None]) -> float:
    there = [value for value in values if value is not None]
    return fmean(there) if there else -math.inf


def _markdown(first: str, names: Sequence[str], rows: Mapping[str, Sequence[float | None]]) -> str:
    cells = (
        (name, *("none" if value is None else f"{value:+.4f}" for value in (_mean(values), *values)))
        for name, values in rows.items()
    )
    return markdown_table((first, "mean", *names), cells)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write ``overview.md`` beside the tables, and print it."""
    parser = argparse.ArgumentParser(description="what all tables of samplers say together")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("benchmarks/results/samplers"))
    folder: Path = parser.parse_args(arguments).folder
    try:
        text = overview(folder)
    except InputError as error:
        parser.error(str(error))
    (folder / "overview.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
