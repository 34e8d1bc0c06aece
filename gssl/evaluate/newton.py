"""One-vs-rest logistic regression as liblinear defines it, for many penalties at once and to a tighter tolerance.

For every class, liblinear's L2-regularised logistic regression minimises

    0.5 |w|^2 + C * sum_i log(1 + exp(-t_i w.x_i)),

where t is +1 for the class and -1 for the rest, and x ends in a constant 1, so that the intercept is regularised too
(scikit-learn's ``LogisticRegression(solver="liblinear")`` with ``intercept_scaling=1``). Newton's method solves all
classes together, from one value of C to the next. Its steps come from preconditioned conjugate gradients in single
precision; gradients and the line search are in double precision, and they alone decide where it ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from gssl.evaluate.axes import principal_axes

_MAX_NEWTON = 100
_MAX_CG = 500
_SUFFICIENT_DECREASE = 1e-4


def one_vs_rest_path(
    x: Tensor, y: Tensor, num_classes: int, penalties: Sequence[float], *, tol: float = 1e-6
) -> Tensor:
    """The classifiers for every value of C.

    Args:
        x: shape (n, d), float64.
        y: classes, shape (n,), int64.
        num_classes: K; a class without an item in ``y`` gets scores of minus infinity.
        penalties: values of C, best in rising order, for each starts from the solution of the one before.
        tol: largest gradient norm at the solution, relative to the norm at zero weights.

    Returns:
        Shape (len(penalties), K, d + 1), float64; the last column is the intercept. ``decision`` applies it.
    """
    ones = torch.cat([x, x.new_ones(x.shape[0], 1)], dim=1)
    axes = principal_axes(ones)
    inputs = _Inputs.of(ones @ axes)
    target = (torch.arange(num_classes).unsqueeze(1) == y).double() * 2 - 1
    weight = x.new_zeros(num_classes, axes.shape[1])
    path = []
    for penalty in penalties:
        weight = _minimise(inputs, target, float(penalty), weight, tol)
        path.append(weight @ axes.T)
    stacked = torch.stack(path)
    absent = (target < 0).all(dim=1)
    stacked[:, absent] = 0.0
    stacked[:, absent, -1] = -torch.inf
    return stacked


def decision(x: Tensor, weight: Tensor) -> Tensor:
    """Decision values (n, K) of the classifiers ``weight`` (K, d + 1) on ``x`` (n, d)."""
    return torch.addmm(weight[:, -1], x, weight[:, :-1].T)


@dataclass(frozen=True, eq=False)
class _Inputs:
    """The items, shape (n, d), and copies of them; a product with few rows is fastest on row-major operands."""

    rows: Tensor
    columns: Tensor
    rows_single: Tensor
    columns_single: Tensor
    squares: Tensor

    @classmethod
    def of(cls, x: Tensor) -> _Inputs:
        single = x.float()
        return cls(x, x.T.contiguous(), single, single.T.contiguous(), single.square())


@dataclass(frozen=True, eq=False)
class _State:
    """The classes that have not converged: row numbers, targets, weights, margins, gradient norms at zero weights."""

    row: Tensor
    target: Tensor
    weight: Tensor
    margin: Tensor
    first: Tensor

    def keep(self, mask: Tensor) -> _State:
        return _State(*(part[mask] for part in vars(self).values()))


def _minimise(x: _Inputs, target: Tensor, penalty: float, start: Tensor, tol: float) -> Tensor:
    result = start.clone()
    first = penalty * 0.5 * (target @ x.rows).norm(dim=1)
    state = _State(torch.arange(start.shape[0]), target, start, start @ x.columns, first)
    for _ in range(_MAX_NEWTON):
        wrong, gradient = _gradient(x, state, penalty)
        relative = gradient.norm(dim=1) / state.first
        active = relative > tol
        result[state.row] = state.weight
        if not active.any():
            break
        state, wrong, gradient = state.keep(active), wrong[active], gradient[active]
        curvature = penalty * wrong * (1 - wrong)
        step = _newton_step(x, curvature.float(), gradient, relative[active].sqrt().clamp(max=0.1))
        shift = step @ x.columns
        length = _line_search(state, penalty, step, shift, (gradient * step).sum(dim=1)).unsqueeze(1)
        state = _State(
            state.row, state.target, state.weight + length * step, state.margin + length * shift, state.first
        )
    return result


def _gradient(x: _Inputs, state: _State, penalty: float) -> tuple[Tensor, Tensor]:
    wrong = torch.sigmoid(-state.target * state.margin)  # probability of the wrong answer
    return wrong, state.weight - penalty * ((state.target * wrong) @ x.rows)


def _newton_step(x: _Inputs, curvature: Tensor, gradient: Tensor, accuracy: Tensor) -> Tensor:
    """Solve H step = -gradient in every row, each to its relative accuracy, shape (K, d), float64."""
    scale = gradient.norm(dim=1, keepdim=True)
    tiny = torch.finfo(torch.float32).tiny
    inverse_diagonal = 1 / (1 + curvature @ x.squares)
    residual = (-gradient / scale).float()
    step = torch.zeros_like(residual)
    scaled = inverse_diagonal * residual
    direction, energy = scaled, (residual * scaled).sum(dim=1, keepdim=True)
    goal = accuracy.float().square().unsqueeze(1) * energy
    for _ in range(_MAX_CG):
        image = direction + (curvature * (direction @ x.columns_single)) @ x.rows_single
        length = energy / (direction * image).sum(dim=1, keepdim=True).clamp(min=tiny)
        step = step + length * direction
        residual = residual - length * image
        scaled = inverse_diagonal * residual
        previous, energy = energy, (residual * scaled).sum(dim=1, keepdim=True)
        if not (energy > goal).any():
            break
        direction = scaled + (energy / previous.clamp(min=tiny)) * direction
    found: Tensor = step.double() * scale
    return found


def _line_search(state: _State, penalty: float, step: Tensor, shift: Tensor, slope: Tensor) -> Tensor:
    """Step lengths, halved per row until the objective falls enough (Armijo), shape (K,)."""

    def objective(length: Tensor) -> Tensor:
        weight = state.weight + length.unsqueeze(1) * step
        margin = state.margin + length.unsqueeze(1) * shift
        return 0.5 * weight.square().sum(dim=1) + penalty * softplus(-state.target * margin).sum(dim=1)

    length = torch.ones_like(slope)
    start = objective(torch.zeros_like(slope))
    rounding = 1e-12 * start
    for _ in range(40):
        high = objective(length) > start + _SUFFICIENT_DECREASE * length * slope + rounding
        if not high.any():
            break
        length = torch.where(high, length / 2, length)
    return length
