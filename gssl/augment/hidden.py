"""Edges that a corruption hides: which they are, and the view without them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.kept import kept_beside, occurrences
from gssl.graph.pairs import Pairs


@dataclass(frozen=True, eq=False)
class HiddenEdges:
    """Edges that a batch has and its view has not. Self-loops are never hidden.

    Attributes:
        edges: rows of the batch, shape (2, num_hidden), int64, each edge once. Of undirected edges, which are gone in
            both directions, the smaller row comes first; of directed ones row 0 is the source, row 1 the destination.
        directed: whether an edge may still be there in the opposite direction.
        num_rows: of the batch; None where that is not known.
    """

    edges: Tensor
    directed: bool = False
    num_rows: int | None = None

    @property
    def num_edges(self) -> int:
        return self.edges.shape[1]

    def among(self, num_rows: int) -> HiddenEdges:
        """The hidden edges between the first rows, for example the targets, of which encoders give embeddings."""
        if num_rows == self.num_rows:
            return self
        return replace(self, edges=self.edges[:, (self.edges < num_rows).all(0)], num_rows=num_rows)

    def degree(self, num_rows: int) -> Tensor:
        """Hidden edges of each row, shape (num_rows,), int64; those that come in where edges are directed."""
        ends = self.edges[1] if self.directed else self.edges.flatten()
        return occurrences(ends, num_rows)


@dataclass(frozen=True, eq=False)
class BatchPairs:
    """The undirected pairs of all blocks of a batch, so that an edge can be hidden in each of them.

    A node that is in a batch of nodes more than once (ShaDow's subgraphs of several targets) counts as the first of
    its rows, that of the target if it is one.

    Attributes:
        blocks: the distinct ones, in order.
        pairs: of their edges, block after block, in rows of the batch.
        first_row: that each row counts as, shape (num_nodes,), int64; None where each node has one row.
    """

    blocks: tuple[Block, ...]
    pairs: Pairs
    first_row: Tensor | None

    @classmethod
    def of(cls, batch: MiniBatch) -> BatchPairs:
        """The pairs of a batch; those of a graph's only block are remembered by its pattern."""
        blocks = tuple({id(block): block for block in batch.blocks}.values())
        first_row = _first_rows(batch)
        if len(blocks) == 1 and first_row is None:
            return cls(blocks, blocks[0].pattern.pairs, None)
        row = torch.cat([block.pattern.row.long() for block in blocks])
        col = torch.cat([block.pattern.col.long() for block in blocks])
        if first_row is not None:
            row, col = first_row[row], first_row[col]
        return cls(blocks, Pairs.of(row, col, batch.num_nodes), first_row)

    def hide(self, batch: MiniBatch, gone: Tensor, visible: float) -> tuple[MiniBatch, HiddenEdges]:
        """The batch without both directions of some pairs.

        Args:
            batch: that the pairs are of.
            gone: shape (num_pairs,), bool.
            visible: share of the edges that stay, as far as degrees must be guessed (see :func:`seen_degrees`).
        """
        gone = gone & ~self.pairs.is_loop
        view, (places,) = self._without(batch, torch.stack([gone, gone]), visible, gone)
        return view, HiddenEdges(self.pairs.ends.index_select(1, places), num_rows=batch.num_nodes)

    def hide_directed(self, batch: MiniBatch, gone: Tensor, visible: float) -> tuple[MiniBatch, HiddenEdges]:
        """The batch without some directed edges.

        Args:
            batch: that the pairs are of.
            gone: shape (2, num_pairs), bool: the edge into the smaller row of each pair, that into the greater row;
                an edge that there is not may be named.
            visible: as in :meth:`hide`.
        """
        gone = gone & ~self.pairs.is_loop
        there = torch.zeros_like(gone)
        for into_greater, pair in self._edges():
            there[into_greater.long(), pair] = True
        view, (into_low, into_high) = self._without(batch, gone, visible, *(there & gone))
        low, high = self.pairs.ends
        sources = torch.cat([high[into_low], low[into_high]])
        targets = torch.cat([low[into_low], high[into_high]])
        return view, HiddenEdges(torch.stack([sources, targets]), directed=True, num_rows=batch.num_nodes)

    def _edges(self) -> list[tuple[Tensor, Tensor]]:
        """For each block, which of its edges lead to the greater row of their pair, and the pair of each."""
        indices = self.pairs.index.split([block.num_edges for block in self.blocks])
        rows = [block.pattern.row.long() for block in self.blocks]
        if self.first_row is not None:
            rows = [self.first_row[row] for row in rows]
        return [(row != self.pairs.ends[0, index], index) for row, index in zip(rows, indices, strict=True)]

    def _without(
        self, batch: MiniBatch, gone: Tensor, visible: float, *asked: Tensor
    ) -> tuple[MiniBatch, tuple[Tensor, ...]]:
        """The batch without some edges, and where the masks ``asked`` are set."""
        masks = []
        for block, (into_greater, pair) in zip(self.blocks, self._edges(), strict=True):
            block.pattern.be_ready_to_turn()
            masks.append(block.pattern.mask(~gone[into_greater.long(), pair]))
        left, places, _ = kept_beside(masks, asked)
        kept = [block.left_by(own) for block, own in zip(self.blocks, left, strict=True)]
        seen = zip(self.blocks, seen_degrees(self.blocks, kept, visible), strict=True)
        views = {id(block): view for block, view in seen}
        return batch.map_blocks(lambda block: views[id(block)]), places


def seen_degrees(blocks: tuple[Block, ...], kept: list[Block], visible: float) -> list[Block]:
    """The blocks of a view, with the degrees that its nodes have in the view of the whole graph.

    They are exact for each destination of an unweighted block that has all of the edges that its degree counts, and
    for that node as a source of the next block. Others are known in expectation only, as after edge dropping.

    Args:
        blocks: the distinct blocks of a batch, the encoder's first layer first.
        kept: the same with some edges gone, and degrees as before.
        visible: expected share of a node's edges in the view.
    """
    views: list[Block] = []
    for number, (block, view) in enumerate(zip(blocks, kept, strict=True)):
        before = block.full_degree
        if before is None:
            views.append(view)
            continue
        after = before * visible
        if number:
            below, seen = blocks[number - 1].full_degree, views[number - 1].full_degree
            if below is not None and seen is not None:  # this block's sources are destinations of the one below
                after = torch.where(below[: len(after)] == before, seen[: len(after)], after)
        if block.weight is None:
            own = before[: block.num_dst]
            after[: block.num_dst] = torch.where(block.degree == own, view.degree.to(own), after[: block.num_dst])
        views.append(replace(view, full_degree=after))
    return views


def _first_rows(batch: MiniBatch) -> Tensor | None:
    """The first row of the node of each row, shape (num_nodes,), int64; None where each node has one row."""
    if batch.graph_ptr is not None or batch.num_targets == batch.num_nodes:
        return None  # a graph that is there twice is two graphs; targets are distinct
    nodes, index = torch.unique(batch.node_ids, return_inverse=True)
    if nodes.numel() == batch.num_nodes:
        return None
    rows = torch.arange(batch.num_nodes, device=batch.device)
    return torch.zeros_like(nodes).scatter_reduce(0, index, rows, "amin", include_self=False)[index]
