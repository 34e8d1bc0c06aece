"""How training shows itself: not at all, or as a live line on standard error."""

from __future__ import annotations

from typing import Protocol

from gssl.training.result import EpochRecord


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
