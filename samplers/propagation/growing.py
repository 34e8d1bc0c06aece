"""What every backend of sampled propagation gives: hops, and batches that grow by them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from gssl.graph.sparse import Pattern


@dataclass(frozen=True, eq=False)
class Hop:
    """Edges into the nodes that a batch had, from the nodes that it has then.

    Attributes:
        pattern: rows are the nodes before the hop, columns those after it, in the numbering of the batch.
        picked: which edge of the graph each non-zero is, shape (nnz,), int32 or int64; None where a row has all of
            its edges.
        degree: in-degree (edges) of each row in the graph, shape (num_rows,).
        start: the first edge of each row in the graph, shape (num_rows,), where ``picked`` is None.
    """

    pattern: Pattern
    picked: Tensor | None
    degree: Tensor
    start: Tensor | None = None

    @cached_property
    def position(self) -> Tensor:
        """Which edge of the graph each non-zero is, shape (nnz,), int32 or int64."""
        if self.picked is not None:
            return self.picked
        assert self.start is not None
        shift = self.start - self.pattern.rowptr[:-1]
        edges = torch.arange(self.pattern.nnz, dtype=shift.dtype, device=shift.device)
        return edges + shift.repeat_interleave(self.pattern.counts, output_size=self.pattern.nnz)


class Expansion(ABC):
    """The nodes of a batch under construction: the targets, then every source in order of first appearance."""

    @property
    @abstractmethod
    def nodes(self) -> Tensor:
        """Global ids of the nodes so far, shape (n,), int64."""

    @abstractmethod
    def uniform(self, fanout: int, stream: int, skip: int = 0) -> Hop:
        """A hop along ``fanout`` in-edges of every node, without replacement, each subset equally likely.

        Args:
            fanout: edges into each node; all where there are fewer, and all everywhere if it is -1.
            stream: of the random numbers, which are keyed by the global id of the destination.
            skip: how many of the first nodes are left out; the rows of the hop are the nodes that follow.
        """

    @abstractmethod
    def shared(self, fanout: int, stream: int, skip: int = 0) -> Hop:
        """A hop along the edges whose source has a number below ``fanout / degree`` of the destination (LABOR-0).

        Args:
            fanout: expected edges into each node; all where there are no more.
            stream: of the numbers, one for each source, which all its edges share.
            skip: as in :meth:`uniform`.
        """

    @abstractmethod
    def inner(self) -> Hop:
        """The edges among the nodes so far."""

    @abstractmethod
    def number(self, ids: Tensor) -> Tensor:
        """Numbers in the batch, shape (n,), of nodes ``ids`` (n,), int64; repeats allowed, new ones are added."""

    def add(self, ids: Tensor) -> None:
        """Nodes that belong to the batch, repeats and those there already allowed, shape (n,), int64."""
        self.number(ids)

    @abstractmethod
    def take(self, rowptr: Tensor, position: Tensor, skip: int = 0) -> Hop:
        """A hop along chosen edges.

        Args:
            rowptr: offsets of the chosen edges of each row, shape (num_rows + 1,).
            position: edges of the graph, shape (nnz,).
            skip: as in :meth:`uniform`.
        """
