"""Edge adding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gssl.augment.graphwise import GraphwiseAugmenter, graph_offsets, share
from gssl.augment.perturb_edge import draw_edges, with_edges
from gssl.common.options import Fraction
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block


@dataclass(frozen=True, kw_only=True)
class AddEdge(GraphwiseAugmenter):
    """Join random nodes of each graph that are not joined yet (edge perturbation of arXiv:2102.10757, which adds only).

    A new edge has the weight and attributes of a random edge of its graph, both directions the same. Draws that hit an
    edge are discarded, so a dense graph gets fewer. Graphs with one node or no edges stay as they are.

    Attributes:
        ratio: ``floor(ratio * num_pairs)`` pairs of nodes of each graph are joined; of directed edges where they are
            drawn one by one. Self-loops are not counted.
        undirected: whether both directions of an edge come together.
    """

    ratio: Fraction = 0.1
    undirected: bool = True

    def transform(self, batch: MiniBatch, rng: torch.Generator, chosen: Tensor) -> MiniBatch:
        nodes = graph_offsets(batch)
        return batch.map_blocks(lambda block: self._joined(block, nodes, rng, chosen))

    def _joined(self, block: Block, nodes: Tensor, rng: torch.Generator, chosen: Tensor) -> Block:
        pattern = block.pattern
        edges = pattern.rowptr.long()[nodes]  # rows are sorted by graph, so edges are too
        smaller, row = pattern.pairs.ends[0], pattern.row.long()  # both ascending
        ends = smaller[~pattern.pairs.is_loop] if self.undirected else row[row != pattern.col]
        count = torch.searchsorted(ends, nodes).diff()
        amount = share(count, self.ratio) * chosen
        row, col, donor = draw_edges(block, nodes, edges, amount, rng, undirected=self.undirected)
        if self.undirected:
            row, col, donor = torch.cat([row, col]), torch.cat([col, row]), donor.repeat(2)
        return with_edges(block, block, row, col, donor)
