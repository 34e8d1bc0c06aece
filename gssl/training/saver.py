"""Checkpoints between updates, and the end of a training that was told to stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from gssl.training.checkpoint import save_checkpoint
from gssl.training.finite import settle
from gssl.training.signals import DeferredSignals
from gssl.training.state import TrainingRun


class Saver:
    """Decides between updates whether to write a checkpoint and whether to stop; all processes decide alike.

    Args:
        run: the training.
        signals: what was received meanwhile.
        path: the file; None writes none (on all processes but the first).
        config_key: names the configuration that the state belongs to.
    """

    def __init__(self, run: TrainingRun, signals: DeferredSignals, path: Path | None, config_key: str) -> None:
        self._run = run
        self._signals = signals
        self._path = path
        self._key = config_key
        self._last = time.monotonic()
        self._asked: Callable[[], list[float]] | None = None

    def between_updates(self, *, ends_epoch: bool = False) -> None:
        """Save and stop if a process has to.

        Within an epoch, several processes read each other's answers one update later, when they are there already.
        """
        group = self._run.group
        if self._path is None and group.world == 1:
            return
        is_due = self._path is not None and time.monotonic() - self._last > self._run.config.checkpoint_seconds
        answer, former = group.asked_most(self._signals.number, is_due), self._asked
        if group.world > 1 and not ends_epoch:
            self._asked = answer
            if former is None:
                return
            answer = former
        else:
            self._asked = None  # what a process had to say a moment ago, it said again
        stop, due = answer()
        if self._run.sampler.stateful and self._run.position.batches:
            if stop:  # the checkpoint of the last epoch stands
                self._signals.deliver(int(stop))
            return
        if stop or due:
            self.save()
        if stop:
            self._signals.deliver(int(stop))

    def save(self) -> None:
        """Write a checkpoint now, if there is a file for it."""
        if self._path is None and self._run.group.world == 1:
            return
        settle(self._run)  # nothing is kept of a training that went wrong
        state, path = self._run.state(), self._path
        self._run.group.first(lambda: None if path is None else save_checkpoint(path, state, config_key=self._key))
        self._last = time.monotonic()
