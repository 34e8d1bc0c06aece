"""Node masking with a learned token, the corruption of masked autoencoders."""

from __future__ import annotations

import torch
from torch import Tensor

from gssl.samplers.batch import MiniBatch
from gssl.samplers.sparse import SparseMatrix, select_features


def mask_nodes(
    batch: MiniBatch, token: Tensor, *, rate: float, replace_rate: float, rng: torch.Generator
) -> tuple[MiniBatch, Tensor]:
    """Hide the features of some targets (GraphMAE, Hou et al., 2022, arXiv:2205.10803, sec. 3.1).

    Args:
        batch: not changed.
        token: learned mask token, shape (in_dim,); gradients reach it.
        rate: share of the targets to mask.
        replace_rate: share of the masked ones that get the features of a random node instead of the token.
        rng: on the device of the batch.

    Returns:
        The view, and the masked rows, shape (num_masked,), int64.
    """
    device = rng.device
    num_masked = max(1, round(rate * batch.num_targets))
    masked = torch.randperm(batch.num_targets, generator=rng, device=device)[:num_masked]
    num_replaced = int(replace_rate * num_masked)
    replaced, hidden = masked[:num_replaced], masked[num_replaced:]
    source = torch.arange(batch.num_nodes, device=device)
    source[replaced] = torch.randint(batch.num_nodes, (num_replaced,), generator=rng, device=device)
    is_hidden = torch.zeros(batch.num_nodes, dtype=torch.bool, device=device)
    is_hidden[hidden] = True
    x = select_features(batch.x, source)
    if isinstance(x, SparseMatrix):
        kept = x.filter(~is_hidden[x.pattern.row.long()])
        return batch.with_x(SparseMatrix(kept.pattern, kept.value, token, is_hidden)), masked
    return batch.with_x(torch.where(is_hidden.unsqueeze(1), token.to(x.dtype), x)), masked
