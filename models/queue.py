"""Keys of former batches as negatives."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize


class NegativesQueue(nn.Module):
    """The last keys, first in first out (MoCo, He et al., 2020, arXiv:1911.05722, algorithm 1).

    It begins with random unit rows, as in the authors' code, so that it is full from the first step on. A method pushes
    keys after a step (:meth:`~gssl.method.Method.after_step`), so that a loss does not change what the next one sees.
    All of it is in the state dict.

    Args:
        size: rows that it holds.
        dim: columns of a key.
    """

    rows: Tensor
    weight: Tensor
    position: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("rows", normalize(torch.randn(size, dim), dim=1))
        self.register_buffer("weight", torch.ones(size))
        self.register_buffer("position", torch.zeros((), dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.rows)

    @torch.no_grad()
    def push(self, keys: Tensor, weight: Tensor | None = None) -> None:
        """Put keys in the place of the oldest ones; of more keys than there is room for the last ones stay.

        Args:
            keys: shape (n, dim), float.
            weight: importance weight of each, shape (n,), float; None means 1 each. It stays with its key.
        """
        weight = keys.new_ones(len(keys)) if weight is None else weight
        last = slice(max(len(keys) - len(self), 0), None)
        steps = torch.arange(len(keys), device=self.rows.device)[last]
        place = (self.position + steps) % len(self)
        self.rows[place] = keys[last].to(self.rows)
        self.weight[place] = weight[last].to(self.weight)
        self.position.add_(len(keys)).remainder_(len(self))

    def newest(self, count: int) -> tuple[Tensor, Tensor]:
        """The last keys, the newest first, at most as many as it holds.

        Args:
            count: how many; of those that were pushed, or rows that it began with come, too.

        Returns:
            Shapes (n, dim) and (n,): the keys and their weights.
        """
        steps = torch.arange(1, min(count, len(self)) + 1, device=self.rows.device)
        place = (self.position - steps) % len(self)
        return self.rows[place], self.weight[place]
