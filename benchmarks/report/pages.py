"""Every page of the site as (path, text)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from gssl.benchmarks.report import text
from gssl.benchmarks.report.analysis import ALPHA, BoardStats, Entry
from gssl.benchmarks.report.board_page import BoardPage
from gssl.benchmarks.report.charts import critical_difference
from gssl.benchmarks.report.control import by_finding
from gssl.benchmarks.report.extras import VarianceFile
from gssl.benchmarks.report.gather import Contents
from gssl.benchmarks.report.method_page import Card, card_of
from gssl.benchmarks.report.pictures import convergence, gradient_errors
from gssl.benchmarks.report.run_page import RunPage
from gssl.benchmarks.report.tables import DataTable, pivot, results_table, unfinished_table
from gssl.benchmarks.rows import circumstances
from gssl.benchmarks.stats.agreement import ASSUMED_RUNS
from gssl.common.files import parse_json
from gssl.convergence.record import Trajectory
from gssl.results.store import RunRow

Page = tuple[str, str]


class Pages:
    """Renders the contents; each method yields pages of one kind.

    Args:
        contents: what there is to show.
    """

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        environment = Environment(
            loader=PackageLoader("gssl.benchmarks.report"),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update(
            score=text.score, mean_std=text.mean_std, interval=text.interval, p_value=text.p_value
        )
        environment.filters.update(seconds=text.seconds, memory=text.memory, counted=text.counted)
        environment.globals.update(contents=contents, MARKS=text.MARKS, NONE=text.NONE, ALPHA=ALPHA)
        environment.globals.update(ASSUMED_RUNS=ASSUMED_RUNS)
        self._environment = environment
        self._here, self._below = contents.links, contents.links.at("../")

    def all(self) -> Iterator[Page]:
        """Every page, the front page last: whoever sees it can follow its links."""
        yield from self.runs()
        yield from self.boards()
        yield from self.methods()
        yield from self.environments()
        yield from self.front()

    def runs(self) -> Iterator[Page]:
        template = self._environment.get_template("run.html")
        for stats, entry in self._contents.entries():
            page = RunPage(self._contents, stats, entry)
            yield (
                self._here.cell(entry.cell),
                template.render(page=page, cell=entry.cell, entry=entry, stats=stats, links=self._below),
            )

    def boards(self) -> Iterator[Page]:
        template = self._environment.get_template("board.html")
        for stats in self._contents.boards:
            page = BoardPage(self._contents, stats, self._below)
            yield self._here.board(stats.board), template.render(page=page, stats=stats, links=self._below)

    def methods(self) -> Iterator[Page]:
        template = self._environment.get_template("method.html")
        for name, found in self._by_method.items():
            results = results_table("results", f"Results of {name}", found, self._below, self._contents.cautions)
            yield (
                self._here.method(name),
                template.render(name=name, card=self._cards[name], results=results, links=self._below),
            )

    def environments(self) -> Iterator[Page]:
        template = self._environment.get_template("environment.html")
        rows: dict[str, RunRow] = {}
        for _, entry in self._contents.entries():
            rows.update((row.environment_hash, row) for row in (*entry.cell.rows, *entry.cell.older))
        for digest, row in rows.items():
            yield (
                self._here.environment(digest),
                template.render(digest=digest, settings=_environment_text(row.environment), links=self._below),
            )

    def front(self) -> Iterator[Page]:
        contents = self._contents
        everything = results_table("results", "All results", list(contents.entries()), self._here, contents.cautions)
        if contents.extras.searches:
            yield "searches.html", self._render("searches.html", searches=contents.extras.searches)
        if contents.extras.of_samplers:
            yield "samplers.html", self._render("samplers.html", pictures=self._sampler_pictures())
        if contents.unfinished:
            table = unfinished_table("unfinished", "Cells of suites without a result", contents.unfinished)
            yield "unfinished.html", self._render("unfinished.html", table=table)
        yield "results.html", self._render("results.html", results=everything)
        yield "methods.html", self._render("methods.html", cards=self._cards)
        yield "about.html", self._render("about.html")
        yield "index.html", self._render("index.html", sections=self._sections(), summary=Summary(contents))

    def _render(self, template: str, **values: Any) -> str:
        return self._environment.get_template(template).render(links=self._here, **values)

    def _sections(self) -> list[tuple[str, DataTable]]:
        """Protocol by protocol, the table of variants by datasets."""
        groups: dict[str, list[BoardStats]] = defaultdict(list)
        for stats in self._contents.boards:
            if stats.chosen:
                groups[stats.board.protocol.name].append(stats)
        return [
            (name, pivot(f"protocol-{number}", f"Test scores under {name}", group, self._here, self._contents.cautions))
            for number, (name, group) in enumerate(groups.items())
        ]

    def _sampler_pictures(self) -> list[tuple[str, str, Markup]]:
        """Heading, source and picture of every file that was named."""
        found: list[tuple[str, str, Markup]] = []
        for name, file in self._contents.extras.variances:
            title = f"Gradient error of samplers: {_trained(file)}, batches of {file.batch_size}"
            source = f"gssl variance, {file.draws} draws after {file.warmup} full-batch steps, {name}"
            found.append((title, source, gradient_errors(file, title=title)))
        for name, trainings in self._contents.extras.trainings:
            first = trainings[0]
            for by in ("seconds", "steps"):
                title = f"Convergence against {by}: {_trained(first)}"
                source = f"gssl converge, each sampler at its best setting at equal {by}, {name}"
                found.append((title, source, convergence(trainings, by, title=title)))
        return found

    @cached_property
    def _by_method(self) -> dict[str, list[tuple[BoardStats, Entry]]]:
        found: dict[str, list[tuple[BoardStats, Entry]]] = defaultdict(list)
        for stats, entry in self._contents.entries():
            found[entry.cell.first.method].append((stats, entry))
        return dict(sorted(found.items(), key=lambda item: item[0].lower()))

    @cached_property
    def _cards(self) -> dict[str, Card]:
        return {name: card_of(name, len(found)) for name, found in self._by_method.items()}


class Summary:
    """The numbers at the top of the front page.

    Args:
        contents: what there is to show.
    """

    def __init__(self, contents: Contents) -> None:
        methods = {
            entry.cell.variant: contents.links.method(entry.cell.first.method) for _, entry in contents.entries()
        }
        self.standings = [
            (
                standing,
                critical_difference(
                    standing.ranking, methods, title=f"Critical differences of mean ranks: {standing.title}"
                ),
            )
            for standing in contents.standings
        ]
        self.told = [(stats, by_finding(stats.told)) for stats in contents.boards if stats.told]
        entries = [entry for _, entry in contents.entries()]
        self.cells = len(entries)
        self.methods = len({entry.cell.first.method for entry in entries})
        self.datasets = len({entry.cell.first.dataset for entry in entries})
        self.warned = len(contents.cautions)
        self.open = sum(entry.cell.status != "done" for entry in entries)
        self.off = sum(entry.mark in ("above", "below") for entry in entries)
        self.compared = sum(entry.mark in ("agrees", "above", "below") for entry in entries)
        commits = {row.git_hash for entry in entries for row in entry.cell.done}
        self.commits = len(commits)
        self.dirty = sum(commit.endswith("+") for commit in commits)
        self.environments = len({row.environment_hash for entry in entries for row in entry.cell.done})


def _trained(of: VarianceFile | Trajectory) -> str:
    """Method and dataset, with the task and the setting where they are not the usual ones."""
    setting = "" if of.setting == of.method else of.setting
    return ", ".join([f"{of.method} on {of.dataset}", *circumstances(of.task, setting)])


def _environment_text(stored: str) -> str:
    try:
        data = parse_json(stored)
    except ValueError:
        return stored
    return text.settings(data) if isinstance(data, dict) else stored
