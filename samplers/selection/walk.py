"""Target selection by random walks."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import PositiveInt, validate
from gssl.graph.storage import Graph
from gssl.samplers.draws import NO_NODE
from gssl.samplers.rng import Key, Slot, uniform
from gssl.samplers.selection.hitting import hitting_probability, random_walks
from gssl.samplers.selection.independent import Drawer, IndependentSelection

_LONGEST = 16  # walks an item: a batch that takes more is all but the whole population


class Walk(IndependentSelection):
    """Items that random walks from uniform roots visit (GraphSAINT; Zeng et al., 2020, arXiv:1907.04931).

    Roots are drawn from the items with replacement and walks go over the whole graph, from a node to one that it
    aggregates from, whatever the edge weights; the targets are the distinct items on the way. With h_v the
    probability that one walk visits v, an item is in a batch of r walks with probability ``1 - (1 - h_v)^r``. For
    walks of one or two steps that is exact. The paper counts visits in sampled subgraphs instead; here only the
    probabilities of coming back after three steps and more are estimated from walks (see
    :func:`~gssl.samplers.selection.hitting.hitting_probability`).

    The number of walks, an integer or one of two neighboring ones at random, makes the expected number of distinct
    items ``batch_size``. The official code fixes the number of roots instead.

    Args:
        graph: where the nodes are.
        items: the population, distinct node ids, shape (N,), int64; None means all nodes.
        batch_size: expected number of targets in a batch.
        seed: of the draws.
        walk_length: steps of a walk.
        presample: walks from every node for the estimates that walks of three steps and more need.

    Raises:
        InputError: the batch is larger than the population, or so near to it that walks hardly fill it, or an option
            is out of range.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        items: Tensor | None = None,
        batch_size: int,
        seed: int = 0,
        walk_length: PositiveInt = 2,
        presample: PositiveInt = 20,
    ) -> None:
        super().__init__(graph, items=items, batch_size=batch_size, seed=seed)
        validate(type(self), {"walk_length": walk_length, "presample": presample}, what="selection walk")
        self.walk_length = walk_length
        self.presample = presample

    @cached_property
    def hitting(self) -> Tensor:
        """Probability that one walk visits each item, shape (N,), float64."""
        pattern = self.graph.block.pattern
        every = hitting_probability(pattern, self.items, self.walk_length, presample=self.presample, seed=self.seed)
        return every[self.items]

    @cached_property
    def walks(self) -> float:
        """Expected number of walks in a batch.

        Raises:
            InputError: it would be out of all proportion to the population.
        """
        low, high = 0, _LONGEST * len(self.items)
        if self._expected(high) < self.batch_size:
            raise InputError(
                f"{high} random walks do not visit {self.batch_size} of {len(self.items)} nodes: choose a smaller "
                f"--batch-size, or another selection, such as uniform"
            )
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._expected(middle) < self.batch_size else (low, middle)
        before, after = self._expected(low), self._expected(high)
        return low + (self.batch_size - before) / (after - before)

    @cached_property
    def probability(self) -> Tensor:
        whole = int(self.walks)
        more = self.walks - whole
        return (1 - more) * self._seen(whole) + more * self._seen(whole + 1)

    def drawer(self, epoch: int) -> Drawer:
        position = torch.full((self.graph.num_nodes,), -1)
        position[self.items] = torch.arange(len(self.items))
        whole = int(self.walks)

        def draw(key: Key) -> Tensor:
            stream = key.stream(Slot.WALK)
            count = whole + int(uniform(stream, torch.tensor(NO_NODE)) < self.walks - whole)
            choice = uniform(key.stream(Slot.TARGETS), torch.arange(count)) * len(self.items)
            visited = random_walks(self.graph.block.pattern, self.items[choice.long()], self.walk_length, stream)
            found = position[visited.unique()]
            return found[found >= 0]

        return draw

    def _seen(self, walks: int) -> Tensor:
        return 1 - (1 - self.hitting) ** walks

    def _expected(self, walks: int) -> float:
        return float(self._seen(walks).sum())
