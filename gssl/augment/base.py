"""What every augmenter is: a seeded map from a batch to a view, w = T(A, X); a corruption says what it hid."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from gssl.graph.batch import MiniBatch

Hidden = TypeVar("Hidden", covariant=True)


class Augmenter(ABC):
    """One view transformation T. Its keyword-only ``__init__`` (or dataclass fields) is its configuration.

    An augmenter never changes the batch that it is given, keeps every attribute that it does not transform,
    and draws only from the generator that it is handed.
    """

    @abstractmethod
    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        """A view of ``batch``; ``rng`` lives on the device of the batch."""


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
