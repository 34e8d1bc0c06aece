"""Gradient norms that were observed, and how old they are."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.samplers.probability import finite_norms


class NormTable:
    """The last observed gradient norm of each item and the step at which it was seen.

    Args:
        ids: distinct node ids of the items, rising, shape (N,), int64.
    """

    def __init__(self, ids: Tensor) -> None:
        self.ids = ids
        self.norm = torch.full((len(ids),), torch.nan)
        self.seen = torch.zeros(len(ids), dtype=torch.int32)
        self._everyone = bool(len(ids)) and int(ids[-1]) == len(ids) - 1  # distinct and rising: each is its position

    def record(self, ids: Tensor, norms: Tensor, *, now: int) -> None:
        """Write down norms.

        Args:
            ids: node ids, shape (n,), int64.
            norms: shape (n,), not negative.
            now: step at which they were observed.

        Raises:
            InputError: the shapes differ, an id is not that of an item, or a norm is negative.
            TrainingError: a norm is NaN or infinite; nothing is written.
        """
        if ids.shape != norms.shape:
            raise InputError(f"there are {tuple(norms.shape)} gradient norms for {tuple(ids.shape)} nodes")
        values = torch.from_numpy(finite_norms(norms)).float()
        position = self._position(ids.cpu())
        self.norm.index_copy_(0, position, values)
        self.seen.index_fill_(0, position, now)

    def _position(self, ids: Tensor) -> Tensor:
        if self._everyone:
            inside = not len(ids) or (int(ids.min()) >= 0 and int(ids.max()) < len(self.ids))
            position = ids
        else:
            position = torch.searchsorted(self.ids, ids).clamp(max=len(self.ids) - 1)
            inside = torch.equal(self.ids[position], ids)
        if not inside:
            raise InputError("gradient norms were observed for nodes that are not in the population")
        return position

    def estimate(self, position: Tensor | None = None, *, now: int, staleness: float = 0.0) -> Tensor:
        """Norms as one believes them to be.

        Args:
            position: items, shape (n,), int64; None means all.
            now: the current step.
            staleness: share of its distance to the mean that a norm loses in each step since it was seen.

        Returns:
            Shape (n,), float64. What was never observed counts as the mean of the rest; 0 where nothing was.
        """
        values = _at(self.norm, position).numpy().astype(np.float64)
        unknown = np.isnan(values)
        anything_unknown = bool(unknown.any())
        if not anything_unknown and not staleness:
            return torch.from_numpy(values)
        known = values.size - int(unknown.sum())
        mean = float(values.sum(where=~unknown)) / max(known, 1)
        if staleness:
            age = np.maximum(now - _at(self.seen, position).numpy(), 0)
            values = mean + (values - mean) * np.exp(age * np.log1p(-staleness))
        values[unknown] = mean
        return torch.from_numpy(values)


def _at(values: Tensor, position: Tensor | None) -> Tensor:
    return values if position is None else values.index_select(0, position)
