"""Positives that are found instead of made: near in the embedding, and near in the graph or in one cluster with it."""

from __future__ import annotations

import torch
from torch import Tensor

from gssl.graph.sparse import Pattern

NONE = -1


def edge_keys(pattern: Pattern) -> Tensor:
    """``row * num_cols + col`` of each edge, shape (num_edges,), int64, ascending."""
    return (pattern.row.long() * pattern.num_cols + pattern.col.long()).sort().values


def has_edge(keys: Tensor, row: Tensor, col: Tensor, num_cols: int) -> Tensor:
    """Whether pairs are edges.

    Args:
        keys: from :func:`edge_keys`.
        row: shape (...), int64.
        col: shape (...), int64.
        num_cols: of the pattern.

    Returns:
        Shape (...), bool.
    """
    if not len(keys):
        return torch.zeros_like(row, dtype=torch.bool)
    wanted = row * num_cols + col
    place = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    return keys[place] == wanted


def near_positives(nearest: Tensor, keys: Tensor, labels: Tensor) -> Tensor:
    """Which nearest neighbors are positives: those next to the node, and those in one cluster with it.

    AFGRL (Lee et al., 2022, arXiv:2112.02472): ``(B_i & N_i) | (B_i & C_i)``, where ``C_i`` is the union of
    the clusters that node i is in, one for each run of k-means.

    Args:
        nearest: neighbors of each node in the embedding, shape (n, k), int64; the node itself may be among them and
            then is a positive.
        keys: edges of the graph, from :func:`edge_keys`.
        labels: cluster of each node in each run, shape (runs, n), int64.

    Returns:
        Shape (n, k), int64: the neighbor, or ``NONE`` where it is no positive.
    """
    own = torch.arange(len(nearest), device=nearest.device).unsqueeze(1).expand_as(nearest)
    kept = (nearest == own) | has_edge(keys, own, nearest, len(nearest))
    for run in labels:
        kept |= run[nearest] == run.unsqueeze(1)
    return nearest.masked_fill(~kept, NONE)


def pairs_among(ids: Tensor, positives: Tensor) -> Tensor:
    """Pairs of nodes of a batch of which the second is a positive of the first.

    Args:
        ids: distinct global ids of the nodes of the batch, shape (m,), int64.
        positives: positives of every node by global id, shape (n, k), int64, from :func:`near_positives`.

    Returns:
        Rows of the batch, shape (2, num_pairs), int64; positives that are not in the batch are left out.
    """
    wanted = positives[ids]
    ordered, order = ids.sort()
    place = torch.searchsorted(ordered, wanted).clamp(max=len(ids) - 1)
    row, column = (ordered[place] == wanted).nonzero(as_tuple=True)
    return torch.stack([row, order[place[row, column]]])


def closed_neighborhoods(pattern: Pattern) -> Pattern:
    """The edges between different nodes of a graph, and an edge of each node to itself.

    Args:
        pattern: edges, shape (n, n), rows are destinations.
    """
    row, col = pattern.row.long(), pattern.col.long()
    apart, own = row != col, torch.arange(pattern.num_rows, device=row.device)
    size = pattern.num_rows
    return Pattern.from_coo(torch.cat([row[apart], own]), torch.cat([col[apart], own]), size, size)[0]


def pattern_among(pattern: Pattern, ids: Tensor) -> Pattern:
    """The non-zeros of a square pattern between some of its rows.

    Args:
        pattern: shape (n, n).
        ids: distinct rows, shape (m,), int64.

    Returns:
        Shape (m, m), rows and columns in the order of ``ids``.
    """
    ordered, order = ids.sort()
    if ids.device.type == "cpu":
        rows, _ = pattern.select_rows(ids)
        place = torch.searchsorted(ordered, rows.col.long()).clamp(max=max(len(ids) - 1, 0))
        kept = rows.filter(ordered[place] == rows.col)
    else:  # all non-zeros are looked at, so that the host waits for one number
        inner = pattern if len(ids) == pattern.num_rows else _inner(pattern, ids)
        kept, _ = inner.select_rows(ids, total=inner.nnz)
    col = order[torch.searchsorted(ordered, kept.col.long())].to(kept.col.dtype)
    return Pattern(kept.rowptr, col, len(ids))


def _inner(pattern: Pattern, ids: Tensor) -> Pattern:
    """The non-zeros between rows ``ids``, in a pattern of the same shape."""
    chosen = torch.zeros(pattern.num_rows, dtype=torch.bool, device=ids.device).index_fill_(0, ids, True)
    return pattern.filter(chosen[pattern.row.long()] & chosen[pattern.col.long()])
