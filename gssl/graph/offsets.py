"""Offsets of rows in their non-zeros."""

from __future__ import annotations

import torch
from torch import Tensor


def row_offsets(counts: Tensor, dtype: torch.dtype) -> Tensor:
    """0, then the sums of the first counts (n,), integers; shape (n + 1,), of the given type."""
    offsets = torch.zeros(counts.numel() + 1, dtype=dtype, device=counts.device)
    torch.cumsum(counts, 0, out=offsets[1:]) if counts.dtype == dtype else offsets[1:].copy_(counts.cumsum(0))
    return offsets


def filtered_offsets(rowptr: Tensor, keep: Tensor) -> Tensor:
    """Offsets (n + 1,) of what stays of rows with the offsets ``rowptr``, of the same type; ``keep`` (nnz,), bool."""
    kept_before = torch.zeros(keep.numel() + 1, dtype=rowptr.dtype, device=keep.device)
    kept_before[1:] = keep.cumsum(0)
    return kept_before[rowptr.long()]
