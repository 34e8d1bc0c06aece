"""The projection onto the simplex against its conditions and a solver."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from gssl.objectives.simplex import project_to_simplex

POINTS = st.lists(st.floats(-5, 5), min_size=1, max_size=12)


@given(POINTS)
def test_it_is_a_distribution_that_lowers_all_coordinates_in_use_alike(values: list[float]) -> None:
    """The conditions of Karush, Kuhn and Tucker, which only the nearest distribution fulfils."""
    point = torch.tensor(values, dtype=torch.float64)
    nearest = project_to_simplex(point)
    assert bool((nearest >= 0).all())
    torch.testing.assert_close(nearest.sum(), torch.ones((), dtype=torch.float64))
    lowered = (point - nearest)[nearest > 0]
    assert float(lowered.max() - lowered.min()) < 1e-9
    assert bool((point[nearest == 0] <= lowered.max() + 1e-9).all())


def test_no_distribution_of_a_solver_is_nearer() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        point = rng.normal(size=5)
        found = minimize(
            lambda p, q=point: ((p - q) ** 2).sum(),
            np.full(5, 0.2),
            bounds=[(0, 1)] * 5,
            constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
            tol=1e-12,
        )
        np.testing.assert_allclose(project_to_simplex(torch.from_numpy(point)).numpy(), found.x, atol=1e-6)


def test_distributions_stay_and_constants_do_not_matter() -> None:
    point = torch.tensor([0.1, 0.6, 0.3], dtype=torch.float64)
    torch.testing.assert_close(project_to_simplex(point), point)
    torch.testing.assert_close(project_to_simplex(point + 7), point)
    assert project_to_simplex(torch.tensor([3.0, 1.0, 0.0])).tolist() == [1, 0, 0]
