"""Gradient norms that were observed, and how old they are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numba import njit
from torch import Tensor

from gssl.common.errors import InputError
from gssl.samplers.population import Population
from gssl.samplers.probability import PIECE, Pieces, finite_norms, held


class NormTable:
    """The last observed gradient norm of each item and, where its age matters, the step at which it was seen.

    Args:
        items: with rising ids.
        staleness: share of its distance to the mean that a norm loses in each step since it was seen.

    Attributes:
        norm: shape (N,), float32, NaN where nothing was observed.
        seen: shape (N,), int32; None without ``staleness``.
    """

    def __init__(self, items: Population, *, staleness: float = 0.0) -> None:
        self.items = items
        self.staleness = staleness
        self.norm = torch.full((len(items),), torch.nan)
        self.seen = torch.zeros(len(items), dtype=torch.int32) if staleness else None
        self._waiting: list[tuple[Tensor, Tensor, int]] = []

    def record(self, ids: Tensor, norms: Tensor, *, now: int) -> None:
        """Write down norms; they count from the next :meth:`estimate` on.

        Those of a device stay there until somebody asks for them, and are looked at then.

        Args:
            ids: node ids, shape (n,), int64.
            norms: shape (n,), not negative, on any device.
            now: step at which they were observed.

        Raises:
            InputError: the shapes differ, an id is not that of an item, or a norm is negative.
            TrainingError: a norm is NaN or infinite; nothing is written.
        """
        if ids.shape != norms.shape:
            raise InputError(f"there are {tuple(norms.shape)} gradient norms for {tuple(ids.shape)} nodes")
        values = norms.detach()
        if values.device.type == "cpu":
            values = torch.from_numpy(finite_norms(norms)).float()
        positions = self.items.find(ids.cpu())
        if positions is None:
            raise InputError("gradient norms were observed for nodes that are not in the population")
        self._waiting.append((positions.clone(), values, now))  # ids are a view of all rows of a batch

    def state_dict(self) -> dict[str, Tensor]:
        """Copies of the norms and of what is known of their age, with all that was recorded."""
        state = {"norm": self.norm.clone()} | ({} if self.seen is None else {"seen": self.seen.clone()})
        self._take_into(state["norm"], state.get("seen"))
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over what :meth:`state_dict` gave."""
        self._waiting.clear()
        self.norm = state["norm"].clone()
        if self.seen is not None:
            self.seen = state["seen"].clone()

    def _take_into(self, norm: Tensor, seen: Tensor | None) -> None:
        self._fetch()
        for positions, values, now in self._waiting:
            norm.index_copy_(0, positions, values)
            if seen is not None:
                seen.index_fill_(0, positions, now)

    def _fetch(self) -> None:
        """Bring what lies on a device, in one copy."""
        away = [number for number, (_, values, _) in enumerate(self._waiting) if values.device.type != "cpu"]
        if not away:
            return
        found = torch.cat([self._waiting[number][1] for number in away]).cpu()
        parts = torch.from_numpy(finite_norms(found)).float().split([len(self._waiting[n][0]) for n in away])
        for number, part in zip(away, parts, strict=True):
            positions, _, now = self._waiting[number]
            self._waiting[number] = positions, part, now

    def estimate(self, positions: Tensor | None = None, *, now: int) -> Pieces:
        """Norms as one believes them to be, float64; they stay so until the next estimate.

        Args:
            positions: of items, shape (n,), int64; None means all.
            now: the current step.

        Returns:
            What was never observed counts as the mean of the rest; 0 where nothing was.
        """
        self._take_into(self.norm, self.seen)
        self._waiting.clear()
        norm, seen = _at(self.norm, positions), None if self.seen is None else _at(self.seen, positions)
        mean, complete = _mean_of_known(norm)
        as_seen = seen is None and complete

        def pieces() -> Iterator[np.ndarray]:
            for start in range(0, len(norm), PIECE):
                part = slice(start, start + PIECE)
                values = norm[part].numpy().astype(np.float64)
                yield values if as_seen else self._believed(values, None if seen is None else now - seen[part], mean)

        return held(pieces, len(norm))  # they are read several times

    def _believed(self, values: np.ndarray, age: Tensor | None, mean: float) -> np.ndarray:
        unknown = np.isnan(values)
        if age is not None:
            steps = np.maximum(age.numpy(), 0)
            values = mean + (values - mean) * np.exp(steps * np.log1p(-self.staleness))
        values[unknown] = mean
        return values


def _mean_of_known(norm: Tensor) -> tuple[float, bool]:
    """Mean of what is not NaN, 0 where everything is, and whether nothing is."""
    total, known = _known(norm.numpy())
    return total / max(known, 1), known == len(norm)


@njit(nogil=True, cache=True)
def _known(norms: np.ndarray) -> tuple[float, int]:
    """Sum and number of what is not NaN."""
    total, known = 0.0, 0
    for norm in norms:
        there = not np.isnan(norm)
        total += norm if there else 0.0
        known += there
    return total, known


def _at(values: Tensor, positions: Tensor | None) -> Tensor:
    return values if positions is None else values.index_select(0, positions)
