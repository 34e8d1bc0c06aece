"""Bias and variance of repeated vector estimates, by group of components, without keeping the estimates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Error:
    """Error of an estimator, relative to the squared norm of the truth.

    Attributes:
        bias2: squared norm of the bias, without the part that the variance of a finite mean adds; not below 0.
        variance: expected squared distance from the estimator's own mean.
    """

    bias2: float
    variance: float

    @property
    def mse(self) -> float:
        """Expected squared distance from the truth."""
        return self.bias2 + self.variance


class Moments:
    """Running moments of ``estimate - truth``.

    Args:
        truth: one tensor per component (for example per parameter).
        groups: name to the components that belong to it.
    """

    def __init__(self, truth: Sequence[Tensor], groups: Mapping[str, Sequence[int]]) -> None:
        self.truth = [t.double() for t in truth]
        self.groups = dict(groups)
        self.count = 0
        self._sum = [torch.zeros_like(t) for t in self.truth]
        self._squares = torch.zeros(len(self.truth), dtype=torch.float64)

    def add(self, estimate: Sequence[Tensor]) -> None:
        """One more estimate, components as of the truth."""
        self.count += 1
        for index, (value, true) in enumerate(zip(estimate, self.truth, strict=True)):
            error = value.double() - true
            self._sum[index] += error
            self._squares[index] += error.square().sum().cpu()

    def error(self, group: str | None = None) -> Error:
        """Of one group, or of everything.

        Raises:
            ValueError: fewer than two estimates, whose variance is not known.
        """
        if self.count < 2:
            raise ValueError("the variance of fewer than two estimates is not known")
        index = range(len(self.truth)) if group is None else self.groups[group]
        size = sum(float(self.truth[i].square().sum()) for i in index)
        mean = sum(float((self._sum[i] / self.count).square().sum()) for i in index)
        squares = sum(float(self._squares[i]) for i in index)
        variance = max(squares - self.count * mean, 0.0) / (self.count - 1)
        bias2 = max(mean - variance / self.count, 0.0)
        return Error(bias2 / size, variance / size) if size else Error(0.0, 0.0)
