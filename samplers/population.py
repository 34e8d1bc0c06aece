"""The items that targets are drawn from."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

Ids = Tensor | range
"""Global node ids: listed, shape (n,), int64, or those that follow each other, which take no memory."""


class Population:
    """Distinct nodes in a fixed order; all nodes, in the order of their ids, take no memory.

    Args:
        size: number of items.
        ids: global node ids, shape (size,), int64; None means that item i is node i.
    """

    def __init__(self, size: int, ids: Tensor | None = None) -> None:
        self.size = size
        self._ids = ids

    @classmethod
    def of(cls, ids: Tensor) -> Population:
        """Some nodes."""
        return cls(len(ids), ids)

    def __len__(self) -> int:
        return self.size

    @cached_property
    def ids(self) -> Tensor:
        """All ids, shape (size,), int64; kept from then on."""
        return torch.arange(self.size) if self._ids is None else self._ids

    def at(self, positions: Tensor) -> Tensor:
        """Ids of the items at some positions, shape (n,), int64."""
        return positions if self._ids is None else self._ids.index_select(0, positions)

    def run(self, start: int, end: int) -> Ids:
        """Ids of the items from position ``start`` to ``end``, which may lie beyond the last, int64."""
        return range(start, min(end, self.size)) if self._ids is None else self._ids[start:end]

    def in_order(self) -> Population:
        """The same items with rising ids."""
        return self if self._ids is None else Population.of(self._ids.sort().values)

    def find(self, ids: Tensor) -> Tensor | None:
        """Positions of some ids, shape (n,), int64, where the ids of the population rise; None if one is not in it."""
        if len(ids) == 0:
            return ids
        if self._ids is None:
            return ids if int(ids.min()) >= 0 and int(ids.max()) < self.size else None
        positions = torch.searchsorted(self._ids, ids).clamp(max=self.size - 1)
        return positions if torch.equal(self._ids[positions], ids) else None
