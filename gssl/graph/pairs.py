"""Undirected pairs: the directed edges of a graph by the two nodes that they join, whatever their direction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Pairs:
    """The distinct pairs {i, j} that some directed edges (i, j) join.

    Both directions of an edge and all of its copies belong to one pair; a self-loop is a pair, too. A pair may be
    there in one direction only.

    Attributes:
        ends: the nodes of each pair, the smaller first, shape (2, num_pairs), int64; pairs are sorted.
        index: pair of each edge, shape (num_edges,), int64.
        position: one edge for each pair, shape (num_pairs,), int64: the first (i, j) with i <= j, or where there is
            none the first (j, i).
        num_nodes: above every node.
    """

    ends: Tensor
    index: Tensor
    position: Tensor
    num_nodes: int

    @classmethod
    def of(cls, row: Tensor, col: Tensor, num_nodes: int) -> Pairs:
        """The pairs of the edges (row, col), each of shape (num_edges,), int64, with numbers below ``num_nodes``."""
        low, high = torch.minimum(row, col), torch.maximum(row, col)
        key, index = torch.unique(low * max(num_nodes, 1) + high, return_inverse=True)
        order = torch.arange(row.numel(), device=row.device)
        # Edges with i <= j come first, so that the smallest number of a pair is its representative.
        rank = torch.where(row <= col, order, order + row.numel())
        first = torch.zeros_like(key).scatter_reduce(0, index, rank, "amin", include_self=False)
        ends = torch.stack([key // max(num_nodes, 1), key % max(num_nodes, 1)])
        return cls(ends, index, first % max(row.numel(), 1), num_nodes)

    @property
    def num_pairs(self) -> int:
        return self.position.numel()

    @property
    def is_loop(self) -> Tensor:
        """Which pairs are self-loops, shape (num_pairs,), bool."""
        return self.ends[0] == self.ends[1]

    @cached_property
    def num_joined(self) -> int:
        """Pairs of two different nodes."""
        return int((~self.is_loop).sum())

    @cached_property
    def some_alone(self) -> bool:
        """Whether a node has no neighbors but itself."""
        return bool((self.neighbors[0].diff() == 0).any())

    @cached_property
    def neighbors(self) -> tuple[Tensor, Tensor, Tensor]:
        """The simple undirected graph of the pairs without self-loops, in compressed rows.

        Returns:
            Offsets of the nodes, shape (num_nodes + 1,); the neighbors of each, ascending, shape (2 * num_pairs',);
            the pair that each of them is joined by, of the same shape. All int64.
        """
        joined = (~self.is_loop).nonzero().squeeze(1)
        low, high = self.ends[:, joined]
        here, there = torch.cat([low, high]), torch.cat([high, low])
        order = torch.argsort(here * max(self.num_nodes, 1) + there)
        offsets = torch.zeros(self.num_nodes + 1, dtype=torch.int64, device=here.device)
        offsets[1:] = torch.bincount(here, minlength=self.num_nodes).cumsum(0)
        return offsets, there[order], joined.repeat(2)[order]
