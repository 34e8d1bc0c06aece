"""What the page says about each board and each ranking; everything is computed here, templates only show it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from gssl.benchmarks.publications import Published
from gssl.benchmarks.report.cells import Board, Cell
from gssl.benchmarks.report.comparable import Length, Terms, chosen, lengths_of, shortcomings, terms_of
from gssl.benchmarks.report.control import Told, against_untrained
from gssl.benchmarks.rows import amount
from gssl.benchmarks.stats.agreement import Agreement, Verdict, agreement
from gssl.benchmarks.stats.cost import pareto_front
from gssl.benchmarks.stats.paired import Comparison, compare_all
from gssl.benchmarks.stats.ranks import Ranking, ranking
from gssl.benchmarks.stats.spread import Spread, spreads
from gssl.datasets.catalog import find_spec

COMPARED = 20  # variants in the paired tests of one board: more cannot be read, and weaken each other's correction
ALPHA = 0.05
UNTRAINED = ("raw", "untrained")  # what a trained method has to beat
_SAME_METRIC = {"micro_f1": "accuracy"}  # of one label out of several they are the same number


Mark = Verdict | Literal["short"]


@dataclass(frozen=True)
class Claim:
    """A published number beside one of ours."""

    published: Published
    agreement: Agreement


@dataclass(frozen=True)
class Entry:
    """A cell with its statistics.

    Attributes:
        cell: whose they are.
        spread: of its test scores over seeds; None without a finished seed.
        claims: published numbers for the same method, dataset and probe.
        mark: ``agrees`` if it agrees with one of the claims that were checked furthest, else ``above`` or ``below``;
            ``unknown`` if our noise is unknown; ``short`` if it was cut to fewer epochs than its preset, which makes it
            no attempt at the published number; None without a claim.
        chosen: whether it stands for its variant.
        on_front: no other headline is as fast and better, or faster and as good.
        length: how long it was to train.
        lacks: why it cannot be compared with the others, in words; nothing for a headline.
        below: untrained reference rows of the same board that it is worse than, with their spread.
    """

    cell: Cell
    spread: Spread | None
    claims: tuple[Claim, ...]
    mark: Mark | None
    chosen: bool
    on_front: bool
    length: Length
    lacks: tuple[str, ...] = ()
    below: tuple[tuple[str, Spread], ...] = ()

    @property
    def headline(self) -> bool:
        """Whether it stands for its variant, with seeds and budget that are comparable with the others'."""
        return self.chosen and not self.lacks


@dataclass(frozen=True)
class BoardStats:
    """A board, analysed.

    Attributes:
        board: which.
        entries: one for each cell, best mean test score first, those without one last.
        compared: chosen entries that went into the paired tests.
        comparisons: between them, by position.
        unmatched: published numbers for methods that have no cell here.
        terms: what a headline needs.
    """

    board: Board
    entries: tuple[Entry, ...]
    compared: tuple[Entry, ...]
    comparisons: tuple[Comparison, ...]
    unmatched: tuple[Published, ...]
    terms: Terms

    @cached_property
    def chosen(self) -> list[Entry]:
        """One entry for each variant, best mean test score first; see :attr:`Entry.headline`."""
        return [entry for entry in self.entries if entry.chosen]

    @cached_property
    def headlines(self) -> list[Entry]:
        """Those of them that can be compared with each other."""
        return [entry for entry in self.chosen if entry.headline]

    @cached_property
    def best(self) -> Entry | None:
        """The best headline that is not a reference row."""
        return next((entry for entry in self.headlines if not entry.cell.is_reference), None)

    @cached_property
    def level_with_best(self) -> set[str]:
        """Ids of compared cells that the corrected paired t test cannot tell from the best one."""
        if self.best is None or self.best not in self.compared:
            return set()
        top = self.compared.index(self.best)
        return {
            self.compared[c.second if c.first == top else c.first].cell.id
            for c in self.comparisons
            if top in (c.first, c.second)
            and c.pairs > 1
            and _not_told_apart(c)
            and self.compared[c.second if c.first == top else c.first].headline
        }

    @cached_property
    def told(self) -> tuple[Told, ...]:
        """The headlines beside the untrained encoder."""
        cells = [entry.cell for entry in self.headlines if entry.spread is not None]
        return against_untrained(cells, alpha=ALPHA, higher_is_better=self.board.protocol.higher_is_better)


def _not_told_apart(comparison: Comparison) -> bool:
    """Whether the two cannot be told apart; differences that are all alike have no t test, but ranks."""
    p = comparison.wilcoxon_holm if comparison.t_holm is None else comparison.t_holm
    return p is None or p > ALPHA


@dataclass(frozen=True)
class Standing:
    """Methods ranked over several boards.

    Attributes:
        title: which boards.
        ranking: of the variants over datasets.
        boards: where the scores of each dataset of the ranking are.
    """

    title: str
    ranking: Ranking
    boards: tuple[BoardStats, ...]


def analyse(
    boards: Sequence[Board], numbers: Iterable[Published], suite_seeds: Mapping[str, int] | None = None
) -> list[BoardStats]:
    """Statistics of every board.

    Args:
        boards: what to analyse.
        numbers: published ones.
        suite_seeds: for each dataset the most seeds that a suite asks for there.
    """
    asked = suite_seeds or {}
    cells = [cell for board in boards for cell in board.cells if cell.done]
    by_cell = dict(zip((cell.id for cell in cells), spreads([list(c.scores.values()) for c in cells]), strict=True))
    claims: dict[tuple[str, str], list[Published]] = defaultdict(list)
    for number in numbers:
        claims[number.dataset, number.probe].append(number)
    return [
        _board_stats(
            board,
            by_cell,
            [n for n in claims[board.dataset, board.protocol.probe] if _same(n, board)],
            asked.get(board.dataset, 0),
        )
        for board in boards
    ]


