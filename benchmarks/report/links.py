"""Where each thing has its page."""

from __future__ import annotations

from collections.abc import Iterable

from gssl.benchmarks.report.cells import Board, Cell
from gssl.benchmarks.report.text import slug


class Links:
    """Addresses relative to the page that is written.

    Args:
        boards: all of them, so that no two share a file.
        root: what leads from the page to the folder of the site: empty or ``../``.
    """

    def __init__(self, boards: Iterable[Board], root: str = "") -> None:
        self.root = root
        self._boards: dict[Board, str] = {}
        taken: set[str] = set()
        for board in boards:
            protocol = board.protocol
            parts = (board.dataset, protocol.probe, f"v{protocol.version}", protocol.metric, *protocol.circumstances)
            stem = slug("-".join(parts))
            name, number = stem, 1
            while name.lower() in taken:  # other options of the probe, other splits, or names that differ in case
                number += 1
                name = f"{stem}-{number}"
            taken.add(name.lower())
            self._boards[board] = name

    def at(self, root: str) -> Links:
        """The same addresses seen from another folder."""
        other = Links((), root)
        other._boards = self._boards
        return other

    def cell(self, cell: Cell) -> str:
        return f"{self.root}runs/{cell.id}.html"

    def board(self, board: Board) -> str:
        return f"{self.root}boards/{self._boards[board]}.html"

    def method(self, name: str) -> str:
        return f"{self.root}methods/{slug(name)}.html"

    def environment(self, digest: str) -> str:
        return f"{self.root}environments/{slug(digest)}.html"
