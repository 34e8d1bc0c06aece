"""The two samplers that draw nothing away: the full graph, and shuffled batches of whole graphs."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.seeds import derive_seed
from gssl.graph.batch import MiniBatch
from gssl.graph.remote import is_remote
from gssl.graph.storage import Graph
from gssl.samplers.base import Sampler
from gssl.samplers.ranks import Ranks


class FullBatch(Sampler):
    """The whole graph (or collection) as the only batch of every epoch.

    Raises:
        InputError: its features are read row by row.
    """

    def __init__(self, graph: Graph) -> None:
        if is_remote(graph.x):
            raise InputError(
                "the features are read row by row from another place, so the whole graph cannot be a batch: use a "
                "sampler, such as --sampler graphsage"
            )
        self.graph = graph

    @property
    def batches_per_epoch(self) -> int:
        return 1

    def epoch(self, epoch: int) -> Iterator[MiniBatch]:
        yield self.graph.full_batch()


class GraphBatches(Sampler):
    """Shuffled batches of whole graphs.

    Args:
        graph: a collection of graphs.
        batch_size: graphs in a batch; the last batch of an epoch may be smaller.
        items: the graphs to draw from, shape (n,), int64; None means all.
        seed: together with the epoch it decides the order.
        shuffle: new order in every epoch; otherwise the stored order.
    """

    ranks = Ranks()

    def __init__(
        self, graph: Graph, *, batch_size: int, items: Tensor | None = None, seed: int = 0, shuffle: bool = True
    ) -> None:
        self.graph = graph
        self.items = torch.arange(graph.num_graphs) if items is None else items
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle

    @property
    def batches_per_epoch(self) -> int:
        return -(-len(self.items) // self.batch_size)

    @property
    def targets(self) -> int:
        return min(self.batch_size, len(self.items))

    @property
    def separate(self) -> bool:
        return True

    def of_rank(self, rank: int, world: int) -> GraphBatches:
        """The graphs of every batch that a rank takes; their losses are shared as a mean over the graphs is."""
        own = copy(self)
        own.ranks = Ranks(rank, world)
        return own

    def epoch(self, epoch: int) -> Iterator[MiniBatch]:
        order = self.items
        if self.shuffle:
            rng = torch.Generator().manual_seed(derive_seed(self.seed, "graph order", epoch))
            order = order[torch.randperm(len(order), generator=rng)]
        for ids in order.split(self.batch_size):
            batch = self.graph.graph_batch(self.ranks.taken(ids))
            if self.ranks.world > 1:
                batch = batch.planned(scale=self.ranks.scale_of_mean(len(ids)))
            yield batch.pin_memory() if self.pin else batch
