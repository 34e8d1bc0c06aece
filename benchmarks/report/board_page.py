"""What the page of one board shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

from gssl.benchmarks.report import text
from gssl.benchmarks.report.analysis import ALPHA, COMPARED, BoardStats, Claim, Entry
from gssl.benchmarks.report.charts import Bar, Spot, intervals, quality_cost
from gssl.benchmarks.report.folders import Projection
from gssl.benchmarks.report.gather import Contents
from gssl.benchmarks.report.links import Links
from gssl.benchmarks.report.pictures import Line, lines, mean_scores, sparkline
from gssl.benchmarks.report.tables import DataTable, results_table
from gssl.benchmarks.stats.cost import pareto_front

_DRAWN = 30  # rows of a picture


@dataclass(frozen=True)
class PValue:
    """An entry of the matrix of paired tests: corrected p-values, number of pairs and difference of the means."""

    t: float | None
    wilcoxon: float | None
    pairs: int
    difference: float

    @property
    def significant(self) -> bool:
        return self.t is not None and self.t <= ALPHA


class BoardPage:
    """Pictures and tables of one board.

    Args:
        contents: of the site.
        stats: the board.
        links: seen from its page.
    """

    compared_at_most = COMPARED

    def __init__(self, contents: Contents, stats: BoardStats, links: Links) -> None:
        self._contents, self._stats, self._links = contents, stats, links
        self.title = f"{stats.board.name}: {stats.board.protocol.name}"
        self.drawn = stats.chosen[:_DRAWN]

    @cached_property
    def results(self) -> DataTable:
        found = [(self._stats, entry) for entry in self._stats.entries]
        cautions = self._contents.cautions
        title = f"Results on {self.title}"
        return results_table("results", title, found, self._links, cautions, board=self._stats.board)

    @cached_property
    def bars(self) -> Markup:
        protocol = self._stats.board.protocol
        unit = text.shown_unit(protocol)
        bars = [self._bar(entry, unit) for entry in self.drawn]
        metric = protocol.measure.name
        axis = f"test {metric} in percent" if protocol.higher_is_better else f"test {metric}, lower is better"
        return intervals(bars, title=f"Test scores on {self.title}", axis=axis) if bars else Markup("")

    def _bar(self, entry: Entry, unit: float) -> Bar:
        spread = entry.spread
        assert spread is not None
        return Bar(
            entry.cell.variant,
            self._links.cell(entry.cell),
            unit * spread.mean,
            None if spread.low is None else unit * spread.low,
            None if spread.high is None else unit * spread.high,
            tuple(unit * score for score in entry.cell.scores.values()),
            tuple((unit * c.published.mean, c.published.source) for c in entry.claims),
            _kind(entry),
            text.mean_std(spread, entry.cell.protocol),
        )

    @cached_property
    def time(self) -> Markup:
        """Quality against seconds of pretraining."""
        return self._against("pretrain_seconds", "pretraining of one seed in seconds, logarithmic")

    @cached_property
    def memory(self) -> Markup:
        """Quality against memory."""
        return self._against("peak_memory_mb", "peak memory in MiB, logarithmic")

    def _against(self, column: str, cost: str) -> Markup:
        protocol = self._stats.board.protocol
        unit, sign = text.shown_unit(protocol), 1 if protocol.higher_is_better else -1
        # What trains nothing costs nothing, which a logarithmic axis has no place for.
        spent: list[tuple[Entry, float, float]] = [
            (entry, entry.cell.mean(column) or 0.0, entry.spread.mean)
            for entry in self._stats.chosen
            if entry.spread is not None and (entry.cell.mean(column) or 0.0) > 0
        ]
        if len(spent) < 2:
            return Markup("")
        fair = [n for n, (entry, _, _) in enumerate(spent) if entry.headline]
        front = {fair[n] for n in pareto_front([(spent[at][1], sign * spent[at][2]) for at in fair])}
        spots = [
            Spot(
                e.cell.variant,
                self._links.cell(e.cell),
                c,
                unit * mean,
                n in front,
                _kind(e),
            )
            for n, (e, c, mean) in enumerate(spent)
        ]
        metric = protocol.measure.name
        return quality_cost(
            spots,
            title=f"Test {metric} against {cost.partition(' in ')[0]} on {self.title}",
            quality=f"test {metric}",
            cost=cost,
            higher=protocol.higher_is_better,
        )

    @cached_property
    def environments(self) -> int:
        """Number of environments that the costs come from."""
        return len({row.environment_hash for entry in self._stats.chosen for row in entry.cell.done})

    @cached_property
    def tests(self) -> list[list[PValue | None]]:
        """Square matrix over the compared entries; None on the diagonal. The difference is row minus column."""
        count = len(self._stats.compared)
        matrix: list[list[PValue | None]] = [[None] * count for _ in range(count)]
        for c in self._stats.comparisons:
            matrix[c.first][c.second] = PValue(c.t_holm, c.wilcoxon_holm, c.pairs, c.difference)
            matrix[c.second][c.first] = PValue(c.t_holm, c.wilcoxon_holm, c.pairs, -c.difference)
        return matrix

    @cached_property
    def claims(self) -> list[tuple[Entry, Claim]]:
        """Published numbers beside ours."""
        return [(entry, claim) for entry in self._stats.entries for claim in entry.claims]

    @cached_property
    def progress(self) -> Markup:
        """Score over epochs of everything whose training looked at one."""
        unit = text.shown_unit(self._stats.board.protocol)
        found = [
            Line(entry.cell.variant, mean_scores(self._contents.files_of(entry.cell).curves, unit))
            for entry in self.drawn
        ]
        title = f"Validation {self._stats.board.protocol.measure.name} over epochs on {self.title}"
        shown = [line for line in found if len(line.points) > 1]
        return lines(shown, title=title, across="epoch", up="validation score")

    @cached_property
    def curves(self) -> list[tuple[Entry, Markup]]:
        """The shape of each training."""
        found = [
            (entry, sparkline(self._contents.files_of(entry.cell).curves, title=f"Loss of {entry.cell.variant}"))
            for entry in self.drawn
        ]
        return [(entry, picture) for entry, picture in found if picture]

    @cached_property
    def collapse(self) -> list[tuple[Entry, Projection]]:
        """Signs of collapse of the first seed of each."""
        found = self._contents.projections
        return [(entry, found[entry.cell.id]) for entry in self._stats.chosen if entry.cell.id in found]

    @cached_property
    def collapsed(self) -> set[str]:
        """Ids of cells whose embeddings have collapsed."""
        told = self._contents.cautions
        return {cell for cell, found in told.items() if any(caution.kind == "collapsed" for caution in found)}


def _kind(entry: Entry) -> str:
    """How a row is drawn."""
    return "reference" if entry.cell.is_reference else "apart" if entry.lacks else "ours"
