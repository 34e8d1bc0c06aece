"""How training shows itself: not at all, or as a live line on standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gssl.training.result import EpochRecord

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Display
    from rich.progress import TaskID


class Progress(Protocol):
    """What the training loop tells a display. ``stop`` is called however training ends."""

    def start(self, epochs: int, done: int) -> None:
        """Training begins; ``done`` of ``epochs`` epochs were finished before an interruption."""

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is over."""

    def stop(self) -> None:
        """Training is over."""


class Quiet:
    """Shows nothing."""

    def start(self, epochs: int, done: int) -> None:
        pass

    def epoch(self, record: EpochRecord) -> None:
        pass

    def stop(self) -> None:
        pass


class RichProgress:
    """A live line on standard error: epochs, rate, loss and the time that is left.

    Args:
        title: what is being trained.
        console: where to draw; standard error by default.
    """

    def __init__(self, title: str, *, console: Console | None = None) -> None:
        self._title = title
        self._console = console
        self._display: Display | None = None
        self._task: TaskID | None = None

    def start(self, epochs: int, done: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Display

        self._display = Display(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]} epochs/s"),
            TextColumn("loss {task.fields[loss]}"),
            TimeRemainingColumn(),
            console=self._console or Console(stderr=True),
        )
        self._task = self._display.add_task(self._title, total=epochs, completed=done, rate="-", loss="-")
        self._display.start()

    def epoch(self, record: EpochRecord) -> None:
        if self._display is None or self._task is None:
            return
        speed = self._display.tasks[0].speed
        self._display.update(
            self._task, advance=1, loss=f"{record.loss:.4g}", rate="-" if speed is None else f"{speed:.3g}"
        )

    def stop(self) -> None:
        if self._display is not None:
            self._display.stop()
