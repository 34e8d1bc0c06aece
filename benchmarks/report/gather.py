"""From stored rows and run folders to everything that the pages show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gssl.benchmarks.publications import Published
from gssl.benchmarks.report.analysis import BoardStats, Entry, Standing, analyse, standings
from gssl.benchmarks.report.cautions import Caution, cautions
from gssl.benchmarks.report.cells import Board, Cell, boards_of, cells_of
from gssl.benchmarks.report.comparable import seeds_of_suites
from gssl.benchmarks.report.extras import Extras
from gssl.benchmarks.report.folders import Projection, RunFiles, projection, run_files
from gssl.benchmarks.report.links import Links
from gssl.common.errors import InputError
from gssl.datasets.catalog import find_spec
from gssl.datasets.load import load_dataset
from gssl.datasets.store import Store as DataStore
from gssl.results.cells import UNFINISHED, CellRow
from gssl.results.store import RunRow

_MOST_LABELS = 200_000  # items of a dataset that is loaded for the colours of a picture
_NO_FILES = RunFiles()


@dataclass(frozen=True)
class Contents:
    """All that the site shows.

    Attributes:
        boards: analysed, by dataset within each protocol.
        standings: rankings over datasets.
        files: of each cell that has any, by id.
        projections: of some cells, by id.
        cautions: what results are to be shown with, by cell; only those that have any.
        extras: files that the user named.
        unfinished: cells of suites that ended without a result: failed, skipped, timed out or out of memory.
        rows: how many rows the store has.
        source: the store, without a password.
        date: when the page was made, in UTC.
    """

    boards: tuple[BoardStats, ...]
    standings: tuple[Standing, ...]
    files: dict[str, RunFiles]
    projections: dict[str, Projection]
    cautions: dict[str, tuple[Caution, ...]]
    extras: Extras
    unfinished: tuple[CellRow, ...]
    rows: int
    source: str
    date: str
    links: Links = field(repr=False)

    def entries(self) -> Iterator[tuple[BoardStats, Entry]]:
        """Every cell with its board."""
        return ((stats, entry) for stats in self.boards for entry in stats.entries)

    def files_of(self, cell: Cell) -> RunFiles:
        return self.files.get(cell.id, _NO_FILES)


def gather(
    rows: Sequence[RunRow],
    numbers: Sequence[Published],
    extras: Extras,
    *,
    suite_cells: Sequence[CellRow],
    projections: int,
    source: str,
    date: str,
) -> Contents:
    """Group, analyse, and read the folders that are there.

    Args:
        rows: of the store, at least one, oldest first.
        numbers: published ones.
        extras: files that the user named.
        suite_cells: all cells of suites.
        projections: cells whose embeddings are read at most; those that stand for their variant come first.
        source: where the rows are from.
        date: when the page is made.
    """
    boards = boards_of(cells_of(rows))
    boards.sort(key=_place)
    stats = tuple(analyse(boards, numbers, seeds_of_suites(suite_cells)))
    everyone = [entry for board in stats for entry in board.entries]
    files = {entry.cell.id: run_files(entry.cell.rows) for entry in everyone}
    found: dict[str, Projection] = {}
    for entry in sorted(everyone, key=lambda entry: not entry.chosen):
        if len(found) == projections:
            break
        here = files[entry.cell.id]
        try:
            picture = projection(entry.cell.done[0]) if here.curves and entry.cell.done else None
        except (OSError, ValueError) as error:  # as an InputError is
            files[entry.cell.id] = replace(here, faults=(*here.faults, f"the embeddings are left out: {error}"))
            continue
        if picture is not None:
            found[entry.cell.id] = picture
    ranked = tuple(standings(stats))
    warned = {entry.cell.id: cautions(entry, found.get(entry.cell.id)) for entry in everyone}
    warned = {cell: told for cell, told in warned.items() if told}
    ended = sorted(
        (cell for cell in suite_cells if cell.status in UNFINISHED),
        key=lambda cell: (cell.method.lower(), cell.dataset.lower(), cell.seed, cell.key),
    )
    links = Links(boards)
    return Contents(stats, ranked, files, found, warned, extras, tuple(ended), len(rows), source, date, links)


def _place(board: Board) -> tuple[object, ...]:
    """The usual task and setting come first."""
    protocol = board.protocol
    return protocol.circumstances, protocol.name, protocol.options, board.dataset.lower(), board.part


@cache
def labels_at_hand(dataset: str) -> NDArray[np.int64] | None:
    """Classes of the items of a dataset that can be had without a download; None otherwise."""
    spec = find_spec(dataset)
    if spec is None or spec.kind != "multiclass" or spec.family == "generator":
        return None
    if spec.family != "offline" and not any(_raw(place, spec.family, spec.name) for place in DataStore.locate().places):
        return None
    try:
        labels = load_dataset(spec.name).labels
    except InputError:
        return None
    if labels is None or labels.y.ndim != 1 or len(labels.y) > _MOST_LABELS:
        return None
    return np.asarray(labels.y.numpy(), dtype=np.int64)


def _raw(place: Path, family: str, name: str) -> bool:
    folder = place / family
    return folder.is_dir() and any(entry.name.lower() == name.lower() for entry in folder.iterdir())
