"""How old the stored rows are that batches read."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

_MANY = 256  # batches whose findings are kept one by one

Kind = Literal["embedding", "adjoint"]


@dataclass(frozen=True)
class Staleness:
    """Age of the rows that were read of one layer's history, over all views.

    Attributes:
        kind: what the rows are.
        layer: whose output they are of (embedding), or whose aggregate they are the gradient of (adjoint); from 0.
        rows: how many were read.
        unwritten: how many of them had never been written and were zeros.
        mean: mean steps since the others were written; None where there are none. A row of the step before is 1 old.
        largest: largest of these.
    """

    kind: Kind
    layer: int
    rows: int
    unwritten: int
    mean: float | None
    largest: int | None


@dataclass
class _Sums:
    """Of one layer.

    Attributes:
        rows: how many were read.
        told: what each batch found, shape (3,), float64, on its device, which nobody waits for yet: how many rows were
            never written, the sum of the ages of the others, and the largest age.
    """

    rows: int = 0
    told: list[Tensor] = field(default_factory=list)

    def join(self, other: _Sums) -> None:
        self.rows += other.rows
        self.told += other.told
        if len(self.told) > _MANY:
            self.told = [self.total()]

    def total(self) -> Tensor:
        together = torch.stack([told.to(self.told[0].device) for told in self.told])
        return torch.cat([together[:, :2].sum(0), together[:, 2:].amax(0)])


@dataclass
class StalenessLog:
    """Adds up ages; :meth:`report` says what they were."""

    _sums: dict[tuple[Kind, int], _Sums] = field(default_factory=dict)

    def add(self, kind: Kind, layer: int, age: Tensor) -> None:
        """Rows that were read.

        Args:
            kind: what they are.
            layer: of the history.
            age: steps since each was written, infinite where it never was, shape (n,), float.
        """
        if age.numel() == 0:
            return
        never = age.isinf()
        steps = age.masked_fill(never, 0)
        told = [never.sum(dtype=torch.float64), steps.sum(dtype=torch.float64), steps.max().double()]
        self._sums.setdefault((kind, layer), _Sums()).join(_Sums(age.numel(), [torch.stack(told)]))

    def merge(self, other: StalenessLog) -> None:
        """Add what another log holds."""
        for place, found in other._sums.items():
            self._sums.setdefault(place, _Sums()).join(found)

    def report(self) -> tuple[Staleness, ...]:
        """One record a layer: embeddings from the first layer on, then adjoints."""
        places = sorted(self._sums, key=lambda place: (place[0] == "adjoint", place[1]))
        if not places:
            return ()
        totals = [self._sums[place].total() for place in places]
        told = torch.stack([total.to(totals[0].device) for total in totals]).tolist()  # a device is waited for once
        return tuple(
            _record(*place, self._sums[place].rows, *numbers) for place, numbers in zip(places, told, strict=True)
        )


def overall(records: Iterable[Staleness]) -> tuple[float | None, int | None]:
    """Mean and largest age over the written rows of several records; None where there are none."""
    total = count = 0.0
    largest = None
    for record in records:
        if record.mean is None or record.largest is None:
            continue
        written = record.rows - record.unwritten
        total, count = math.fsum((total, record.mean * written)), count + written
        largest = record.largest if largest is None else max(largest, record.largest)
    return (total / count if count else None), largest


def _record(kind: Kind, layer: int, rows: int, unwritten: float, steps: float, largest: float) -> Staleness:
    written = rows - int(unwritten)
    known = (steps / written, int(largest)) if written else (None, None)
    return Staleness(kind, layer, rows, int(unwritten), *known)
