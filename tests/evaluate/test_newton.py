"""The one-vs-rest solver against liblinear itself and against the conditions of an optimum."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize
from torch import Tensor

from gssl.evaluate.axes import principal_axes
from gssl.evaluate.newton import decision, one_vs_rest_path
from gssl.testing.gaussians import gaussian_classes


def problem(num_items: int = 150, dim: int = 12, seed: int = 0) -> tuple[Tensor, Tensor]:
    dataset, x = gaussian_classes(num_items=num_items, dim=dim, distance=2.0, seed=seed)
    assert dataset.labels is not None
    return torch.from_numpy(normalize(x.double().numpy())), dataset.labels.y


def gradient(x: Tensor, target: Tensor, weight: Tensor, penalty: float) -> Tensor:
    """Of 0.5 |w|^2 + C sum log(1 + exp(-t w.x)), by automatic differentiation."""
    w = weight.clone().requires_grad_()
    ones = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], dim=1)
    value = 0.5 * w.square().sum() + penalty * torch.log1p(torch.exp(-target * (ones @ w))).sum()
    return torch.autograd.grad(value, w)[0]


@pytest.mark.parametrize("dim", [3, 12, 400], ids=["narrow", "usual", "more-dimensions-than-items"])
@pytest.mark.parametrize("penalty", [2.0**-10, 1.0, 2.0**10])
def test_it_ends_at_the_optimum_of_liblinear(dim: int, penalty: float) -> None:
    x, y = problem(dim=dim)
    (ours,) = one_vs_rest_path(x, y, 3, [penalty], tol=1e-9)
    for label in range(3):
        theirs = LogisticRegression(solver="liblinear", C=penalty, tol=1e-10, max_iter=10_000).fit(x, y == label)
        expected = np.append(theirs.coef_[0], theirs.intercept_)
        np.testing.assert_allclose(ours[label], expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_the_default_tolerance_is_tighter_than_the_one_of_liblinear() -> None:
    x, y = problem()
    for penalty, weight in zip((0.01, 1.0, 100.0), one_vs_rest_path(x, y, 3, (0.01, 1.0, 100.0)), strict=True):
        for label in range(3):
            target = torch.where(y == label, 1.0, -1.0).double()
            theirs = LogisticRegression(solver="liblinear", C=penalty).fit(x, y == label)
            published = torch.from_numpy(np.append(theirs.coef_[0], theirs.intercept_))
            ours, others = (gradient(x, target, w, penalty).norm() for w in (weight[label], published))
            assert ours <= 1e-6 * gradient(x, target, torch.zeros(13).double(), penalty).norm()
            assert ours <= others


def test_starting_from_the_previous_penalty_changes_nothing() -> None:
    x, y = problem()
    penalties = [2.0**power for power in range(-10, 11, 4)]
    path = one_vs_rest_path(x, y, 3, penalties, tol=1e-9)
    for penalty, weight in zip(penalties, path, strict=True):
        torch.testing.assert_close(weight, one_vs_rest_path(x, y, 3, [penalty], tol=1e-9)[0], rtol=1e-4, atol=1e-4)


def test_large_unscaled_separable_data_converge_too() -> None:
    x, y = problem()
    x = 1e3 * x + 5e3 * torch.nn.functional.one_hot(y, 12).double()
    (weight,) = one_vs_rest_path(x, y, 3, [1024.0])
    target = torch.where(y == 0, 1.0, -1.0).double()
    first = gradient(x, target, torch.zeros(13).double(), 1024.0).norm()
    assert gradient(x, target, weight[0], 1024.0).norm() <= 1e-5 * first
    assert bool((decision(x, weight).argmax(1) == y).all())


def test_a_class_without_items_is_never_predicted() -> None:
    x, y = problem()
    (weight,) = one_vs_rest_path(x, y, 5, [1.0])
    (alone,) = one_vs_rest_path(x, y, 3, [1.0])
    scores = decision(x, weight)
    assert bool((scores[:, 3:] == -torch.inf).all())
    torch.testing.assert_close(scores[:, :3], decision(x, alone))


def test_columns_that_are_constant_or_equal_do_no_harm() -> None:
    x, y = problem()
    x = torch.cat([x, x[:, :1], torch.zeros(len(x), 2)], dim=1)
    (weight,) = one_vs_rest_path(x, y, 3, [16.0])
    assert bool(weight.isfinite().all())
    torch.testing.assert_close(weight[:, 0], weight[:, 12], rtol=1e-4, atol=1e-6)  # equal columns share
    assert bool((weight[:, 13:15].abs() < 1e-9).all())


@pytest.mark.parametrize("shape", [(30, 7), (7, 30), (1, 5)])
def test_principal_axes_are_orthonormal_and_span_the_rows(shape: tuple[int, int]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    axes = principal_axes(x)
    rank = min(shape)
    assert axes.shape == (shape[1], rank)
    torch.testing.assert_close(axes.T @ axes, torch.eye(rank, dtype=torch.float64))
    torch.testing.assert_close(x @ axes @ axes.T, x)
    gram = axes.T @ x.T @ x @ axes
    torch.testing.assert_close(gram, gram.diag().diag(), atol=1e-9, rtol=0)
