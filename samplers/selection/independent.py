"""What selections share whose batches do not depend on each other."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from itertools import count

from torch import Tensor

from gssl.samplers.rng import Key
from gssl.samplers.selection.base import Draw, Selection

Drawer = Callable[[Key], Tensor]
"""From the key of a batch to the positions of its items in ``items``, distinct, int64; possibly none."""


class IndependentSelection(Selection):
    """Batches that are drawn independently of each other with the same inclusion probabilities.

    An epoch is ``batches_per_epoch`` draws. Empty ones are counted and skipped; where all were empty, it goes on until
    one is not.
    """

    @property
    @abstractmethod
    def probability(self) -> Tensor:
        """Inclusion probability of each item in one batch, shape (N,), float64, in (0, 1]."""

    @abstractmethod
    def drawer(self, epoch: int) -> Drawer:
        """Draws the batches of an epoch."""

    def epoch(self, epoch: int) -> Iterator[Draw]:
        drawer = self.drawer(epoch)
        empty = True
        for step in count():
            if step >= self.batches_per_epoch and not empty:
                return
            key = Key(self.seed, epoch, step)
            positions = drawer(key)
            if positions.numel() == 0:
                self.empty_draws += 1
                continue
            empty = False
            yield Draw(self.items[positions], self.probability[positions], key)
