"""Node masking with a learned token, the corruption of masked autoencoders."""

from __future__ import annotations

import torch
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import SparseMatrix, dense_features, select_features


def mask_nodes(
    batch: MiniBatch, token: Tensor, *, rate: float, replace_rate: float, rng: torch.Generator
) -> tuple[MiniBatch, Tensor, Tensor]:
    """Hide the features of some nodes (GraphMAE, Hou et al., 2022, arXiv:2205.10803, sec. 3.1).

    The same share of the targets and of the other rows of a sampled batch, at least one target.

    Args:
        batch: not changed.
        token: learned mask token, shape (in_dim,); gradients reach it.
        rate: share of the nodes to mask.
        replace_rate: share of the masked ones that get the features of a random node instead of the token.
        rng: on the device of the batch.

    Returns:
        The view, the masked targets, shape (num_masked,), and the other masked rows, shape (n,), both int64.
    """
    num_targets, num_others = batch.num_targets, batch.num_nodes - batch.num_targets
    replaced, hidden = _split(num_targets, max(1, round(rate * num_targets)), replace_rate, rng)
    masked = torch.cat([replaced, hidden])
    others = masked[:0]
    if num_others:
        parts = [part + num_targets for part in _split(num_others, round(rate * num_others), replace_rate, rng)]
        others = torch.cat(parts)
        replaced, hidden = (torch.cat(both) for both in zip((replaced, hidden), parts, strict=True))
    return hide_nodes(batch, token, replaced, hidden, rng), masked, others


def hide_nodes(batch: MiniBatch, token: Tensor, replaced: Tensor, hidden: Tensor, rng: torch.Generator) -> MiniBatch:
    """The batch with other features at some nodes.

    Args:
        batch: not changed.
        token: mask token, shape (in_dim,); gradients reach it.
        replaced: rows that get the features of a random node, shape (n,), int64.
        hidden: rows that get the token, shape (m,), int64.
        rng: on the device of the batch.
    """
    source = torch.arange(batch.num_nodes, device=rng.device)
    source[replaced] = torch.randint(batch.num_nodes, (replaced.numel(),), generator=rng, device=rng.device)
    is_hidden = torch.zeros(batch.num_nodes, dtype=torch.bool, device=rng.device)
    is_hidden[hidden] = True
    x = select_features(batch.x, source)
    if isinstance(x, SparseMatrix):
        kept = x.filter(~is_hidden[x.pattern.row.long()])
        return batch.with_x(SparseMatrix(kept.pattern, kept.value, token, is_hidden))
    return batch.with_x(torch.where(is_hidden.unsqueeze(1), token.to(x.dtype), dense_features(x)))


def _split(count: int, num_masked: int, replace_rate: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows below ``count`` that get another node's features, and those that get the token, int64."""
    masked = torch.randperm(count, generator=rng, device=rng.device)[:num_masked]
    num_replaced = int(replace_rate * num_masked)
    return masked[:num_replaced], masked[num_replaced:]
