"""What a sampler says to the training loop and to encoders that read stored rows, apart from the data of a batch."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from gssl.graph.first import FirstAggregates
from gssl.graph.history import BatchHistory


@dataclass(frozen=True, eq=False)
class Plan:
    """How a batch is meant to be used.

    Attributes:
        population: number of items that the weights stand for; the training loop then turns the objective's
            self-normalised mean into the Horvitz-Thompson one, ``sum(w * terms) / population``. None keeps the mean.
        step: whether the optimizer steps after this batch.
        measure: whether the sampler wants the gradient norm of each item; the gradient of a measured batch without
            a step is thrown away.
        refresh: whether the batch is there for the history alone: a forward pass without gradient.
        history: handle of the history that the propagation uses, if it has one.
        first: what the first layer reads instead of neighbors, if that is known. The rows of ``x`` are then those of
            the first block's destinations that are computed anew, and the features cannot be augmented.
        scale: what the training loop multiplies the loss by, so that the mean of the gradients of several ranks is
            that of the batch which they share.
        time: draws before that of the batch, as the selection counts them.
        targets: ids of the targets on the CPU, shape (num_targets,), int64, wherever the batch is; None where nobody
            wants them.
    """

    population: int | None = None
    step: bool = True
    measure: bool = False
    refresh: bool = False
    history: BatchHistory | None = None
    first: FirstAggregates | None = None
    scale: float = 1.0
    time: int = 0
    targets: Tensor | None = None
