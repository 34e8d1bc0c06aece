"""Kills suites, runs, searches and reports at random points, and checks that nothing was lost or done twice.

Each command runs once undisturbed. Then it is given again and again in new folders, and at random times one of its
processes gets a SIGKILL; a killed command is given again. After every kill, and at the end, what it has stored is
looked at::

    python -m gssl.benchmarks.crash --kills 200 --out benchmarks/results/robustness/kills.json

What was found until then is written after every round.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from gssl.benchmarks.crash import reports, runs, searches, suites
from gssl.benchmarks.crash.findings import Findings
from gssl.benchmarks.crash.round import Round
from gssl.benchmarks.perf.machine import describe

SHARES = {"suites": 0.4, "runs": 0.25, "searches": 0.2, "reports": 0.15}
# Kills in the time of an undisturbed command. A search gives values up that three processes died over, so it gets few.
_PER_ROUND = {"suites": 10, "runs": 3, "searches": 1.5, "reports": 2}
_UNITS = {"suites": suites.UNITS, "runs": runs.UNITS, "searches": searches.UNITS, "reports": reports.UNITS}
Make = Callable[[Path, int], Round]  # from a folder and the number of the round


def disturb(what: str, *, kills: int, workers: int, seed: int, folder: Path) -> Iterator[Findings]:
    """The test of one kind of command.

    Args:
        what: a key of ``SHARES``.
        kills: how many there are to be.
        workers: of suites and of every second search.
        seed: of the choice of victims and times.
        folder: for everything that is written; a round's part is removed after it.

    Yields:
        What was found so far, after every round.
    """
    rng, findings = random.Random(f"{what} {seed}"), Findings(_UNITS[what])
    make, seconds = _prepared(what, workers, folder, findings)
    while findings.kills.total() < kills:
        begin, place = time.monotonic(), folder / f"round-{findings.rounds}"
        _place(what, place, folder)
        make(place, findings.rounds).disturbed(kills, rng, seconds / _PER_ROUND[what])
        shutil.rmtree(place)
        findings.seconds += time.monotonic() - begin
        yield findings


def _prepared(what: str, workers: int, folder: Path, findings: Findings) -> tuple[Make, float]:
    """What makes a round, and the seconds of an undisturbed one."""
    calm, nothing = folder / "calm", Findings("")
    _place(what, calm, folder)
    if what == "suites":
        suite = suites.SuiteRound(calm, workers, nothing)
        seconds = suite.undisturbed()
        scores = suite.scores()
        return lambda place, number: suites.SuiteRound(place, workers, findings, scores), seconds
    if what == "runs":
        run = runs.RunRound(calm, nothing)
        seconds = run.undisturbed()
        results = run.results()
        return lambda place, number: runs.RunRound(place, findings, results), seconds
    if what == "searches":
        search = searches.SearchRound(calm, 1, nothing)
        seconds = search.undisturbed()
        found = search.found()
        return lambda place, n: searches.SearchRound(place, workers if n % 2 else 1, findings, found), seconds
    report = reports.ReportRound(calm, nothing)
    seconds = report.undisturbed()
    pages = report.pages()
    return lambda place, number: reports.ReportRound(place, findings, pages), seconds


def _place(what: str, place: Path, folder: Path) -> None:
    """A new folder; that of a report has results and, but for the first, a page."""
    if what != "reports":
        place.mkdir(parents=True)
    elif place.name == "calm":
        place.mkdir(parents=True)
        reports.prepare(place)
    else:
        shutil.copytree(folder / "calm", place)


def shares(kills: int, chosen: Sequence[str]) -> Iterator[tuple[str, int]]:
    """How many kills each kind of command gets."""
    total = sum(SHARES[what] for what in chosen)
    for what in chosen:
        yield what, max(1, round(kills * SHARES[what] / total))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the test and write what it found."""
    parser = argparse.ArgumentParser(prog="python -m gssl.benchmarks.crash", description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--only", choices=SHARES, action="append", help="kinds of commands; may be repeated")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON file for what was found")
    options = parser.parse_args(arguments)
    found: dict[str, Findings] = {}
    with tempfile.TemporaryDirectory() as folder:
        how = {"workers": options.workers, "seed": options.seed}
        waiting = {
            what: disturb(what, kills=kills, folder=Path(folder) / what, **how)
            for what, kills in shares(options.kills, options.only or list(SHARES))
        }
        while waiting:  # a round of each in turn, so that a test that is stopped has seen all of them
            for what, rounds in list(waiting.items()):
                findings = next(rounds, None)
                if findings is None:
                    del waiting[what]
                    continue
                found[what] = findings
                _write(found, options)
    Console().print(_text(found, options), markup=False)
    return 0 if all(findings.holds for findings in found.values()) else 1


def _write(found: dict[str, Findings], options: argparse.Namespace) -> None:
    if options.out:
        options.out.write_text(_text(found, options), encoding="utf-8")


def _text(found: dict[str, Findings], options: argparse.Namespace) -> str:
    data: dict[str, Any] = {what: findings.mapping() for what, findings in found.items()}
    total = sum(findings.kills.total() for findings in found.values())
    how = {"workers": options.workers, "seed": options.seed, "machine": describe(1)}
    return json.dumps({"kills": total, **data, **how}, indent=2) + "\n"


if __name__ == "__main__":
    sys.exit(main())
