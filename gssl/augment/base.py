"""What every augmenter is: a seeded map from a batch to a view, w = T(A, X); a corruption says what it hid."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Generic, Literal, TypeVar

import torch

from gssl.graph.batch import MiniBatch

Hidden = TypeVar("Hidden", covariant=True)
Change = Callable[[MiniBatch], MiniBatch]
"""What is left of an augmenter once its random numbers are drawn."""


class Augmenter(ABC):
    """One view transformation T. Its keyword-only ``__init__`` (or dataclass fields) is its configuration.

    An augmenter never changes the batch that it is given, keeps every attribute that it does not transform,
    and draws only from the generator that it is handed.

    Attributes:
        part: of a batch, all that a view may differ in and all that the augmenter looks at.
    """

    part: ClassVar[Literal["edges", "features", "all"]] = "all"

    @abstractmethod
    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        """A view of ``batch``; ``rng`` lives on the device of the batch."""

    def change(self, batch: MiniBatch, rng: torch.Generator) -> Change:
        """Draw, and leave the view for later.

        Returns:
            What makes the view of the batch, and that of the batch with another ``part`` of it changed.
        """
        view = self(batch, rng)
        return lambda _: view

    def draft(self, batch: MiniBatch, rng: torch.Generator) -> Callable[[], MiniBatch]:
        """Draw, and leave the view for later: what makes it."""
        return partial(self.change(batch, rng), batch)


class PartAugmenter(Augmenter):
    """An augmenter of the edges or of the features alone, which draws before the host knows what is left of them."""

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        if "__call__" in vars(cls):  # who makes the view otherwise may look at more
            cls.part = "all"

    @abstractmethod
    def drawn(self, batch: MiniBatch, rng: torch.Generator) -> Change:
        """Draw; what makes the view of the batch, and that of the batch with another part of it changed."""

    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        return self.drawn(batch, rng)(batch)

    def change(self, batch: MiniBatch, rng: torch.Generator) -> Change:
        return super().change(batch, rng) if self.part == "all" else self.drawn(batch, rng)


def views_of(batch: MiniBatch, augmenters: Sequence[Augmenter], rng: torch.Generator) -> Iterator[MiniBatch]:
    """A view by each augmenter; all are drawn before the first is made, so that a device is waited for once.

    Args:
        batch: of what.
        augmenters: one for each view.
        rng: on the device of the batch.
    """
    drafts = [augmenter.draft(batch, rng) for augmenter in augmenters]
    drafts.reverse()
    return (drafts.pop()() for _ in range(len(drafts)))  # what a draft holds is free once its view is made


class Corruption(ABC, Generic[Hidden]):
    """A view transformation that tells what is gone, which is what a predictive method then predicts.

    What holds of an augmenter holds of it. The view and what was hidden make up the batch again, and the view gives
    nothing of it away.
    """

    @abstractmethod
    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> tuple[MiniBatch, Hidden]:
        """A view of ``batch``, and what is in the batch but not in the view; ``rng`` lives on the batch's device."""


@dataclass(frozen=True)
class Identity(Augmenter):
    """The batch itself."""

    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        return batch


class Compose(Augmenter):
    """Several augmenters, one after the other.

    Args:
        steps: applied first to last.
    """

    def __init__(self, *steps: Augmenter) -> None:
        self.steps: Sequence[Augmenter] = steps

    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        return self.draft(batch, rng)()

    def draft(self, batch: MiniBatch, rng: torch.Generator) -> Callable[[], MiniBatch]:
        pending: dict[str, Change] = {}  # by the part of the batch that each is about
        for step in self.steps:
            if pending and (step.part == "all" or pending.keys() & {"all", step.part}):
                batch, pending = _changed(batch, pending), {}
            pending[step.part] = step.change(batch, rng)
        return partial(_changed, batch, pending)

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self.steps))})"


def _changed(batch: MiniBatch, changes: dict[str, Change]) -> MiniBatch:
    for change in changes.values():
        batch = change(batch)
    return batch
