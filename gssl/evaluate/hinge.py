"""Linear support vector machines as liblinear defines them, solved to the optimum.

For every class, scikit-learn's ``LinearSVC()`` minimises

    0.5 |w|^2 + C * sum_i max(0, 1 - t_i w.x_i)^2,

where t is +1 for the class and -1 for the rest, and x ends in a constant 1, so that the intercept is regularised too.
The objective is piecewise quadratic: Newton steps on the items inside the margin reach the optimum after finitely many
(Keerthi and DeCoste, 2005, "A modified finite Newton method for fast solution of large scale linear SVMs").
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gssl.evaluate.axes import principal_axes

_MAX_NEWTON = 200
_SUFFICIENT_DECREASE = 1e-4


def squared_hinge_path(
    x: Tensor, y: Tensor, num_classes: int, penalties: Sequence[float], *, tol: float = 1e-8
) -> Tensor:
    """The classifiers for every value of C.

    Args:
        x: shape (n, d), float64.
        y: classes, shape (n,), int64.
        num_classes: K; a class without an item in ``y`` gets scores of minus infinity.
        penalties: values of C, best in rising order, for each starts from the solution of the one before.
        tol: decrease of the objective that a Newton step promises, relative to the objective, at which to stop.

    Returns:
        Shape (len(penalties), K, d + 1), float64; the last column is the intercept.
    """
    ones = torch.cat([x, x.new_ones(x.shape[0], 1)], dim=1)
    axes = principal_axes(ones) if ones.shape[1] > ones.shape[0] else None
    inputs = ones if axes is None else ones @ axes
    path = x.new_zeros(len(penalties), num_classes, ones.shape[1])
    for label in range(num_classes):
        target = torch.where(y == label, 1.0, -1.0).to(x.dtype)
        if bool((target < 0).all()):
            path[:, label, -1] = -torch.inf
            continue
        if label == 1 and num_classes == 2:
            path[:, 1] = -path[:, 0]  # two classes are one machine
            continue
        weight = x.new_zeros(inputs.shape[1])
        for number, penalty in enumerate(penalties):
            weight = _minimise(inputs, target, float(penalty), weight, tol)
            path[number, label] = weight if axes is None else axes @ weight
    return path


def _minimise(x: Tensor, target: Tensor, penalty: float, weight: Tensor, tol: float) -> Tensor:
    margin = x @ weight
    for _ in range(_MAX_NEWTON):
        inside = target * margin < 1
        rows = x[inside]
        gradient = weight - 2 * penalty * (rows.T @ (target - margin)[inside])
        hessian = 2 * penalty * (rows.T @ rows)
        hessian.diagonal().add_(1)
        step = -torch.cholesky_solve(gradient.unsqueeze(1), torch.linalg.cholesky(hessian)).squeeze(1)
        shift = x @ step
        value, slope = _value(weight, margin, target, penalty), float(gradient @ step)
        if -slope <= tol * value:
            return weight + step
        length = 1.0
        while length > 1e-10:
            moved, there = weight + length * step, margin + length * shift
            if _value(moved, there, target, penalty) <= value + _SUFFICIENT_DECREASE * length * slope:
                break
            length /= 2
        weight, margin = weight + length * step, margin + length * shift
    return weight


def _value(weight: Tensor, margin: Tensor, target: Tensor, penalty: float) -> float:
    return float(0.5 * weight @ weight + penalty * (1 - target * margin).clamp(min=0).square().sum())
