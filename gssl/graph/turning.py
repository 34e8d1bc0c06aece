"""Edges seen from their other end: what makes transposes on demand, and where opposites stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

Pattern = TypeVar("Pattern")


@dataclass(eq=False)
class Turner(Generic[Pattern]):
    """Makes transposes of patterns of one kind, such as the blocks of one layer, when somebody first asks for one.

    Attributes:
        make: what ``transposed`` is of a pattern on the CPU, faster than by a sort.
        asked: whether a transpose of the kind was ever asked for, so that those to come are better made ahead.
    """

    make: Callable[[Pattern], tuple[Pattern, Tensor]]
    asked: bool = False


def opposites(row: Tensor, col: Tensor, size: int) -> Tensor:
    """What :attr:`gssl.graph.sparse.Pattern.reverse` is of non-zeros.

    Args:
        row: shape (nnz,), int64, below ``size``.
        col: alike.
        size: of the numbering that both share.
    """
    key = row * size + col
    ordered, order = torch.sort(key, stable=True)
    copy = torch.empty_like(order)  # how many non-zeros at the same place come before
    copy[order] = torch.arange(key.numel(), device=key.device) - torch.searchsorted(ordered, ordered)
    opposite = col * size + row
    place = torch.searchsorted(ordered, opposite) + copy
    inside = place < key.numel()
    place = place.where(inside, 0)
    return order[place].where(inside & (ordered[place] == opposite), -1)
