"""Uniform target selection."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from gssl.common.options import validate
from gssl.graph.storage import Graph
from gssl.samplers.draws import keyed_order, poisson_draw
from gssl.samplers.rng import Key, Slot, hash64
from gssl.samplers.selection.base import Draw
from gssl.samplers.selection.independent import Drawer, IndependentSelection


class Uniform(IndependentSelection):
    """Every item with the same probability.

    Args:
        graph: where the nodes are.
        items: the population, distinct node ids, shape (N,), int64; None means all nodes.
        batch_size: number of targets in a batch (the expected one with ``poisson``).
        seed: of the draws.
        draw: ``shuffle`` cuts a random order of the items, new in every epoch, into batches, so that each item is
            there once an epoch; the last batch may be smaller, and an item is in a batch of n with probability n / N.
            ``fixed`` draws each batch for itself, every subset of ``batch_size`` items equally likely; ``poisson``
            draws each item for itself. The last two hash every item in every step.

    Raises:
        InputError: the batch is larger than the population, or no such ``draw``.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        items: Tensor | None = None,
        batch_size: int,
        seed: int = 0,
        draw: Literal["shuffle", "fixed", "poisson"] = "shuffle",
    ) -> None:
        super().__init__(graph, items=items, batch_size=batch_size, seed=seed)
        validate(type(self), {"draw": draw}, what="selection uniform")
        self.draw = draw

    @cached_property
    def probability(self) -> Tensor:
        population = len(self.items)
        return torch.full((population,), self.batch_size / population, dtype=torch.float64)

    def epoch(self, epoch: int) -> Iterator[Draw]:
        return self._chunks(epoch) if self.draw == "shuffle" else super().epoch(epoch)

    def _chunks(self, epoch: int) -> Iterator[Draw]:
        order = self.items[keyed_order(self.items, Key(self.seed, epoch, 0).stream(Slot.TARGETS))]
        for step, ids in enumerate(order.split(self.batch_size)):
            probability = torch.full((ids.numel(),), ids.numel() / order.numel(), dtype=torch.float64)
            yield Draw(ids, probability, Key(self.seed, epoch, step))

    def drawer(self, epoch: int) -> Drawer:
        return self._subset if self.draw == "fixed" else self._each

    def _subset(self, key: Key) -> Tensor:
        """The items with the smallest hashes: a simple random sample."""
        return hash64(key.stream(Slot.TARGETS), self.items).topk(self.batch_size, largest=False).indices

    def _each(self, key: Key) -> Tensor:
        return poisson_draw(self.probability, self.items, key.stream(Slot.TARGETS))
