"""Edge perturbation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gssl.augment.graphwise import GraphwiseAugmenter, Step, graph_offsets, random_rank, segment_index, share
from gssl.common.errors import InputError
from gssl.common.options import Fraction
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.kept import Later, kept_beside, kept_of, places_of
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
        return self.planned(batch, chosen)(batch, rng)

    def planned(self, batch: MiniBatch, chosen: Tensor) -> Step:
        nodes = graph_offsets(batch)
        amounts = {id(block): self._amount(block, nodes, chosen) for block in batch.blocks}
        totals = {key: Later(drawn_in(nodes, amount).sum()) for key, amount in amounts.items()} if self.add else {}
        asked = [totals.get(id(block)) for block in batch.blocks]

        def step(changed: MiniBatch, rng: torch.Generator) -> MiniBatch:
            offsets, known = graph_offsets(changed), iter(asked)
            return changed.map_blocks(lambda block: self._perturb(block, offsets, rng, chosen, next(known)))

        return step

    def _amount(self, block: Block, nodes: Tensor, chosen: Tensor) -> Tensor:
        """Edges that go, or come, in each graph, shape (num_graphs,), int64."""
        return share(block.pattern.rowptr.long()[nodes].diff(), self.ratio) * chosen

    def _perturb(self, block: Block, nodes: Tensor, rng: torch.Generator, chosen: Tensor, total: Later | None) -> Block:
        edges = block.pattern.rowptr.long()[nodes]  # rows are sorted by graph, so edges are too
        amount = self._amount(block, nodes, chosen)
        masks = []
        if self.remove:
            rank = random_rank(edges, rng, block.num_edges)
            masks.append(block.pattern.mask(rank >= amount[segment_index(edges, block.num_edges)]))
        if total is None:
            return block.left_by(*kept_of(masks))
        row, col, donor, new = _drawn(block, nodes, edges, amount, rng, total=int(total), undirected=False)
        kept, (places,), _ = kept_beside(masks, [new])
        left = block.left_by(kept[0]) if kept else block
        return with_edges(left, block, row[places], col[places], donor[places])


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
    total = int(drawn_in(nodes, amount).sum())
    row, col, donor, new = _drawn(block, nodes, edges, amount, rng, total=total, undirected=undirected)
    (places,) = places_of(new)
    return row[places], col[places], donor[places]


def drawn_in(nodes: Tensor, amount: Tensor) -> Tensor:
    """Pairs that are drawn in each graph, shape (num_graphs,), int64: none where there are no two nodes."""
    return amount * (nodes.diff() > 1)


def _drawn(
    block: Block,
    nodes: Tensor,
    edges: Tensor,
    amount: Tensor,
    rng: torch.Generator,
    *,
    total: int,
    undirected: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Row, column and donor of ``total`` pairs, each (total,) int64, and which of them are new, (total,) bool."""
    graphs = torch.arange(amount.numel(), device=amount.device)
    sizes = nodes.diff()
    graph = graphs.repeat_interleave(drawn_in(nodes, amount), output_size=total)
    draws = torch.rand(3, total, generator=rng, device=amount.device, dtype=torch.float64)
    size = sizes[graph]
    row = (draws[0] * size).long()
    col = (row + 1 + (draws[1] * (size - 1)).long()) % size
    donor = edges[graph] + (draws[2] * edges.diff()[graph]).long()
    row, col = row + nodes[graph], col + nodes[graph]
    return row, col, donor, are_new(block.pattern, row, col, undirected)


def are_new(pattern: Pattern, row: Tensor, col: Tensor, undirected: bool) -> Tensor:
    """Which of the drawn edges neither are in ``pattern`` nor were drawn before, shape (num_drawn,), bool."""
    key = _edge_keys(row, col, pattern.num_cols, undirected)
    order = torch.argsort(key, stable=True)
    repeated = torch.zeros_like(key, dtype=torch.bool)
    repeated[order[1:]] = key[order[1:]] == key[order[:-1]]
    existing = _edge_keys(pattern.row.long(), pattern.col.long(), pattern.num_cols, undirected).sort().values
    if not existing.numel():
        return ~repeated
    place = torch.searchsorted(existing, key).clamp(max=existing.numel() - 1)  # ``isin`` would make the host wait
    return ~(repeated | (existing[place] == key))


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
