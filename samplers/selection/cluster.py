"""Target selection by clusters of the graph."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import PositiveInt, validate
from gssl.common.seeds import derive_seed
from gssl.graph.sparse import Pattern
from gssl.graph.storage import Graph
from gssl.samplers.draws import keyed_order
from gssl.samplers.rng import Key, Slot
from gssl.samplers.selection.base import Draw, Selection

_PARTS_IN_A_BATCH = 4


class Cluster(Selection):
    """Unions of parts of the graph with few edges between them (ClusterGCN; Chiang et al., 2019, arXiv:1905.07953).

    METIS cuts the graph once. Every epoch shuffles the parts and unites ``q`` of them in each batch (fewer in the
    last one), so an item is in a batch of q out of P parts with probability q / P. Parts differ in the number of
    their items, and so do batches.

    Args:
        graph: where the nodes are.
        items: the population, distinct node ids, shape (N,), int64; None means all nodes. The whole graph is cut,
            and parts without items are left out.
        batch_size: expected number of targets in a batch.
        seed: of the draws and of the partition.
        num_parts: how many parts to cut the graph into; None makes a batch of about four parts.
        partition: ``metis``, or ``random``, parts of equal size that ignore the edges.

    Raises:
        InputError: the batch is larger than the population or smaller than a part, or there are more parts than nodes.

    Warns:
        UserWarning: METIS cannot be used here, so the partition is random.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        items: Tensor | None = None,
        batch_size: int,
        seed: int = 0,
        num_parts: PositiveInt | None = None,
        partition: Literal["metis", "random"] = "metis",
    ) -> None:
        super().__init__(graph, items=items, batch_size=batch_size, seed=seed)
        validate(type(self), {"num_parts": num_parts, "partition": partition}, what="selection cluster")
        needed = math.ceil(len(self.items) / batch_size)
        if num_parts is None:
            num_parts = min(_PARTS_IN_A_BATCH * needed, graph.num_nodes)
        if not needed <= num_parts <= graph.num_nodes:
            raise InputError(
                f"num_parts={num_parts} does not suit batches of {batch_size} from {len(self.items)} of "
                f"{graph.num_nodes} nodes; choose between {needed} and {graph.num_nodes}"
            )
        self.num_parts = num_parts
        self.partition = partition

    @cached_property
    def parts(self) -> tuple[Tensor, ...]:
        """The items of each part that has any, as node ids."""
        pattern, seed = self.graph.block.pattern, derive_seed(self.seed, "partition")
        cut = metis_partition if self.partition == "metis" else random_partition
        part = cut(pattern, self.num_parts, seed=seed)[self.items]
        order = part.argsort(stable=True)
        sizes = torch.bincount(part)
        return tuple(torch.split(self.items[order], sizes[sizes > 0].tolist()))

    def prepare(self) -> None:
        _ = self.parts

    @property
    def parts_per_batch(self) -> int:
        return max(1, round(self.batch_size * len(self.parts) / len(self.items)))

    @property
    def batches_per_epoch(self) -> int:
        return -(-len(self.parts) // self.parts_per_batch)

    def epoch(self, epoch: int) -> Iterator[Draw]:
        stream = Key(self.seed, epoch, 0).stream(Slot.CLUSTERS)
        order = keyed_order(torch.arange(len(self.parts)), stream)
        for step, chosen in enumerate(order.split(self.parts_per_batch)):
            ids = torch.cat([self.parts[part] for part in chosen.tolist()])
            probability = torch.full((ids.numel(),), chosen.numel() / len(self.parts), dtype=torch.float64)
            yield Draw(ids, probability, Key(self.seed, epoch, step))


def metis_partition(pattern: Pattern, num_parts: int, *, seed: int, recursive: bool | None = None) -> Tensor:
    """Parts of about equal size with few edges between them, by METIS; a random partition where it cannot be used.

    Args:
        pattern: square; directions and loops are ignored.
        num_parts: at most the number of nodes; METIS may leave some empty.
        seed: of METIS.
        recursive: whether parts are halved again and again, which leaves fewer of them empty where there are about as
            many as nodes; None for up to eight parts.

    Returns:
        Part of each node, shape (num_nodes,), int64.

    Warns:
        UserWarning: pymetis cannot be imported or refuses the graph, so the partition is random.
    """
    try:
        return cut_by_metis(pattern, num_parts, seed=seed, recursive=recursive)
    except InputError as error:
        warnings.warn(f"{error}, so clusters are random; install pymetis, or ask for partition=random", stacklevel=2)
        return random_partition(pattern, num_parts, seed=seed)


def cut_by_metis(pattern: Pattern, num_parts: int, *, seed: int, recursive: bool | None = None) -> Tensor:
    """Parts of about equal size with few edges between them; arguments and result as of :func:`metis_partition`.

    Raises:
        InputError: pymetis cannot be imported or refuses the graph.
    """
    try:
        import pymetis

        rowptr, col = _undirected(pattern)
        options = pymetis.Options(seed=seed % 2**31)
        graph = pymetis.CSRAdjacency(rowptr, col)
        _, part = pymetis.part_graph(num_parts, graph, options=options, recursive=recursive)
    except (ImportError, RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise InputError(f"the graph cannot be cut by METIS ({type(error).__name__}: {error})") from error
    return torch.from_numpy(np.asarray(part, dtype=np.int64))


def random_partition(pattern: Pattern, num_parts: int, *, seed: int) -> Tensor:
    """Parts whose sizes differ by at most one; arguments and result as of :func:`metis_partition`."""
    order = keyed_order(torch.arange(pattern.num_rows), seed)
    part = torch.empty_like(order)
    part[order] = torch.arange(pattern.num_rows) % num_parts
    return part


def _undirected(pattern: Pattern) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and neighbors without loops and repetitions, each edge in both directions."""
    size = pattern.num_rows
    row, col = pattern.row.long(), pattern.col.long()
    proper = row != col
    row, col = row[proper], col[proper]
    keys = torch.cat([row * size + col, col * size + row]).unique()
    rowptr = torch.zeros(size + 1, dtype=torch.int64)
    rowptr[1:] = torch.bincount(keys // size, minlength=size).cumsum(0)
    return rowptr.numpy(), (keys % size).numpy()
