"""What the page of one run shows."""

from __future__ import annotations

from functools import cached_property

from markupsafe import Markup

from gssl.benchmarks.report import text
from gssl.benchmarks.report.analysis import BoardStats, Entry
from gssl.benchmarks.report.cells import Measure
from gssl.benchmarks.report.command import commands
from gssl.benchmarks.report.folders import Projection, RunFiles
from gssl.benchmarks.report.gather import Contents, labels_at_hand
from gssl.benchmarks.report.pictures import scatter, training_curves
from gssl.benchmarks.report.short_command import short_commands
from gssl.benchmarks.stats.spread import Spread


class RunPage:
    """A cell, its seeds and its folders.

    Args:
        contents: of the site.
        stats: the board of the cell.
        entry: the cell.
    """

    def __init__(self, contents: Contents, stats: BoardStats, entry: Entry) -> None:
        self._entry = entry
        self._title = f"{entry.cell.variant} on {stats.board.dataset}"
        self.files: RunFiles = contents.files_of(entry.cell)
        self.cautions = contents.cautions.get(entry.cell.id, ())
        self.projection: Projection | None = contents.projections.get(entry.cell.id)

    @property
    def title(self) -> str:
        return self._title

    @cached_property
    def metrics(self) -> list[tuple[Measure, Spread | None, Spread | None]]:
        """Each metric with its validation and test values; none unless there are several."""
        found = self._entry.cell.metrics
        return [(measure, *values) for measure, values in found.items()] if len(found) > 1 else []

    @cached_property
    def short_commands(self) -> list[str]:
        """What repeats the run, by its preset and what differs."""
        cell = self._entry.cell
        return short_commands(cell.first, cell.config, [row.seed for row in cell.rows])

    @cached_property
    def commands(self) -> list[str]:
        """What repeats the run, with every option."""
        return commands(self._entry.cell.config, [row.seed for row in self._entry.cell.rows])

    @cached_property
    def settings(self) -> str:
        """The configuration, a line for each option."""
        return text.settings(self._entry.cell.config) or self._entry.cell.first.config

    @cached_property
    def curves(self) -> Markup:
        """Loss of every seed."""
        return training_curves(self.files.curves, title=f"Training of {self._title}")

    @cached_property
    def coloured(self) -> bool:
        """Whether the classes of the items are known here."""
        found = labels_at_hand(self._entry.cell.first.dataset)
        return self.projection is not None and found is not None and len(found) == self.projection.items

    @cached_property
    def scatter(self) -> Markup:
        """Embeddings in two dimensions."""
        if self.projection is None:
            return Markup("")
        labels = labels_at_hand(self._entry.cell.first.dataset) if self.coloured else None
        return scatter(self.projection, labels, title=f"Embeddings of {self._title}, two principal components")
