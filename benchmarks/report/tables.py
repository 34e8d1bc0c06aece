"""Tables that can be sorted and filtered in the browser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gssl.benchmarks.report.analysis import BoardStats, Entry
from gssl.benchmarks.report.cautions import Caution
from gssl.benchmarks.report.cells import Board, Measure
from gssl.benchmarks.report.comparable import Terms
from gssl.benchmarks.report.links import Links
from gssl.benchmarks.report.text import MARKS, NONE, counted, interval, mean_std, memory, score, seconds
from gssl.benchmarks.stats.spread import Spread
from gssl.results.cells import CellRow

PAGE = 100  # rows that the script shows at a time
FIRST = 25  # rows that stand in the page itself where there are more than that; the script brings the others


@dataclass(frozen=True)
class Column:
    """Head of a column.

    Attributes:
        title: what it says.
        numeric: aligned to the right, and sorted from the highest first.
        filtered: whether its values can be chosen from a list.
        href: where the head itself leads.
    """

    title: str
    numeric: bool = False
    filtered: bool = False
    href: str = ""


@dataclass(frozen=True)
class Item:
    """One entry of a table.

    Attributes:
        text: what it says.
        key: what it is sorted by; None sorts it last.
        href: where it leads.
        kind: class for the style sheet.
        note: said after the text, for readers of the screen too.
        small: a second line below it.
    """

    text: str
    key: float | str | None = None
    href: str = ""
    kind: str = ""
    note: str = ""
    small: str = ""

    def packed(self) -> list[object]:
        """For the script in the page: the fields in order, without empty ones at the end."""
        fields: list[object] = [self.text, self.key, self.href, self.kind, self.note, self.small]
        while len(fields) > 1 and fields[-1] in ("", None):
            fields.pop()
        return fields


@dataclass(frozen=True)
class Line:
    """A row; reference rows stay below the others however the table is sorted."""

    items: tuple[Item, ...]
    reference: bool = False


@dataclass(frozen=True)
class DataTable:
    """A table with an id that is unique in its page."""

    id: str
    caption: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]

    @property
    def own(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if not line.reference)[: self._first]

    @property
    def references(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.reference)[: self._first]

    @property
    def _first(self) -> int:
        return FIRST if len(self.lines) > PAGE else PAGE

    def packed(self) -> list[list[object]]:
        """All rows for the script: whether it is a reference row, then the items."""
        return [[int(line.reference), *(item.packed() for item in line.items)] for line in self.lines]


Cautions = Mapping[str, tuple[Caution, ...]]


def results_table(
    name: str,
    caption: str,
    found: Sequence[tuple[BoardStats, Entry]],
    links: Links,
    cautions: Cautions,
    *,
    board: Board | None = None,
) -> DataTable:
    """One row for each cell.

    Args:
        name: id of the table.
        caption: of the table.
        found: cells with their boards.
        links: where things are.
        cautions: what results are to be shown with, by cell.
        board: whose cells they all are, the metrics of which get columns; None for cells of several boards, which are
            then named.
    """
    further = [] if board is None else board.further
    columns = [
        Column("method", filtered=True),
        *([Column("dataset", filtered=True), Column("protocol", filtered=True)] if board is None else []),
        Column("test" if board is None else f"test {board.protocol.measure.title}", numeric=True),
        Column("95 % interval", numeric=True),
        Column("validation", numeric=True),
        *(Column(measure.title, numeric=True) for measure in further),
        Column("seeds", numeric=True),
        Column("epochs", numeric=True),
        Column("comparable", filtered=True),
        Column("warning", filtered=True),
        Column("published", filtered=True),
        Column("encoder", filtered=True),
        Column("width"),
        Column("sampler", filtered=True),
        Column("preset"),
        Column("pretraining", numeric=True),
        Column("peak memory", numeric=True),
        Column("status", filtered=True),
        Column("configuration"),
    ]
    lines = tuple(
        Line(_result_items(stats, entry, links, cautions, further, across=board is None), entry.cell.is_reference)
        for stats, entry in found
    )
    return DataTable(name, caption, tuple(columns), lines)


def _result_items(
    stats: BoardStats, entry: Entry, links: Links, cautions: Cautions, further: Sequence[Measure], *, across: bool
) -> tuple[Item, ...]:
    cell, protocol, spread = entry.cell, entry.cell.protocol, entry.spread
    run, row = links.cell(cell), entry.cell.first
    board = links.board(stats.board)
    where = (Item(stats.board.name, href=board), Item(protocol.name, href=board)) if across else ()
    mean, low = (None, None) if spread is None else (spread.mean, spread.low)
    time, peak = cell.mean("pretrain_seconds"), cell.mean("peak_memory_mb")
    warning = _warning(cautions.get(cell.id, ()))
    return (
        Item(row.method, href=links.method(row.method)),
        *where,
        Item(mean_std(spread, protocol), mean, run),
        Item(interval(spread, protocol), low, run if low is not None else ""),
        Item(score(cell.val, protocol), cell.val, run if cell.val is not None else ""),
        *(_further_item(cell.metrics.get(measure, (None, None))[1], measure, run) for measure in further),
        Item(str(len(cell.done)), len(cell.done), run),
        Item(str(row.epochs), row.epochs, small=entry.length.cut),
        Item("no", kind="apart", small=", ".join(entry.lacks)) if entry.lacks else Item("yes"),
        Item(warning, href=run, kind="open") if warning else Item(NONE),
        Item(MARKS[entry.mark], href=f"{board}#published", kind=entry.mark) if entry.mark else Item(NONE),
        Item(row.encoder),
        Item(cell.width or NONE),
        Item(row.sampler),
        Item(row.preset or NONE),
        Item(seconds(time), time, run if time is not None else ""),
        Item(memory(peak), peak, run if peak is not None else ""),
        Item(cell.status, href=run, kind="done" if cell.status == "done" else "open"),
        Item(row.config_hash[:8], href=run),
    )


def _further_item(found: Spread | None, measure: Measure, run: str) -> Item:
    return Item(NONE) if found is None else Item(mean_std(found, measure), found.mean, run)


def unfinished_table(name: str, caption: str, found: Sequence[CellRow]) -> DataTable:
    """One row for each cell of a suite that ended without a result, with the reason."""
    columns = (
        Column("method", filtered=True),
        Column("dataset", filtered=True),
        Column("suite", filtered=True),
        Column("seed", numeric=True),
        Column("status", filtered=True),
        Column("time", numeric=True),
        Column("time limit", numeric=True),
        Column("memory limit", numeric=True),
        Column("attempts", numeric=True),
        Column("message"),
    )
    lines = tuple(Line(_unfinished_items(cell)) for cell in found)
    return DataTable(name, caption, columns, lines)


def _unfinished_items(cell: CellRow) -> tuple[Item, ...]:
    return (
        Item(cell.method),
        Item(cell.dataset),
        Item(cell.suite),
        Item(str(cell.seed), cell.seed),
        Item(cell.status, kind="open"),
        Item(seconds(cell.seconds), cell.seconds),
        Item(seconds(cell.time_limit), cell.time_limit),
        Item(memory(cell.memory_limit), cell.memory_limit),
        Item(str(cell.attempts), cell.attempts),
        Item(cell.message or NONE),
    )


def _warning(found: Sequence[Caution]) -> str:
    return f"⚠ {', '.join(caution.kind for caution in found)}" if found else ""


def pivot(name: str, caption: str, boards: Sequence[BoardStats], links: Links, cautions: Cautions) -> DataTable:
    """Variants by datasets: the score of the cell that stands for each, the best in every column marked.

    Below each score stands how it came about: seeds, epochs, encoder and width.
    """
    variants: dict[str, bool] = {}
    for stats in boards:
        variants.update((entry.cell.variant, entry.cell.is_reference) for entry in stats.chosen)
    by_board = [{entry.cell.variant: entry for entry in stats.chosen} for stats in boards]
    lines = [
        Line(
            (
                Item(variant, href=links.method(next(e[variant] for e in by_board if variant in e).cell.first.method)),
                *(
                    _pivot_item(stats, entries.get(variant), links, cautions)
                    for stats, entries in zip(boards, by_board, strict=True)
                ),
            ),
            reference,
        )
        for variant, reference in variants.items()
    ]
    columns = (Column("method"), *(Column(s.board.name, numeric=True, href=links.board(s.board)) for s in boards))
    return DataTable(name, caption, columns, tuple(lines))


def _pivot_item(stats: BoardStats, entry: Entry | None, links: Links, cautions: Cautions) -> Item:
    if entry is None or entry.spread is None:
        return Item(NONE)
    kind, note = ("apart", "not comparable") if entry.lacks else ("", "")
    if entry is stats.best:
        kind, note = "best", "best"
    elif entry.cell.id in stats.level_with_best and not entry.cell.is_reference:
        kind, note = "level", "not told apart from the best"
    if entry.mark in ("above", "below"):
        note = f"{note}, {entry.mark} the published number" if note else f"{entry.mark} the published number"
        kind = f"{kind} {entry.mark}".strip()
    score = mean_std(entry.spread, stats.board.protocol)
    warning = _warning(cautions.get(entry.cell.id, ()))
    small = " · ".join(part for part in (warning, *_how(entry, stats.terms)) if part)
    return Item(score, entry.spread.mean, links.cell(entry.cell), kind, note, small)


def _how(entry: Entry, terms: Terms) -> Iterator[str]:
    """Seeds, epochs, encoder and width of a cell."""
    cell, seeds = entry.cell, len(entry.cell.done)
    yield f"{seeds} of {terms.seeds} seeds" if seeds < terms.seeds else counted(seeds, "seed")
    if cell.first.method != "raw":
        if cell.first.method != "untrained":
            epochs = cell.first.epochs if entry.length.epochs is None else entry.length.epochs
            yield entry.length.cut or counted(epochs, "epoch")
        yield f"{cell.first.encoder} {cell.width}".strip()
