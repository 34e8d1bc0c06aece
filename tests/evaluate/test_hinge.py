"""The linear machines against liblinear and against the conditions of an optimum."""

import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC
from torch import Tensor

from gssl.evaluate.hinge import squared_hinge_path
from gssl.evaluate.newton import decision
from gssl.testing.gaussians import gaussian_classes


def problem(num_classes: int = 3, dim: int = 6, distance: float = 2.0) -> tuple[Tensor, Tensor]:
    dataset, x = gaussian_classes(num_items=120, num_classes=num_classes, dim=dim, distance=distance)
    assert dataset.labels is not None
    return x.double(), dataset.labels.y


def objective(x: Tensor, target: Tensor, weight: Tensor, penalty: float) -> Tensor:
    margin = x @ weight[:-1] + weight[-1]
    return 0.5 * weight.square().sum() + penalty * torch.relu(1 - target * margin).square().sum()


@pytest.mark.parametrize(("dim", "penalty"), [(2, 1e-3), (2, 1e3), (6, 1.0), (6, 1e3), (300, 1e-3), (300, 0.1)])
def test_it_ends_at_the_optimum_of_liblinear(dim: int, penalty: float) -> None:
    x, y = problem(dim=dim)
    (ours,) = squared_hinge_path(x, y, 3, [penalty])
    for label in range(3):
        theirs = LinearSVC(C=penalty, dual=False, tol=1e-10, max_iter=100_000).fit(x, y == label)
        expected = np.append(theirs.coef_[0], theirs.intercept_)
        np.testing.assert_allclose(ours[label], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_more_dimensions_than_items_and_hardly_any_penalty() -> None:
    x, y = problem(dim=300)  # where liblinear itself does not converge
    (weight,) = squared_hinge_path(x, y, 3, [1e3])
    for label in range(3):
        target = torch.where(y == label, 1.0, -1.0).double()
        leaf = weight[label].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(objective(x, target, leaf, 1e3), leaf)
        assert gradient.norm() <= 1e-6 * leaf.norm()


@pytest.mark.parametrize("classes", [2, 3])
def test_columns_of_very_different_scale_do_not_stop_it(classes: int) -> None:
    x, y = problem(classes)
    x = (x + 3) * torch.logspace(0, 4, 6, dtype=torch.float64)
    penalties = [10.0**power for power in range(-3, 4)]
    for penalty, weight in zip(penalties, squared_hinge_path(x, y, classes, penalties), strict=True):
        for label in range(classes):
            target = torch.where(y == label, 1.0, -1.0).double()
            leaf = weight[label].clone().requires_grad_()
            value = objective(x, target, leaf, penalty)
            (gradient,) = torch.autograd.grad(value, leaf)
            curvature = 1 + 2 * penalty * torch.cat([x.square().sum(0), torch.tensor([120.0]).double()])
            assert (gradient.square() / curvature).sum() <= 1e-8 * value  # what any column could still gain


def test_two_classes_are_one_machine_and_its_mirror() -> None:
    x, y = problem(2)
    (weight,) = squared_hinge_path(x, y, 2, [0.5])
    (mirrored,) = squared_hinge_path(x, 1 - y, 2, [0.5])
    torch.testing.assert_close(weight[1], -weight[0])
    torch.testing.assert_close(weight, mirrored.flip(0))


def test_a_class_without_items_is_never_predicted() -> None:
    x, y = problem(2)
    (weight,) = squared_hinge_path(x, y * 2, 3, [1.0])
    assert bool((decision(x, weight)[:, 1] == -torch.inf).all())
