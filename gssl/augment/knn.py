"""Nearest neighbors of all rows of a matrix."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gssl.common.errors import InputError


@torch.no_grad()
def top_k_cosine(x: Tensor, k: int, chunk: int = 1024, *, keys: Tensor | None = None, own: bool = True) -> Tensor:
    """The rows of greatest cosine similarity to each row (AFGRL, Lee et al., 2022, arXiv:2112.02472, sec. 4.1).

    Time is quadratic in the number of rows, memory is not. (The indices that PyG offers need faiss.)

    Args:
        x: shape (n, dim), float.
        k: neighbors of each row.
        chunk: rows whose similarities to all others are in memory at a time.
        keys: what neighbors are sought among, shape (n, dim), for example the embeddings of the same nodes by a target
            encoder; None for ``x``.
        own: whether the row itself is its first neighbor, as in AFGRL; else it is none of them.

    Returns:
        Shape (n, k), int64, the nearest first; on the device of ``x``.

    Raises:
        InputError: k is not positive or there are not as many rows, or keys of another shape.
    """
    keys = x if keys is None else keys
    if keys.shape != x.shape:
        raise InputError(f"rows and keys must be of one shape (got {tuple(x.shape)} and {tuple(keys.shape)})")
    available = len(x) if own else len(x) - 1
    if not 1 <= k <= available:
        raise InputError(f"k must be between 1 and {available}, the number of rows to choose from (got {k})")
    unit, others = normalize(x, dim=1), normalize(keys, dim=1).T
    found = []
    for first in range(0, len(x), max(chunk, 1)):
        similarity = unit[first : first + max(chunk, 1)] @ others
        rows = torch.arange(len(similarity), device=x.device)
        similarity[rows, rows + first] = torch.inf if own else -torch.inf
        found.append(similarity.topk(k, dim=1).indices)
    return torch.cat(found)
