"""What every backend of sampled propagation gives: hops, and batches that grow by them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from gssl.graph.sparse import Pattern
from gssl.samplers.propagation.torch_ops import drawn_edges, kept


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


@dataclass(frozen=True, eq=False)
class Touching:
    """All edges that begin or end in the targets of a batch.

    Attributes:
        into: those that end there.
        out_of: those that begin there; rows are the targets, columns global ids.
        position: which edge of the graph each of these is, shape (nnz,).
        reached: the number in the batch of the node that each of these leads to, shape (nnz,), int64.
        leaving: which of these lead to other nodes than targets, shape (n,), int64; None where that was not asked.
    """

    into: Hop
    out_of: Pattern
    position: Tensor
    reached: Tensor
    leaving: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Controlled:
    """All edges into the targets of a batch, some of which are drawn.

    Attributes:
        hop: all edges.
        factor: Horvitz-Thompson factor of each that is drawn and 0 for the others, shape (nnz,), float32.
        num_fresh: how many nodes are targets or sources of an edge that is drawn.
        edges: into these nodes, where the number is known.
    """

    hop: Hop
    factor: Tensor
    num_fresh: int
    edges: int | None = None


class Expansion(ABC):
    """The nodes of a batch under construction: the targets, then every source in order of first appearance."""

    @property
    @abstractmethod
    def nodes(self) -> Tensor:
        """Global ids of the nodes so far, shape (n,), int64."""

    def in_edges(self, skip: int = 0) -> int | None:
        """In-edges of the nodes from ``skip`` on, where that is known without waiting for a device."""
        return None

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

    def take_kept(self, rows: Pattern, position: Tensor, keep: Tensor, skip: int = 0) -> tuple[Hop, Tensor]:
        """A hop along some of the in-edges.

        Args:
            rows: all in-edges of the nodes from ``skip`` on, by global id of the source.
            position: which edge of the graph each is, shape (nnz,).
            keep: bool, shape (nnz,).
            skip: as in :meth:`uniform`.

        Returns:
            The hop, and which of ``rows`` its edges are, int64.
        """
        offsets, position, left = kept(rows, position, keep)
        return self.take(offsets, position, skip), left

    def both_ways(self, turned: Pattern, order: Tensor, *, total: int | None = None) -> Touching:
        """Add the neighbors in both directions to targets without any yet.

        Args:
            turned: the transpose of the graph's pattern.
            order: which edge of the graph each of its non-zeros is, shape (num_edges,), int64.
            total: edges that begin in the targets, where the number is known.
        """
        out_of, position = turned.select_rows(self.nodes, total=total)
        into = self.uniform(-1, 0)
        return Touching(into, out_of, order[position], self.number(out_of.col.long()))

    def controlled(self, fanout: int, stream: int) -> Controlled:
        """Add the neighbors of targets without any yet, and draw some of their edges.

        Args:
            fanout: edges into each target that are drawn; all where there are fewer.
            stream: of the random numbers.
        """
        targets = self.nodes
        hop = self.uniform(-1, 0)
        factor = drawn_edges(hop.pattern, targets, fanout, stream)
        reached = torch.where(factor > 0, hop.pattern.col, 0).long()
        is_fresh = torch.zeros(hop.pattern.num_cols, dtype=torch.bool, device=reached.device)
        is_fresh.index_fill_(0, reached, True)
        is_fresh[: len(targets)] = True
        return Controlled(hop, factor, int(is_fresh.sum()))
