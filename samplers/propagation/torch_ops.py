"""The algorithms of the kernels in torch operators, for any device."""

from __future__ import annotations

import torch
from torch import Tensor

from gssl.samplers.rng import below, hash64
from gssl.samplers.sparse import Pattern


def uniform_edges(pattern: Pattern, rows: Tensor, fanout: int, stream: int) -> tuple[Tensor, Tensor]:
    """The picks of :func:`gssl.samplers.kernels.expand.uniform_hop`.

    Returns:
        Offsets of the picks of each row, shape (num_rows + 1,), int64, and the edge that each is, shape (nnz,), int64.
    """
    start, degree = pattern.rowptr[rows].long(), pattern.counts[rows].long()
    kept = degree if fanout < 0 else degree.clamp(max=fanout)
    offsets = torch.zeros(len(rows) + 1, dtype=torch.int64, device=rows.device)
    torch.cumsum(kept, 0, out=offsets[1:])
    total = int(offsets[-1])
    shift = (start - offsets[:-1]).repeat_interleave(kept, output_size=total)
    position = torch.arange(total, device=rows.device) + shift
    large = (degree > kept).nonzero().squeeze(1)
    if fanout > 0 and len(large):
        picks = floyd(hash64(stream, rows[large]), degree[large], fanout)
        place = offsets[large].unsqueeze(1) + torch.arange(fanout, device=rows.device)
        position[place] = start[large].unsqueeze(1) + picks
    return offsets, position


def floyd(streams: Tensor, degree: Tensor, fanout: int) -> Tensor:
    """``fanout`` different numbers below each degree, each subset equally likely (Bentley, 1987), one column a pick.

    Args:
        streams: random stream of each row, shape (n,), int64.
        degree: above ``fanout``, shape (n,), int64.
        fanout: picks.

    Returns:
        Shape (n, fanout), int64, in the order of the picks.
    """
    picks = torch.empty(len(degree), fanout, dtype=torch.int64, device=degree.device)
    for i in range(fanout):
        last = degree - fanout + i
        choice = below(hash64(streams, torch.full_like(degree, i)), last + 1)
        again = (picks[:, :i] == choice.unsqueeze(1)).any(1)
        picks[:, i] = torch.where(again, last, choice)
    return picks


def renumber(nodes: Tensor, sources: Tensor) -> tuple[Tensor, Tensor]:
    """Number sources within a batch, new ones in order of first appearance.

    Args:
        nodes: distinct ids of the batch, shape (n,), int64.
        sources: shape (nnz,), ids.

    Returns:
        The ids with the new ones at the end, and the number of each source, shape (nnz,), int64.
    """
    ids = torch.cat([nodes, sources.long()])
    distinct, inverse = torch.unique(ids, return_inverse=True)
    places = torch.arange(len(ids), device=ids.device)
    first = torch.full_like(distinct, len(ids)).scatter_reduce(0, inverse, places, "amin")
    order = torch.argsort(first)
    number = torch.empty_like(order)
    number[order] = torch.arange(len(order), device=ids.device)
    return distinct[order], number[inverse[len(nodes) :]]
