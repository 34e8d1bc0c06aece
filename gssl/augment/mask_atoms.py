"""Masking of nodes and edges that are described by categories, such as atoms and bonds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gssl.augment.graphwise import graph_offsets, random_rank, segment_index, share
from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.kept import places_of
from gssl.graph.sparse import BatchFeatures, SparseMatrix, dense_features, select_features
from gssl.graph.spec import Category, GraphSpec


@dataclass(frozen=True, eq=False)
class HiddenAtoms:
    """What a view does not show.

    Attributes:
        rows: the hidden nodes, shape (num_hidden,), int64, ascending.
        codes: their categories, shape (num_hidden, num_categories), int64; -1 where the batch did not have them either.
        edges: one edge for each hidden pair of nodes, as its place in the first block, shape (num_pairs,), int64.
        edge_codes: their categories, shape (num_pairs, num_edge_categories), int64.
    """

    rows: Tensor
    codes: Tensor
    edges: Tensor
    edge_codes: Tensor


def mask_atoms(
    batch: MiniBatch, rng: torch.Generator, spec: GraphSpec, *, rate: float = 0.15, edges: bool = False
) -> tuple[MiniBatch, HiddenAtoms]:
    """Hide the categories of some nodes of every graph (attribute masking; Hu et al., 2020, arXiv:1905.12265).

    ``floor(rate * size) + 1`` nodes of each graph, as in the paper's code, get features of zero, which no node that is
    described by categories has: the sign for an encoder to put its mask there (:class:`~gssl.models.gine.GINE`).

    Args:
        batch: not changed; its blocks are square.
        rng: generator on the device of the batch.
        spec: of the data, with the categories of its nodes, and of its edges if these are hidden.
        rate: share of the nodes.
        edges: whether the edges of hidden nodes are hidden, too, in both directions.

    Returns:
        The view, and what it does not show.

    Raises:
        InputError: data that are not described by categories, or a batch that was sampled layer by layer.
    """
    _check(batch, spec, edges)
    offsets = graph_offsets(batch)
    sizes = offsets.diff()
    count = torch.minimum(share(sizes, rate) + 1, sizes)
    hidden = random_rank(offsets, rng, batch.num_nodes) < count[segment_index(offsets, batch.num_nodes)]
    block = batch.blocks[0]
    touched = [_touched(block, hidden)[block.pattern.pairs.position]] if edges else []
    rows, *chosen = places_of(hidden, *touched)
    codes = decoded(dense_features(select_features(batch.x, rows)), spec.nodes)
    view = batch.with_x(_blank(batch.x, hidden))
    pairs, edge_codes = rows[:0], rows.new_empty(0, len(spec.edges))
    if edges:
        pairs = block.pattern.pairs.position[chosen[0]]
        assert block.edge_attr is not None
        edge_codes = decoded(block.edge_attr[pairs], spec.edges)
        view = view.map_blocks(lambda b: _blank_edges(b, _touched(b, hidden)))
    return view, HiddenAtoms(rows, codes, pairs, edge_codes)


def decoded(columns: Tensor, categories: tuple[Category, ...]) -> Tensor:
    """Categories from their one-hot columns side by side.

    Args:
        columns: shape (n, columns).
        categories: whose columns they are.

    Returns:
        Shape (n, num_categories), int64; -1 where all columns of a category are zero.
    """
    parts = columns.split([category.size for category in categories], dim=1)
    return torch.stack([torch.where((part != 0).any(1), part.argmax(1), -1) for part in parts], dim=1)


def _check(batch: MiniBatch, spec: GraphSpec, edges: bool) -> None:
    if not batch.is_square:
        raise InputError(
            "masking needs whole graphs, but the batch was sampled layer by layer; use an induced propagation"
        )
    for what, wanted, categories in (("nodes", True, spec.nodes), ("edges", edges, spec.edges)):
        if wanted and not categories:
            raise InputError(f"the {what} of these data have no categories to hide; use molecules")


def _blank(x: BatchFeatures, hidden: Tensor) -> BatchFeatures:
    if not isinstance(x, SparseMatrix):
        return dense_features(x).masked_fill(hidden.unsqueeze(1), 0)
    rows = None if x.token_rows is None else x.token_rows & ~hidden
    return replace(x.filter(~hidden[x.pattern.row.long()]), token_rows=rows)


def _touched(block: Block, hidden: Tensor) -> Tensor:
    """The edges that a hidden node is at, shape (num_edges,), bool."""
    return hidden[block.pattern.row.long()] | hidden[block.pattern.col.long()]


def _blank_edges(block: Block, hidden: Tensor) -> Block:
    assert block.edge_attr is not None
    return replace(block, edge_attr=block.edge_attr.masked_fill(hidden.unsqueeze(1), 0))
