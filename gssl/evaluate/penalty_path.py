"""Linear models along a path of L2 penalties: softmax and sigmoid regression by L-BFGS, ridge in closed form.

All three minimise, for inputs x with standardised columns and an intercept b that is not penalised,

    mean loss of (W x + b) + l2 / 2 * |W|^2,

so ``l2`` is 1 / (n C) in scikit-learn's notation. Paths run from the strongest penalty to the weakest, each fit from
the one before. L-BFGS runs in the principal axes of x, scaled by the diagonal of the Hessian at the start of each fit:
the optimum is the same, but it takes several times fewer steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from gssl.evaluate.axes import principal_axes
from gssl.evaluate.checks import two_valued

_MAX_STEPS = 1000
_MEMORY = 20


class _Loss(ABC):
    """A convex loss of logits (n, K), a mean over items."""

    @abstractmethod
    def start(self) -> Tensor:
        """The best intercepts without weights, shape (K,), float64."""

    @abstractmethod
    def mean(self, logits: Tensor) -> Tensor:
        """The loss, a scalar."""

    @abstractmethod
    def curvature(self, logits: Tensor) -> Tensor:
        """Diagonal of the second derivative by the logits, shape (n, K)."""


class _Softmax(_Loss):
    def __init__(self, y: Tensor, num_classes: int) -> None:
        self.y, self.num_classes = y, num_classes

    def start(self) -> Tensor:
        return (torch.bincount(self.y, minlength=self.num_classes).double() / self.y.shape[0]).log()

    def mean(self, logits: Tensor) -> Tensor:
        return cross_entropy(logits, self.y)

    def curvature(self, logits: Tensor) -> Tensor:
        p = logits.softmax(dim=1)
        return p * (1 - p) / self.y.shape[0]


class _Sigmoid(_Loss):
    """A sum over tasks of means over the items whose label is known."""

    def __init__(self, y: Tensor) -> None:
        known = ~y.isnan()
        self.y = y.nan_to_num()
        self.weight = known / known.sum(dim=0).clamp(min=1)

    def start(self) -> Tensor:
        return (self.weight * self.y).sum(dim=0).double().logit(eps=1e-6)

    def mean(self, logits: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(logits, self.y, self.weight, reduction="sum")

    def curvature(self, logits: Tensor) -> Tensor:
        p = logits.sigmoid()
        return p * (1 - p) * self.weight


def softmax_path(x: Tensor, y: Tensor, num_classes: int, penalties: Sequence[float], *, tol: float = 1e-6) -> Tensor:
    """Multinomial logistic regression.

    Args:
        x: shape (n, d), float32 or float64, in which products are computed.
        y: classes, shape (n,), int64.
        num_classes: K; a class without an item in ``y`` gets scores of minus infinity.
        penalties: values of l2, from strong to weak.
        tol: relative decrease of the objective in one step at which L-BFGS stops.

    Returns:
        Shape (len(penalties), d + 1, K), dtype of ``x``; the last row is the intercept.
    """
    present, compact = y.unique(return_inverse=True)
    fitted = _path(x, _Softmax(compact, present.numel()), penalties, tol)
    full = x.new_zeros(len(penalties), x.shape[1] + 1, num_classes)
    full[:, -1] = -torch.inf
    full[:, :, present] = fitted
    return full


def sigmoid_path(x: Tensor, y: Tensor, penalties: Sequence[float], *, tol: float = 1e-6) -> Tensor:
    """Independent logistic regressions of several tasks.

    Args:
        x: as for ``softmax_path``.
        y: 0, 1 or NaN if unknown, shape (n, K), float. A task with one value only gets a constant score.
        penalties: values of l2, from strong to weak.
        tol: as for ``softmax_path``.

    Returns:
        As for ``softmax_path``.
    """
    mixed = two_valued(y)
    fitted = _path(x, _Sigmoid(y[:, mixed].to(x.dtype)), penalties, tol)
    full = x.new_zeros(len(penalties), x.shape[1] + 1, y.shape[1])
    full[:, -1] = torch.where((y == 1).any(dim=0), 1.0, -1.0)
    full[:, :, mixed] = fitted
    return full


def ridge_path(x: Tensor, y: Tensor, penalties: Sequence[float]) -> Tensor:
    """Ridge regression of every column by itself; a penalty is relative to the column's variance.

    Args:
        x: shape (n, d), float32 or float64.
        y: targets, NaN if unknown, shape (n, K), float. A column without a target predicts 0.
        penalties: values of l2; the loss of an item is half its squared error.

    Returns:
        Shape (len(penalties), d + 1, K), float64; the last row is the intercept.
    """
    path = torch.zeros(len(penalties), x.shape[1] + 1, y.shape[1], dtype=torch.float64)
    for column in range(y.shape[1]):
        known = ~y[:, column].isnan()
        if known.any():
            path[:, :, column] = _ridge(x[known].double(), y[known, column].double(), penalties)
    return path


def _ridge(x: Tensor, y: Tensor, penalties: Sequence[float]) -> Tensor:
    """Shape (len(penalties), d + 1)."""
    center, middle = x.mean(dim=0), y.mean()
    axes = principal_axes(x - center)
    rotated = (x - center) @ axes
    strength = rotated.square().mean(dim=0)
    cross = rotated.T @ (y - middle) / y.shape[0]
    weight = cross / (strength + torch.tensor(penalties, dtype=x.dtype).unsqueeze(1)) @ axes.T
    return torch.cat([weight, (middle - weight @ center).unsqueeze(1)], dim=1)


def _path(x: Tensor, loss: _Loss, penalties: Sequence[float], tol: float) -> Tensor:
    axes = principal_axes(x)
    rotated = torch.cat([x @ axes, x.new_ones(x.shape[0], 1)], dim=1)
    squares = rotated.square()
    start = loss.start()
    weight = torch.zeros(rotated.shape[1], start.shape[0], dtype=torch.float64)
    weight[-1] = start
    path = []
    for l2 in penalties:
        weight = _minimise(rotated, squares, loss, float(l2), weight, tol)
        path.append(torch.cat([axes @ weight[:-1].to(x.dtype), weight[-1:].to(x.dtype)]))
    return torch.stack(path)


def _minimise(x: Tensor, squares: Tensor, loss: _Loss, l2: float, start: Tensor, tol: float) -> Tensor:
    penalty = torch.full((x.shape[1], 1), l2, dtype=torch.float64)
    penalty[-1] = 0.0
    hessian = (squares.T @ loss.curvature(x @ start.to(x.dtype))).double() + penalty
    scale = hessian.clamp(min=1e-10).rsqrt()

    def objective(scaled: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weight = torch.from_numpy(scaled).view_as(start) * scale
        leaf = weight.to(x.dtype, copy=True).requires_grad_()
        value = loss.mean(x @ leaf)
        (gradient,) = torch.autograd.grad(value, leaf)
        total = value.item() + 0.5 * float((penalty * weight.square()).sum())
        flat: NDArray[np.float64] = ((gradient.double() + penalty * weight) * scale).flatten().numpy()
        return total, flat

    options: dict[str, Any] = {
        "maxiter": _MAX_STEPS,
        "maxfun": 2 * _MAX_STEPS,
        "maxcor": _MEMORY,
        "ftol": tol,
        "gtol": 0.0,
    }
    found = minimize(objective, (start / scale).flatten().numpy(), jac=True, method="L-BFGS-B", options=options)
    return torch.from_numpy(found.x).view_as(start) * scale
