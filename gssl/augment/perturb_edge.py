"""Edge perturbation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gssl.augment.graphwise import GraphwiseAugmenter, graph_offsets, random_rank, segment_index, share
from gssl.common.errors import InputError
from gssl.common.options import Fraction
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.sparse import Pattern


@dataclass(frozen=True, kw_only=True)
class PerturbEdge(GraphwiseAugmenter):
    """Remove a random share of the edges of each graph and add as many at random (GraphCL, You et al., 2020).

    Directed edges are drawn independently, as in GraphCL's code, whose unsupervised part removes edges only
    (``add=False``); the paper adds as many. A new edge joins two different nodes of one graph
    that are not joined yet (draws that do not are discarded, so a dense graph gets fewer), and has the weight and
    attributes of a random edge of its graph. Graphs with one node or no edges stay as they are.

    Attributes:
        ratio: ``floor(ratio * num_edges)`` directed edges of each graph go, and as many are drawn anew.
        remove: whether edges go.
        add: whether edges come.
    """

    ratio: Fraction = 0.2
    remove: bool = True
    add: bool = True

    def __post_init__(self) -> None:
        if not (self.remove or self.add):
            raise InputError("perturb_edge with remove=False and add=False changes nothing; set one of them")

    def transform(self, batch: MiniBatch, rng: torch.Generator, chosen: Tensor) -> MiniBatch:
        nodes = graph_offsets(batch)
        return batch.map_blocks(lambda block: self._perturb(block, nodes, rng, chosen))

    def _perturb(self, block: Block, nodes: Tensor, rng: torch.Generator, chosen: Tensor) -> Block:
        edges = block.pattern.rowptr.long()[nodes]  # rows are sorted by graph, so edges are too
        amount = share(edges.diff(), self.ratio) * chosen
        left = block
        if self.remove:
            left = block.filter(random_rank(edges, rng) >= amount[segment_index(edges)])
        return with_edges(left, block, *draw_edges(block, nodes, edges, amount, rng)) if self.add else left


def draw_edges(
    block: Block, nodes: Tensor, edges: Tensor, amount: Tensor, rng: torch.Generator, *, undirected: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Random pairs of different nodes of one graph that are not joined yet, each with an edge of that graph.

    Args:
        block: square.
        nodes: offsets of the graphs in the nodes, shape (num_graphs + 1,), int64.
        edges: offsets of the graphs in the edges, shape (num_graphs + 1,), int64.
        amount: pairs to draw in each graph, shape (num_graphs,), int64; 0 in graphs without edges.
        rng: generator on the device of the block.
        undirected: whether nodes that are joined in either direction are joined, and (i, j) and (j, i) are one pair.

    Returns:
        Row, column and donor of each pair, each (num_pairs,) int64; at most ``amount`` in a graph.
    """
    graphs = torch.arange(amount.numel(), device=amount.device)
    sizes = nodes.diff()
    graph = graphs.repeat_interleave(amount * (sizes > 1))
    draws = torch.rand(3, graph.numel(), generator=rng, device=amount.device, dtype=torch.float64)
    size = sizes[graph]
    row = (draws[0] * size).long()
    col = (row + 1 + (draws[1] * (size - 1)).long()) % size
    donor = edges[graph] + (draws[2] * edges.diff()[graph]).long()
    row, col = row + nodes[graph], col + nodes[graph]
    new = are_new(block.pattern, row, col, undirected)
    return row[new], col[new], donor[new]


def are_new(pattern: Pattern, row: Tensor, col: Tensor, undirected: bool) -> Tensor:
    """Which of the drawn edges neither are in ``pattern`` nor were drawn before, shape (num_drawn,), bool."""
    key = _edge_keys(row, col, pattern.num_cols, undirected)
    order = torch.argsort(key, stable=True)
    repeated = torch.zeros_like(key, dtype=torch.bool)
    repeated[order[1:]] = key[order[1:]] == key[order[:-1]]
    existing = _edge_keys(pattern.row.long(), pattern.col.long(), pattern.num_cols, undirected)
    return ~(repeated | torch.isin(key, existing))


def _edge_keys(row: Tensor, col: Tensor, num_cols: int, undirected: bool) -> Tensor:
    if undirected:
        row, col = torch.minimum(row, col), torch.maximum(row, col)
    return row * num_cols + col


def with_edges(left: Block, donors: Block, row: Tensor, col: Tensor, donor: Tensor) -> Block:
    """``left`` and the edges (row, col), whose weights and attributes come from the edges ``donor`` of ``donors``."""
    rows = torch.cat([left.pattern.row.long(), row])
    columns = torch.cat([left.pattern.col.long(), col])
    pattern, order = Pattern.from_coo(rows, columns, left.num_dst, left.num_src)

    def joined(kept: Tensor | None, source: Tensor | None) -> Tensor | None:
        return None if kept is None or source is None else torch.cat([kept, source[donor]])[order]

    weight = joined(left.weight, donors.weight)
    return Block(pattern, weight, joined(left.edge_attr, donors.edge_attr), left.full_degree)
