"""A cell: one seed of one configuration, as a suite asks for it, and the hash of everything that decides its result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gssl.benchmarks.bench.suite import Budget

if TYPE_CHECKING:
    from gssl.config.resolve import Request


NO_LIMIT = Budget()


@dataclass(frozen=True)
class Cell:
    """A cell with canonical names; None where the program's own default is meant.

    Attributes:
        method: registered name or import path.
        dataset: name, or the path of a graph of the user's own.
        seed: of the repetition.
        probe, encoder, sampler: names or import paths.
        preset: name of the preset that applies, or ``none``.
        setting: how the method is judged.
        epochs, batch_size: instead of those of the preset.
        options: settings as ``KEY=VALUE``, sorted.
        origin: digests of what the names stand for where they can change: preset, plug-ins, the user's own data.
        budget: limits and requests; they do not decide the result.
        where: place in the suite file, for messages.
    """

    method: str
    dataset: str
    seed: int
    probe: str | None = None
    encoder: str | None = None
    sampler: str | None = None
    preset: str | None = None
    setting: str = "frozen"
    epochs: int | None = None
    batch_size: int | None = None
    options: tuple[str, ...] = ()
    origin: tuple[tuple[str, str], ...] = ()
    budget: Budget = NO_LIMIT
    where: str = ""

    @property
    def spec(self) -> dict[str, Any]:
        """Everything that decides the result, as plain data."""
        values = {name: getattr(self, name) for name in _DECIDING}
        return {**values, "options": list(self.options), "origin": dict(self.origin)}

    @cached_property
    def spec_text(self) -> str:
        """:attr:`spec` as canonical JSON."""
        return json.dumps(self.spec, sort_keys=True, separators=(",", ":"))

    @cached_property
    def key(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of :attr:`spec`."""
        return hashlib.sha256(self.spec_text.encode()).hexdigest()[:16]

    @property
    def title(self) -> str:
        """What messages call it."""
        extra = [part for part in (self.sampler, self.encoder) if part]
        return f"{self.method}{' with ' + ' and '.join(extra) if extra else ''} on {self.dataset}, seed {self.seed}"

    def variant(self) -> Cell:
        """The configuration alone: what cells that differ in the seed have in common."""
        return replace(self, seed=0, where="", budget=NO_LIMIT)

    def request(self) -> Request:
        """The same for ``gssl run``."""
        from gssl.config.resolve import Request

        return Request(
            method=self.method,
            sampler=self.sampler,
            encoder=self.encoder,
            probe=self.probe,
            seed=self.seed,
            epochs=self.epochs,
            batch_size=self.batch_size,
            assignments=self.options,
            preset=self.preset,
        )


_DECIDING = tuple(field.name for field in fields(Cell) if field.name not in ("budget", "where"))


def assignments(*sources: Mapping[str, object]) -> tuple[str, ...]:
    """Options as ``KEY=VALUE``, later sources first.

    Example:
        >>> assignments({"train.lr": 0.1, "temperature": 0.5}, {"train.lr": 0.01})
        ('temperature=0.5', 'train.lr=0.01')
    """
    merged: dict[str, object] = {}
    for source in sources:
        merged.update(source)
    return tuple(f"{key}={json.dumps(value)}" for key, value in sorted(merged.items()))
