"""Blocks cut from blocks, and batches without their last blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.kept import Later, true_places
from gssl.graph.sparse import Pattern


@dataclass(frozen=True, eq=False)
class CutSizes:
    """What the host must know to cut rows from a block; asked on a device, and read with what is waited for next.

    Attributes:
        pattern: that of the block.
        edges: how many end in the rows.
        others: how many nodes that are none of the rows these begin at.
        touched: those nodes, shape (num_src,), bool.
    """

    pattern: Pattern
    edges: Later
    others: Later
    touched: Tensor

    @classmethod
    def of(cls, pattern: Pattern, wanted: Tensor) -> CutSizes:
        """Ask.

        Args:
            pattern: rows are destinations.
            wanted: the first destinations, and which of them are to be kept, shape (n,), bool.
        """
        there = torch.zeros(pattern.num_rows, dtype=torch.int32, device=wanted.device)
        there[: len(wanted)] = wanted
        reached = there.new_zeros(pattern.num_cols).index_add_(0, pattern.col, there[pattern.row.long()])
        reached[: len(wanted)].masked_fill_(wanted, 0)
        touched = reached > 0
        return cls(pattern, Later((pattern.counts * there).sum()), Later(touched.sum()), touched)


def restrict_rows(block: Block, rows: Tensor, sizes: CutSizes | None = None) -> tuple[Block, Tensor]:
    """The block in which only some destinations receive messages, with the sources renumbered.

    Args:
        block: rows are destinations.
        rows: distinct destinations to keep, shape (n,), int64.
        sizes: of the same destinations, where they were asked for before; those of another block count for nothing.

    Returns:
        The smaller block, normalised as in the whole one, and the ids (num_src',) int64 of its sources in the old
        numbering, ``rows`` first.
    """
    pattern, position, others = _rows_and_others(block.pattern, rows, sizes)
    new_id = rows.new_full((block.num_src,), -1)
    new_id[rows] = torch.arange(rows.numel(), device=rows.device)
    new_id[others] = torch.arange(rows.numel(), rows.numel() + others.numel(), device=rows.device)
    sources = torch.cat([rows, others])
    degree = block.degree if block.full_degree is None else block.full_degree
    cut = Block(
        Pattern(pattern.rowptr, new_id[pattern.col.long()].to(pattern.col.dtype), sources.numel()),
        None if block.weight is None else block.weight[position],
        None if block.edge_attr is None else block.edge_attr[position],
        degree[sources] if degree.numel() == block.num_src else None,
    )
    return cut, sources


def _rows_and_others(pattern: Pattern, rows: Tensor, sizes: CutSizes | None) -> tuple[Pattern, Tensor, Tensor]:
    """What ``select_rows`` gives, and the columns in it that are none of the rows, ascending.

    On a device the columns are found among all non-zeros, so that the host waits for both numbers at once.
    """
    if rows.device.type == "cpu":
        selected, position = pattern.select_rows(rows)
        touched = torch.zeros(pattern.num_cols, dtype=torch.bool)
        touched[selected.col.long()] = True
        touched[rows] = False
        return selected, position, touched.nonzero().squeeze(1)
    if sizes is None or sizes.pattern is not pattern:
        wanted = torch.zeros(pattern.num_rows, dtype=torch.bool, device=rows.device).index_fill_(0, rows, True)
        sizes = CutSizes.of(pattern, wanted)
    selected, position = pattern.select_rows(rows, total=int(sizes.edges))
    return selected, position, true_places(sizes.touched, int(sizes.others))


def before_last(batch: MiniBatch, hops: int) -> MiniBatch:
    """The batch without its last blocks, whose targets are all nodes that those blocks take messages from.

    Args:
        batch: where nodes of a full graph or of a subgraph serve every layer, they all become targets.
        hops: blocks that are left out, 0 for none.

    Returns:
        Without weights, which are those of the first ``batch.num_targets`` targets, unless these are all.
    """
    if not hops:
        return batch
    num_targets = batch.num_nodes if batch.is_square else batch.blocks[-hops].num_src
    if num_targets == batch.num_targets:
        return batch
    blocks = batch.blocks if batch.is_square else batch.blocks[:-hops]
    return replace(batch, blocks=blocks, num_targets=num_targets, weight=None)
