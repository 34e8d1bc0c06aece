"""A second row for every target, which sees its neighbors and not itself, and which nobody sees."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.sparse import BatchFeatures, Pattern, SparseMatrix, dense_features, select_features


def with_shadows(batch: MiniBatch, token: Tensor) -> MiniBatch:
    """The attribute-generation nodes of GPT-GNN (Hu et al., 2020, arXiv:2006.15437, sec. 3.4).

    Each target gets a shadow: a row with the target's incoming edges in every block, without outgoing ones, whose
    features are the token. So one pass of an encoder gives embeddings that know a node's own features, and those of
    shadows, from which the features can be predicted.

    Args:
        batch: of one graph; not changed.
        token: features of the shadows, shape (in_dim,); gradients reach it.

    Returns:
        A batch with twice as many targets: first those of ``batch``, then their shadows, in the same order. Weights of
        targets are those of their shadows, too.
    """
    count = batch.num_targets
    targets = torch.arange(count, device=batch.device)
    rows = torch.cat([targets, torch.arange(batch.num_nodes, device=batch.device)])
    shadow = torch.zeros(len(rows), dtype=torch.bool, device=batch.device)
    shadow[count : 2 * count] = True
    view = batch.with_x(_features(batch.x, rows, shadow, token)).map_blocks(lambda block: _doubled(block, count))
    return replace(
        view,
        node_ids=batch.node_ids[rows],
        num_targets=2 * count,
        weight=None if batch.weight is None else batch.weight.repeat(2),
    )


def _features(x: BatchFeatures, rows: Tensor, shadow: Tensor, token: Tensor) -> BatchFeatures:
    chosen = select_features(x, rows)
    if isinstance(chosen, SparseMatrix):
        kept = chosen.filter(~shadow[chosen.pattern.row.long()])
        return SparseMatrix(kept.pattern, kept.value, token, shadow)
    return torch.where(shadow.unsqueeze(1), token.to(chosen.dtype), dense_features(chosen))


def _doubled(block: Block, count: int) -> Block:
    """A block whose first destinations are there twice, one after the other, and whose later sources are moved."""
    device = block.pattern.col.device
    rows = torch.cat([torch.arange(count, device=device), torch.arange(block.num_dst, device=device)])
    chosen, position = block.pattern.select_rows(rows)
    col = torch.where(chosen.col < count, chosen.col, chosen.col + count)
    full_degree = block.full_degree
    return Block(
        Pattern(chosen.rowptr, col, block.num_src + count),
        None if block.weight is None else block.weight[position],
        None if block.edge_attr is None else block.edge_attr[position],
        None if full_degree is None else torch.cat([full_degree[:count], full_degree]),
    )
