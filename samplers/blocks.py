"""Blocks cut from blocks."""

from __future__ import annotations

import torch
from torch import Tensor

from gssl.samplers.batch import Block
from gssl.samplers.sparse import Pattern


def restrict_rows(block: Block, rows: Tensor) -> tuple[Block, Tensor]:
    """The block in which only some destinations receive messages, with the sources renumbered.

    Args:
        block: rows are destinations.
        rows: distinct destinations to keep, shape (n,), int64.

    Returns:
        The smaller block, normalised as in the whole one, and the ids (num_src',) int64 of its sources in the old
        numbering, ``rows`` first.
    """
    pattern, position = block.pattern.select_rows(rows)
    new_id = rows.new_full((block.num_src,), -1)
    new_id[rows] = torch.arange(rows.numel(), device=rows.device)
    touched = torch.zeros(block.num_src, dtype=torch.bool, device=rows.device)
    touched[pattern.col.long()] = True
    touched[rows] = False
    others = touched.nonzero().squeeze(1)
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


def induced_rows(block: Block, nodes: Tensor) -> Block:
    """The edges of a square block among some nodes, renumbered, normalised as in the whole block.

    Args:
        block: square.
        nodes: distinct, shape (n,), int64; row and column i of the result are ``nodes[i]``.
    """
    pattern, position = block.pattern.select_rows(nodes)
    number = torch.full((block.num_src,), -1, dtype=pattern.col.dtype, device=nodes.device)
    number[nodes] = torch.arange(len(nodes), dtype=pattern.col.dtype, device=nodes.device)
    inside = number[pattern.col.long()] >= 0
    kept = pattern.filter(inside)
    degree = block.degree if block.full_degree is None else block.full_degree
    return Block(
        Pattern(kept.rowptr, number[kept.col.long()], len(nodes)),
        None if block.weight is None else block.weight[position[inside]],
        None if block.edge_attr is None else block.edge_attr[position[inside]],
        degree[nodes],
    )


def touching_rows(block: Block, rows: Tensor) -> tuple[Block, Tensor]:
    """All edges of a square block that begin or end in some nodes, renumbered, normalised as in the whole block.

    Args:
        block: square.
        rows: distinct nodes, shape (n,), int64.

    Returns:
        A square block over ``rows`` and their neighbours in either direction, in which the first n rows and columns
        are complete, and the ids of its nodes, ``rows`` first.
    """
    into, position_in = block.pattern.select_rows(rows)
    turned, order = block.pattern.transposed
    out_of, position_out = turned.select_rows(rows)
    member = torch.zeros(block.num_src, dtype=torch.bool, device=rows.device)
    member[rows] = True
    leaving = ~member[out_of.col.long()]  # the others are among those that end in ``rows`` already
    member[into.col.long()] = True
    member[out_of.col.long()] = True
    member[rows] = False
    nodes = torch.cat([rows, member.nonzero().squeeze(1)])
    number = torch.empty(block.num_src, dtype=torch.int64, device=rows.device)
    number[nodes] = torch.arange(len(nodes), device=rows.device)
    target = torch.cat([into.row.long(), number[out_of.col[leaving].long()]])
    source = torch.cat([number[into.col.long()], out_of.row[leaving].long()])
    position = torch.cat([position_in, order[position_out[leaving]]])
    pattern, sorting = Pattern.from_coo(target, source, len(nodes), len(nodes))
    position = position[sorting]
    degree = block.degree if block.full_degree is None else block.full_degree
    cut = Block(
        pattern,
        None if block.weight is None else block.weight[position],
        None if block.edge_attr is None else block.edge_attr[position],
        degree[nodes],
    )
    return cut, nodes
