"""What every augmenter is: a seeded map from a batch to a view, w = T(A, X)."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from gssl.graph.batch import MiniBatch


class Augmenter(ABC):
    """One view transformation T. Its keyword-only ``__init__`` (or dataclass fields) is its configuration.

    An augmenter never changes the batch that it is given, keeps every attribute that it does not transform,
    and draws only from the generator that it is handed.
    """

    @abstractmethod
    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        """A view of ``batch``; ``rng`` lives on the device of the batch."""


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
