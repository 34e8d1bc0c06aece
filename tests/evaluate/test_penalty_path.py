"""Paths of penalised linear models against scikit-learn's, fitted one by one."""

import numpy as np
import pytest
import torch
from scipy.optimize import OptimizeResult, minimize
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor

from gssl.evaluate import penalty_path
from gssl.evaluate.penalty_path import ridge_path, sigmoid_path, softmax_path
from gssl.testing.gaussians import gaussian_classes

PENALTIES = (1.0, 1e-2, 1e-4)


def problem(dim: int = 8, num_items: int = 120, distance: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    dataset, x = gaussian_classes(num_items=num_items, dim=dim, distance=distance, seed=seed)
    assert dataset.labels is not None
    x = x.double()
    return (x - x.mean(0)) / x.std(0), dataset.labels.y


def predicted(x: Tensor, weight: Tensor) -> Tensor:
    return x @ weight[:-1] + weight[-1]


def softmax_objective(x: Tensor, y: Tensor, weight: Tensor, l2: float) -> float:
    loss = torch.nn.functional.cross_entropy(predicted(x, weight), y)
    return float(loss + 0.5 * l2 * weight[:-1].square().sum())


@pytest.mark.parametrize("dim", [2, 8, 200], ids=["narrow", "usual", "more-dimensions-than-items"])
def test_softmax_ends_at_the_optimum_of_scikit_learn(dim: int) -> None:
    x, y = problem(dim)
    for l2, ours in zip(PENALTIES, softmax_path(x, y, 3, PENALTIES, tol=1e-14), strict=True):
        theirs = LogisticRegression(C=1 / (len(x) * l2), tol=1e-9, max_iter=10_000).fit(x, y)
        scale = np.abs(theirs.coef_).max()
        np.testing.assert_allclose(ours[:-1].T, theirs.coef_, rtol=1e-3, atol=1e-4 * scale)
        centered = ours[-1] - ours[-1].mean()  # intercepts are free up to a constant
        np.testing.assert_allclose(centered, theirs.intercept_ - theirs.intercept_.mean(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dim", [8, 200])
def test_the_default_tolerance_in_single_precision_is_close_to_the_optimum(dim: int) -> None:
    x, y = problem(dim)
    exact = softmax_path(x, y, 3, PENALTIES, tol=1e-14)
    default = softmax_path(x.float(), y, 3, PENALTIES)
    assert default.dtype == torch.float32
    for l2, best, ours in zip(PENALTIES, exact, default, strict=True):
        optimum = softmax_objective(x, y, best, l2)
        assert softmax_objective(x, y, ours.double(), l2) <= optimum * (1 + 1e-3) + 1e-5
        assert (predicted(x, best).argmax(1) == predicted(x, ours.double()).argmax(1)).double().mean() > 0.97


def test_principal_axes_spare_most_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = problem(30, num_items=300)
    x = x * torch.logspace(0, -3, 30, dtype=torch.float64) @ torch.ones(30, 30).double().tril()
    calls = 0

    def counted(*args: object, **options: object) -> OptimizeResult:
        nonlocal calls
        found = minimize(*args, **options)
        calls += found.nfev
        return found

    monkeypatch.setattr(penalty_path, "minimize", counted)
    softmax_path(x, y, 3, (1e-2, 1e-4))
    with_axes, calls = calls, 0
    monkeypatch.setattr(penalty_path, "principal_axes", lambda x: torch.eye(x.shape[1], dtype=x.dtype))
    softmax_path(x, y, 3, (1e-2, 1e-4))
    assert 2 * with_axes <= calls


def test_a_class_without_items_is_never_predicted() -> None:
    x, y = problem()
    path = softmax_path(x, y * 2, 6, PENALTIES)
    alone = softmax_path(x, y, 3, PENALTIES)
    assert bool((path[:, -1, 1::2] == -torch.inf).all())
    torch.testing.assert_close(path[:, :, ::2], alone)


def test_tasks_are_independent_and_skip_unknown_labels() -> None:
    x, y = problem()
    rng = torch.Generator().manual_seed(0)
    tasks = torch.nn.functional.one_hot(y).double()
    tasks[torch.rand(tasks.shape, generator=rng) < 0.3] = torch.nan
    path = sigmoid_path(x, tasks, PENALTIES, tol=1e-14)
    for task in range(3):
        known = ~tasks[:, task].isnan()
        for l2, ours in zip(PENALTIES, path[:, :, task], strict=True):
            theirs = LogisticRegression(C=1 / (int(known.sum()) * l2), tol=1e-9, max_iter=10_000)
            theirs.fit(x[known], tasks[known, task])
            expected = np.append(theirs.coef_[0], theirs.intercept_)
            np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_a_task_with_one_label_gets_that_label() -> None:
    x, y = problem()
    tasks = torch.stack([(y == 0).double(), torch.ones(120), torch.zeros(120), torch.full((120,), torch.nan)], dim=1)
    tasks[:50, 1] = torch.nan
    for weight in sigmoid_path(x, tasks, PENALTIES):
        scores = predicted(x, weight)
        assert bool((scores[:, 1] > 0).all())
        assert bool((scores[:, 2:] < 0).all())
        assert len(scores[:, 0].unique()) > 1


@pytest.mark.parametrize("dim", [8, 200])
def test_ridge_is_that_of_scikit_learn(dim: int) -> None:
    x, y = problem(dim)
    x = x + 5
    targets = torch.stack([y.double(), 100 + x[:, 0] * 3], dim=1)
    targets[:20, 0] = torch.nan
    path = ridge_path(x, targets, PENALTIES)
    for column in range(2):
        known = ~targets[:, column].isnan()
        for l2, ours in zip(PENALTIES, path[:, :, column], strict=True):
            theirs = Ridge(alpha=int(known.sum()) * l2).fit(x[known], targets[known, column])
            np.testing.assert_allclose(ours[:-1], theirs.coef_, rtol=1e-6, atol=1e-9)
            np.testing.assert_allclose(ours[-1], theirs.intercept_, rtol=1e-6)


def test_ridge_without_targets_predicts_zero() -> None:
    x, _ = problem()
    assert not ridge_path(x, torch.full((120, 1), torch.nan), PENALTIES).any()
