"""What every augmenter is: a seeded map from a batch to a view, w = T(A, X); a corruption says what it hid."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
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
    """

    @abstractmethod
    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        """A view of ``batch``; ``rng`` lives on the device of the batch."""


class PartAugmenter(Augmenter):
    """An augmenter of the edges or of the features alone, which draws before the host knows what is left of them.

    Attributes:
        part: of a batch, all that a view differs in and all that the augmenter looks at.
    """

    part: ClassVar[Literal["edges", "features"]]

    @abstractmethod
    def drawn(self, batch: MiniBatch, rng: torch.Generator) -> Change:
        """Draw; what makes the view of the batch, and that of the batch with its other part changed."""

    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        return self.drawn(batch, rng)(batch)


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
        for step in self.steps:
            batch = step(batch, rng)
        return batch

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self.steps))})"


def views_of(batch: MiniBatch, augmenters: Sequence[Augmenter], rng: torch.Generator) -> Iterator[MiniBatch]:
    """A view by each augmenter, made when it is asked for, with the random numbers of one after the other.

    Views that only :class:`PartAugmenter` have a part in, and each part one, are drawn together before the first of
    them is made, so that a device is waited for once.

    Args:
        batch: of what.
        augmenters: one for each view.
        rng: on the device of the batch.
    """
    steps = [(augmenter, _parts_of(augmenter)) for augmenter in augmenters]
    for drawn_ahead, group in groupby(steps, key=lambda each: each[1] is not None):
        if not drawn_ahead:
            yield from (augmenter(batch, rng) for augmenter, _ in group)
            continue
        drafts = [[part.drawn(batch, rng) for part in parts or ()] for _, parts in group]
        drafts.reverse()
        while drafts:
            yield _changed(batch, drafts.pop())  # what a draft holds is free once its view is made


def _parts_of(augmenter: Augmenter) -> Sequence[PartAugmenter] | None:
    """The steps of a view no one of which looks at what another changes; None where some may, or nobody knows."""
    composed = isinstance(augmenter, Compose) and type(augmenter).__call__ is Compose.__call__
    steps = augmenter.steps if isinstance(augmenter, Compose) and composed else (augmenter,)
    # Who makes the view in another way may look at more, and has nothing that could be drawn apart.
    known = [s for s in steps if isinstance(s, PartAugmenter) and type(s).__call__ is PartAugmenter.__call__]
    return known if len({step.part for step in known}) == len(steps) else None


def _changed(batch: MiniBatch, changes: Sequence[Change]) -> MiniBatch:
    for change in changes:
        batch = change(batch)
    return batch
