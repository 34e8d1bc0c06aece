"""A cell: one seed of one configuration, as a suite asks for it, and the hash of everything that decides its result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gssl.benchmarks.bench.suite import Budget
from gssl.benchmarks.rows import amount, circumstances

if TYPE_CHECKING:
    from gssl.config.resolve import Request


NO_LIMIT = Budget()
USUAL = "frozen"  # the setting that a method has without another one; the supervised row has its own


@dataclass(frozen=True)
class Cell:
    """A cell with canonical names; None where the program's own default is meant.

    Attributes:
        method: registered name or import path.
        dataset: name, or the path of a graph of the user's own.
        seed: of the repetition.
        probe, encoder, sampler: names or import paths.
        preset: name of the preset that applies, or ``none``.
        setting: how the method is put to the task.
        epochs, batch_size: instead of those of the preset.
        options: settings as ``KEY=VALUE``, sorted.
        origin: digests of what the names stand for where they can change: preset, plug-ins, the user's own data.
        budget: limits and requests; they do not decide the result.
        where: place in the suite file, for messages.
        apart: what tells it from cells of the suite that are called the same otherwise, as ``KEY=VALUE``.
        task: what is judged.
        labels: share of the training labels (real) or a number for each class, where the setting trains on labels.
        pretrain_on: another dataset that the encoder is pretrained on.
    """

    method: str
    dataset: str
    seed: int
    probe: str | None = None
    encoder: str | None = None
    sampler: str | None = None
    preset: str | None = None
    setting: str = USUAL
    epochs: int | None = None
    batch_size: int | None = None
    options: tuple[str, ...] = ()
    origin: tuple[tuple[str, str], ...] = ()
    budget: Budget = NO_LIMIT
    where: str = ""
    task: str | None = None
    labels: float | int | None = None
    pretrain_on: str | None = None
    apart: tuple[str, ...] = ()

    @property
    def spec(self) -> dict[str, Any]:
        """Everything that decides the result, as plain data."""
        values = {name: getattr(self, name) for name in _DECIDING}
        values = {name: value for name, value in values.items() if value is not None or name not in _LATER}
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
        told = f" ({', '.join(self.apart)})" if self.apart else ""
        how = circumstances(self.task or "", self.setting, amount(self.labels))
        how += [f"pretrained on {self.pretrain_on}"] if self.pretrain_on else []
        parts = [f"{self.method}{' with ' + ' and '.join(extra) if extra else ''}{told} on {self.dataset}", *how]
        return ", ".join([*parts, f"seed {self.seed}"])

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
            task=self.task,
            setting=None if self.setting == USUAL else self.setting,
            labels=self.labels,
            pretrain_on=self.pretrain_on,
        )


# Fields that keys of cells did not know at first: at None they stay out of them.
_LATER = ("task", "labels", "pretrain_on")
_DECIDING = tuple(field.name for field in fields(Cell) if field.name not in ("budget", "where", "apart"))


def told_apart(cells: Sequence[Cell]) -> list[Cell]:
    """The cells with what tells each from others of the same names: options, epochs and batch sizes that differ."""
    told = [(cell, _names(cell), _settings(cell)) for cell in cells]
    common: dict[Cell, set[str]] = {}
    for _, names, settings in told:
        common[names] = common.get(names, set(settings)) & set(settings)
    return [replace(cell, apart=tuple(s for s in settings if s not in common[names])) for cell, names, settings in told]


def _names(cell: Cell) -> Cell:
    return replace(cell.variant(), options=(), epochs=None, batch_size=None, origin=())


def _settings(cell: Cell) -> tuple[str, ...]:
    sizes = {"epochs": cell.epochs, "batch_size": cell.batch_size}
    return (*(f"{name}={value}" for name, value in sizes.items() if value is not None), *cell.options)


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
