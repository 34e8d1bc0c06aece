"""Target selection by degree."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from gssl.common.options import validate
from gssl.graph.block import Block
from gssl.graph.storage import Graph
from gssl.samplers.draws import Lottery, PoissonLottery, Scheme, keyed_order
from gssl.samplers.probability import inclusion_probability, pieces_of
from gssl.samplers.rng import Key, Slot
from gssl.samplers.selection.independent import Drawer, IndependentSelection

Size = Literal["degree", "column"]


class Degree(IndependentSelection):
    """Items in proportion to their degree, or to the squared column norm of the adjacency (GraphSAINT's node sampler).

    GraphSAINT (Zeng et al., 2020, arXiv:1907.04931, section 3.4) draws nodes with replacement with probabilities in
    proportion to the squared norms of the columns of the normalised adjacency. Here batches have distinct items, and
    an item is in a batch with probability ``min(1, size / mu)``, where ``mu`` makes the expected number
    ``batch_size``. The self-loop counts, so a node without neighbors is within reach too.

    Args:
        graph: where the nodes are.
        items: the population, distinct node ids, shape (N,), int64; None means all nodes.
        batch_size: expected number of targets in a batch.
        seed: of the draws.
        size: ``degree`` is 1 plus the weights of the edges that leave the node; ``column`` is the squared norm of its
            column in the adjacency as GCN normalises it.
        draw: ``poisson`` draws each item for itself; ``fixed`` has ``batch_size`` items in every batch.

    Raises:
        InputError: the batch is larger than the population, or no such ``size`` or ``draw``.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        items: Tensor | None = None,
        batch_size: int,
        seed: int = 0,
        size: Size = "degree",
        draw: Scheme = "poisson",
    ) -> None:
        super().__init__(graph, items=items, batch_size=batch_size, seed=seed)
        validate(type(self), {"size": size, "draw": draw}, what="selection degree")
        self.size = size
        self.draw = draw

    @cached_property
    def probability(self) -> Tensor:
        sizes = node_sizes(self.graph.block, self.size)
        return inclusion_probability(sizes[self.items], self.batch_size)

    def drawer(self, epoch: int) -> Drawer:
        lottery: Lottery | PoissonLottery
        if self.draw == "poisson":
            lottery = PoissonLottery(self.population, pieces_of(self.probability.numpy()))
        else:
            items = self.population.run(0, len(self.population))
            lottery = Lottery(self.probability, keyed_order(items, Key(self.seed, epoch, 0).stream(Slot.TARGETS)))
        return lambda key: lottery.sample(key.stream(Slot.TARGETS))[0]


def node_sizes(block: Block, size: Size) -> Tensor:
    """What :class:`Degree` draws in proportion to, shape (num_nodes,), float64, positive.

    Args:
        block: all edges of a graph.
        size: as of :class:`Degree`.
    """
    row, col = block.pattern.row.long(), block.pattern.col.long()
    weight = torch.ones(block.num_edges) if block.weight is None else block.weight
    if size == "degree":
        return torch.ones(block.num_src, dtype=torch.float64).index_add(0, col, weight.abs().double())
    scale = block.gcn_scale.double()
    entries = (scale[row] * weight.double() * scale[col]).square()
    return scale.pow(4).index_add(0, col, entries)
