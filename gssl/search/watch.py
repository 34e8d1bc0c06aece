"""Looks at a trial while it trains: validation scores on the way, and whether to go on."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import torch
from optuna import Trial

from gssl.method import Method


class Orphaned(KeyboardInterrupt):
    """The command that started this worker is gone."""


class TrialWatch:
    """What :func:`~gssl.training.loop.pretrain` calls before each update.

    Args:
        trial: gets the scores.
        method: under training.
        score: validation score of the method in evaluation mode.
        rungs: epochs after which it is asked for. Where the number of batches is random, an epoch is as many updates
            as are expected.
        updates: of an epoch.
        parent: process that must be alive; None if it need not.

    Attributes:
        pruned: whether training ended because the trial is not promising.
    """

    def __init__(
        self,
        trial: Trial,
        method: Method,
        score: Callable[[], float],
        rungs: Collection[int],
        updates: int,
        parent: int | None,
    ) -> None:
        self.pruned = False
        self._trial, self._method, self._score = trial, method, score
        self._rungs, self._updates, self._parent = frozenset(rungs), updates, parent
        self._done = 0

    def __call__(self, loss: float) -> bool:
        if self._parent is not None and os.getppid() != self._parent:
            raise Orphaned
        epoch, inside = divmod(self._done, self._updates)
        self._done += 1
        if inside == 0 and epoch in self._rungs:
            with undisturbed(self._method):
                self._trial.report(self._score(), epoch)
            self.pruned = self._trial.should_prune()
        return self.pruned


@contextmanager
def undisturbed(method: Method) -> Iterator[None]:
    """The method in evaluation mode; afterwards training goes on as if nobody had looked."""
    states = torch.get_rng_state(), method.rng.get_state()
    method.eval()
    try:
        yield
    finally:
        method.train()
        torch.set_rng_state(states[0])
        method.rng.set_state(states[1])