def standings(boards: Sequence[BoardStats]) -> list[Standing]:
    """Rankings over the datasets of each protocol, and over all datasets of a level where they have several protocols.

    A dataset counts once: of several boards the one with the most headlines, which alone are ranked, reference rows
    among them.
    """
    groups: dict[str, list[BoardStats]] = defaultdict(list)
    levels: dict[str, list[BoardStats]] = defaultdict(list)
    for stats in boards:
        groups[stats.board.protocol.name].append(stats)
        levels[", ".join([_level(stats.board.dataset), *stats.board.protocol.circumstances])].append(stats)
    for level, members in levels.items():
        if len({stats.board.protocol for stats in members}) > 1:
            groups[f"{level}, all protocols"] = members
    found = []
    for title, members in groups.items():
        by_dataset = _widest(members)
        result = ranking({name: _scores(stats) for name, stats in by_dataset.items()}, alpha=ALPHA)
        if result is not None and len(result.datasets) > 1:
            found.append(Standing(title, result, tuple(by_dataset[name] for name in result.datasets)))
    return found


def mark_of(claims: Sequence[Claim]) -> Verdict | None:
    """One word for several claims: see :class:`Entry`. Numbers read at their source outrank copies."""
    for status in ("verified", "second-hand", "from memory"):
        part = [claim.agreement for claim in claims if claim.published.status == status]
        if part:
            if any(a.verdict == "agrees" for a in part):
                return "agrees"
            return min(part, key=lambda a: abs(a.difference)).verdict
    return None


def _board_stats(
    board: Board, by_cell: Mapping[str, Spread], numbers: Sequence[Published], suite_seeds: int
) -> BoardStats:
    sign = 1 if board.protocol.higher_is_better else -1
    lengths = lengths_of(board)
    terms = terms_of(board, lengths, suite_seeds)
    lacks = {cell.id: shortcomings(cell, lengths[cell.id], terms) for cell in board.cells}
    standing_for = chosen(board, lengths, terms)
    shown = {cell.id for cell in standing_for.values()}
    headlines = [cell for cell in standing_for.values() if not lacks[cell.id]]
    points = [(cell.mean("pretrain_seconds") or 0.0, sign * by_cell[cell.id].mean) for cell in headlines]
    front = {headlines[index].id for index in pareto_front(points)}
    floor = [(name, by_cell[standing_for[name].id]) for name in UNTRAINED if name in standing_for]
    entries = []
    for cell in board.cells:
        spread, length = by_cell.get(cell.id), lengths[cell.id]
        claims = () if spread is None else _claims(cell, spread, numbers)
        mark: Mark | None = "short" if claims and length.cut else mark_of(claims)
        below = () if spread is None or cell.first.method in UNTRAINED else _below(spread, floor, sign)
        entries.append(
            Entry(cell, spread, claims, mark, cell.id in shown, cell.id in front, length, lacks[cell.id], below)
        )
    entries.sort(key=lambda entry: (entry.spread is None, -sign * entry.spread.mean if entry.spread else 0.0))
    compared = tuple(entry for entry in entries if entry.chosen)[:COMPARED]
    methods = {cell.first.method.lower() for cell in board.cells}
    return BoardStats(
        board,
        tuple(entries),
        compared,
        tuple(compare_all([entry.cell.scores for entry in compared])),
        tuple(number for number in numbers if number.method.lower() not in methods),
        terms,
    )


def _below(spread: Spread, floor: Sequence[tuple[str, Spread]], sign: int) -> tuple[tuple[str, Spread], ...]:
    """Reference rows that a score is worse than."""
    return tuple((name, reference) for name, reference in floor if sign * spread.mean < sign * reference.mean)


def _claims(cell: Cell, spread: Spread, numbers: Sequence[Published]) -> tuple[Claim, ...]:
    return tuple(
        Claim(number, agreement(spread, number.mean, number.std, number.runs))
        for number in numbers
        if number.method.lower() == cell.first.method.lower()
    )


def _same(number: Published, board: Board) -> bool:
    protocol = board.protocol
    ours, theirs = (_SAME_METRIC.get(name, name) for name in (protocol.metric, number.metric))
    circumstances = (number.task, number.setting, amount(number.labels))
    return ours == theirs and circumstances == (protocol.task, protocol.setting, protocol.labels)


def _widest(members: Sequence[BoardStats]) -> dict[str, BoardStats]:
    """For each dataset the board with the most headlines; datasets without one are left out."""
    found: dict[str, BoardStats] = {}
    for stats in members:
        known = found.get(stats.board.dataset)
        if stats.headlines and (known is None or len(stats.headlines) > len(known.headlines)):
            found[stats.board.dataset] = stats
    return found


def _scores(stats: BoardStats) -> dict[str, float]:
    """Variant to mean test score, turned so that higher is better."""
    sign = 1 if stats.board.protocol.higher_is_better else -1
    return {entry.cell.variant: sign * entry.spread.mean for entry in stats.headlines if entry.spread is not None}


def _level(dataset: str) -> str:
    try:
        spec = find_spec(dataset)
    except ValueError:  # a name that the catalogue cannot even parse
        spec = None
    return {"node": "Node datasets", "graph": "Graph datasets"}.get(spec.level, "") if spec else "Other datasets"
