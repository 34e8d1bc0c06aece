"""How a runner shows itself: a live table with the time that is left, a line per cell, or nothing."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gssl.benchmarks.bench.cell import Cell
from gssl.benchmarks.bench.work import Done
from gssl.results.cells import STATUSES, CellRow

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table


class Display(Protocol):
    """What the runner tells. ``stop`` is called however the work ends."""

    def start(self, cells: Sequence[Cell], rows: Mapping[str, CellRow], workers: int) -> None:
        """Work begins on those cells that are not finished in ``rows``."""

    def started(self, cell: Cell) -> None:
        """A worker begins with a cell."""

    def done(self, done: Done) -> None:
        """A cell has ended."""

    def stop(self) -> None:
        """The work is over."""


class Silent:
    """Shows nothing."""

    def start(self, cells: Sequence[Cell], rows: Mapping[str, CellRow], workers: int) -> None:
        pass

    def started(self, cell: Cell) -> None:
        pass

    def done(self, done: Done) -> None:
        pass

    def stop(self) -> None:
        pass


class Lines(Silent):
    """One line for every cell that ends, for logs.

    Args:
        say: writes a line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._total = self._finished = 0

    def start(self, cells: Sequence[Cell], rows: Mapping[str, CellRow], workers: int) -> None:
        self._total = len(cells)
        self._finished = sum(row.status not in ("pending", "running") for row in rows.values())

    def done(self, done: Done) -> None:
        if done.status in ("taken", "stopped"):
            return
        self._finished += 1
        reason = f": {one_line(shortened(done.message, done.cell.dataset))}" if done.message else ""
        title = one_line(done.cell.title)
        self._say(f"{self._finished}/{self._total} {title}: {done.status} in {done.seconds:.1f} s{reason}")


class LiveBoard(Silent):
    """A live table on standard error: how many cells are in which status, what runs, and the time that is left."""

    def __init__(self) -> None:
        self._estimate = Estimate()
        self._running: dict[str, tuple[Cell, float]] = {}
        self._counts: Counter[str] = Counter()
        self._open: dict[str, Cell] = {}
        self._workers = 1
        self._last = ""
        self._live: Live | None = None

    def start(self, cells: Sequence[Cell], rows: Mapping[str, CellRow], workers: int) -> None:
        from rich.console import Console
        from rich.live import Live

        self._workers = workers
        for cell in cells:
            row = rows.get(cell.key)
            status = row.status if row and row.status != "running" else "pending"
            self._counts[status] += 1
            if row and status == "done":
                self._estimate.add(cell, row.seconds)
            elif status == "pending":
                self._open[cell.key] = cell
        self._live = Live(
            get_renderable=self._table, console=Console(stderr=True), refresh_per_second=1, transient=True
        )
        self._live.start()

    def started(self, cell: Cell) -> None:
        self._running[cell.key] = (cell, time.monotonic())

    def done(self, done: Done) -> None:
        self._running.pop(done.cell.key, None)
        if done.status in ("taken", "stopped") or self._open.pop(done.cell.key, None) is None:
            return
        self._counts[done.status] += 1
        self._counts["pending"] -= 1
        self._last = f"{done.cell.title}: {done.status} {done.message}"
        if done.status == "done":
            self._estimate.add(done.cell, done.seconds)

    def stop(self) -> None:
        if self._live is not None:
            self._live.stop()

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        running = list(self._running.values())
        table = Table.grid(padding=(0, 2))
        counts = ", ".join(f"{self._counts[name]} {name}" for name in STATUSES if self._counts[name] > 0)
        left = self._estimate.left(self._open.values(), self._workers)
        table.add_row("cells", Text(counts))
        table.add_row("time left", Text("unknown yet" if left is None else f"about {duration(left)}"))
        for cell, since in running:
            table.add_row("running", Text(f"{one_line(cell.title)}, {duration(time.monotonic() - since)}"))
        if self._last:
            table.add_row("last", Text(one_line(self._last)[:100]))
        return table


class Estimate:
    """How long cells take, from those that are finished: of the same method and dataset, else of the same dataset."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, ...], list[float]] = {}

    def add(self, cell: Cell, seconds: float) -> None:
        for key in self._keys(cell):
            self._seconds.setdefault(key, []).append(seconds)

    def of(self, cell: Cell) -> float | None:
        """Seconds of one cell; None without experience."""
        return next((statistics.fmean(self._seconds[key]) for key in self._keys(cell) if key in self._seconds), None)

    def left(self, cells: Iterable[Cell], workers: int) -> float | None:
        """Seconds for all of these cells."""
        known = [self.of(cell) for cell in cells]
        if any(seconds is None for seconds in known):
            return None
        return sum(seconds for seconds in known if seconds is not None) / workers

    @staticmethod
    def _keys(cell: Cell) -> list[tuple[str, ...]]:
        return [(cell.method, cell.dataset), (cell.dataset,), ()]


def duration(seconds: float) -> str:
    """A time in words.

    Example:
        >>> duration(7), duration(95), duration(7300)
        ('7 s', '1 min 35 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def shortened(message: str, dataset: str) -> str:
    """A message that stands beside the path of a dataset, with the file's name where it has the path once more.

    Example:
        >>> shortened("/data/mine.npz is damaged: provide it again", "/data/mine.npz")
        'mine.npz is damaged: provide it again'
    """
    path = Path(dataset)
    if len(path.parts) < 2:
        return message
    for spelling in dict.fromkeys((dataset, str(path.absolute()), str(path.resolve()))):
        message = message.replace(spelling, path.name)
    return message


def one_line(text: str) -> str:
    r"""Text that cannot disturb a terminal: control characters become spaces.

    Example:
        >>> one_line("a\x1b[31m\nb")
        'a [31m b'
    """
    return "".join(character if character.isprintable() else " " for character in text)
