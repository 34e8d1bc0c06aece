"""Samplers on two decoupled axes (Cong et al., 2020, arXiv:2006.13866): which targets, and how they are embedded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from torch import Tensor

from gssl.samplers.base import Sampler
from gssl.samplers.batch import MiniBatch
from gssl.samplers.propagation.base import Propagation
from gssl.samplers.selection.base import Selection

Estimator = Literal["ht", "hajek"]


class PairSampler(Sampler):
    """A target selection and a propagation.

    Args:
        selection: draws the targets.
        propagation: makes the batch of a draw.
        estimator: how weighted terms become a loss: ``ht`` (Horvitz-Thompson) divides by the size of the
            population and is unbiased; ``hajek`` divides by the sum of the weights in the batch.
    """

    def __init__(self, selection: Selection, propagation: Propagation, *, estimator: Estimator = "ht") -> None:
        self.selection = selection
        self.propagation = propagation
        self.estimator = estimator

    @property
    def batches_per_epoch(self) -> int:
        return self.selection.batches_per_epoch

    def epoch(self, epoch: int) -> Iterator[MiniBatch]:
        population = len(self.selection.items) if self.estimator == "ht" else None
        for draw in self.selection.epoch(epoch):
            batch = self.propagation.batch(draw)
            yield replace(batch, population=population, step=draw.step, measure=draw.measure)

    def observe(self, batch: MiniBatch, gradient_norms: Tensor) -> None:
        self.selection.observe(batch.node_ids[: batch.num_targets], gradient_norms)
