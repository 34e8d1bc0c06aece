"""Several processes that share every draw: data-parallel training with the batches of a single process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.samplers.selection.base import Draw


@dataclass(frozen=True)
class Ranks:
    """One of several processes, each of which makes the same draws and takes its own targets of each.

    Rank r of W takes the targets at the positions r, r + W, r + 2 W, ... of a draw. Where there are fewer targets than
    ranks, some are taken by several ranks, each with its share of the weight. So the ranks together see the draw that
    one process alone would see, and the mean over the ranks of the gradients of ``plan.scale * mass * loss`` is its
    gradient, for a loss that is a sum over targets and a propagation that embeds a target independently of the other
    ones: ``exact``, ``labor``, ``shadow``, and ``neighbor`` with ``weights=ht`` or an encoder that does not normalise
    by the degree of sources. Views that a method draws at random, negatives among the batch and batch statistics are
    those of each rank.

    Attributes:
        rank: number of this process, from 0.
        world: how many there are.

    Raises:
        InputError: no such rank.
    """

    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world:
            raise InputError(f"there is no rank {self.rank} of {self.world}: ranks are 0 to {max(self.world - 1, 0)}")

    def part(self, draw: Draw) -> Draw:
        """The targets of a draw that this rank takes, cut into as many pieces as the other ranks cut theirs into."""
        own = replace(draw, ids=self.taken(draw.ids), probability=self.taken(draw.probability))
        if self.world == 1 or draw.piece is None or not draw.exact:
            return own
        least, most = max(len(draw.ids) // self.world, 1), -(-len(draw.ids) // self.world)
        return replace(own, piece=next(n for n in count(draw.piece) if -(-least // n) == -(-most // n)))

    def taken(self, items: Tensor) -> Tensor:
        """The entries of a draw, shape (n, ...), that this rank takes."""
        return items[self.rank % min(self.world, len(items)) :: self.world]

    def scale_of_mean(self, size: int) -> float:
        """What the mean over the items that this rank takes of a draw of ``size`` is to be multiplied with.

        The mean over the ranks of these products is the mean over the draw.
        """
        few = min(self.world, size)
        share = len(range(self.rank % few, size, self.world)) / len(range(self.rank % few, self.world, few))
        return self.world * share / size

    def fitted(self, batch: MiniBatch, draw: Draw) -> MiniBatch:
        """The batch of :meth:`part` with weights and scale for the mean over the ranks.

        Args:
            batch: with its weights and its population.
            draw: the whole one.
        """
        if self.world == 1:
            return batch
        weight, few = batch.weight, len(draw.ids)
        assert weight is not None
        if few < self.world:
            weight = weight / len(range(self.rank % few, self.world, few))
        scale = float(self.world)
        if batch.plan.population is None:  # the mean of the loss is then over the weights of this rank alone
            scale *= float(weight.double().sum() / draw.probability.reciprocal().sum())
        return replace(batch, weight=weight, plan=replace(batch.plan, scale=scale))

    def gathered(self, ids: Tensor, norms: Tensor) -> tuple[Tensor, Tensor]:
        """What all ranks observed, in the same order on each, through the default group of ``torch.distributed``.

        Args:
            ids: nodes that this rank observed, shape (n,), int64.
            norms: shape (n,), float.
        """
        if self.world == 1:
            return ids, norms
        found: list[tuple[Tensor, Tensor] | None] = [None] * self.world
        torch.distributed.all_gather_object(found, (ids, norms))
        pairs = [pair for pair in found if pair is not None]
        return torch.cat([own for own, _ in pairs]), torch.cat([values for _, values in pairs])
