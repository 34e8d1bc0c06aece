"""Edges that are drawn anew from a block model of the graph."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gssl.augment.graphwise import GraphwiseAugmenter, graph_offsets, segment_index
from gssl.augment.perturb_edge import are_new, with_edges
from gssl.common.options import Fraction, PositiveInt
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.sparse import Pattern
from gssl.samplers.selection.cluster import metis_partition


@dataclass(frozen=True, kw_only=True)
class RedrawEdge(GraphwiseAugmenter):
    """Draw edges anew from a degree-corrected block model of the graph itself: a generated view.

    The model is that of Karrer and Newman (2011, arXiv:1008.3926) with METIS parts as blocks: an edge between two
    blocks gets ends in them that are drawn by degree. That is done to a share of the edges, so that the rest of the
    view is the data's (as Jahanian et al., 2022, arXiv:2106.05258, take views near a sample of a generative model).
    Both directions of an edge stay together, and weight and attributes go with it. An edge that would be a loop, or is
    there already, is left out, so that a view has some edges less. In a batch of graphs each has blocks of its own.

    Attributes:
        ratio: probability of an edge to be drawn anew.
        blocks: of a graph, or of all graphs of a batch; fewer where there are fewer nodes.
    """

    ratio: Fraction = 0.3
    blocks: PositiveInt = 32

    def transform(self, batch: MiniBatch, rng: torch.Generator, chosen: Tensor) -> MiniBatch:
        graph = segment_index(graph_offsets(batch), batch.num_nodes)
        return batch.map_blocks(lambda block: self._redrawn(block, graph, chosen, rng))

    def _redrawn(self, block: Block, graph: Tensor, chosen: Tensor, rng: torch.Generator) -> Block:
        pattern = block.pattern
        row, col, reverse = pattern.row.long(), pattern.col.long(), pattern.reverse
        first = (row < col) | ((reverse < 0) & (row != col))  # one of both directions of each edge
        drawn = torch.rand(pattern.nnz, generator=rng, device=row.device) < self.ratio
        edges = (first & drawn & chosen[graph[row]]).nonzero().squeeze(1)
        if not len(edges):
            return block
        group = graph * self.blocks + partition(pattern, self.blocks)
        new_row = _another_end(row, group, group[row[edges]], rng)
        new_col = _another_end(col, group, group[col[edges]], rng)
        opposite = reverse[edges]
        gone = torch.zeros(pattern.nnz, dtype=torch.bool, device=row.device)
        gone[edges] = True
        gone[opposite[opposite >= 0]] = True
        left = block.filter(~gone)
        kept = (new_row != new_col).nonzero().squeeze(1)
        kept = kept[are_new(left.pattern, new_row[kept], new_col[kept], undirected=True)]
        both = kept[opposite[kept] >= 0]
        rows = torch.cat([new_row[kept], new_col[both]])
        columns = torch.cat([new_col[kept], new_row[both]])
        return with_edges(left, block, rows, columns, torch.cat([edges[kept], opposite[both]]))


def partition(pattern: Pattern, blocks: int) -> Tensor:
    """Block of each node by METIS, shape (num_nodes,), int64, kept with the pattern; no more blocks than nodes."""
    count = min(blocks, pattern.num_rows)

    def cut() -> Tensor:
        return metis_partition(pattern.to(torch.device("cpu")), count, seed=0).to(pattern.col.device)

    if pattern.nnz == 0 or count < 2:
        return torch.zeros(pattern.num_rows, dtype=torch.int64, device=pattern.col.device)
    return pattern.derived(f"metis {count}", cut)


def _another_end(ends: Tensor, group: Tensor, wanted: Tensor, rng: torch.Generator) -> Tensor:
    """For each edge another of the ends in the same group, so that a node is drawn by its degree.

    Args:
        ends: a node for every edge of the graph, shape (num_edges,), int64.
        group: of each node, shape (num_nodes,), int64.
        wanted: group of each end to be drawn, shape (n,), int64; each has an end at least.
        rng: generator on the device of ``ends``.

    Returns:
        Nodes, shape (n,), int64.
    """
    own = group[ends]
    order = own.argsort(stable=True)
    ordered = own[order]
    first = torch.searchsorted(ordered, wanted)
    count = torch.searchsorted(ordered, wanted, right=True) - first
    place = torch.rand(len(wanted), generator=rng, device=ends.device, dtype=torch.float64)
    return ends[order[first + (place * count).long()]]
