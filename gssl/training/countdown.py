"""Ending a training after a number of updates."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Countdown:
    """A watch for :func:`~gssl.training.loop.pretrain` that has seen enough after ``left`` updates."""

    left: int

    def __call__(self, loss: float) -> bool:
        self.left -= 1
        return self.left < 0
