"""The point of least norm in a hull of vectors, against every face of it and against a closed form."""

from itertools import combinations

import pytest
import torch
from torch import Tensor

from gssl.objectives.simplex import min_norm_weights


def vectors(count: int, seed: int, *, shift: float = 0.5) -> Tensor:
    draws = torch.randn(count + 1, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return draws[:count] + shift * draws[count]


def least_over_faces(gram: Tensor) -> tuple[float, Tensor]:
    """The least norm over all faces of the hull, each solved as a linear system of its own."""
    best, found = torch.inf, torch.zeros(len(gram), dtype=gram.dtype)
    for size in range(1, len(gram) + 1):
        for face in combinations(range(len(gram)), size):
            chosen = torch.tensor(face)
            inner = gram[chosen][:, chosen]
            system = torch.ones(size + 1, size + 1, dtype=gram.dtype)
            system[:size, :size], system[size, size] = inner, 0
            right = torch.zeros(size + 1, dtype=gram.dtype)
            right[size] = 1
            share = torch.linalg.lstsq(system, right, driver="gelsd").solution[:size]
            if share.min() < -1e-9 or abs(float(share.sum()) - 1) > 1e-6:
                continue
            norm = float(share @ inner @ share)
            if norm < best:
                best, found = norm, torch.zeros_like(found).index_put((chosen,), share)
    return best, found


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(6))
def test_it_is_the_least_over_all_faces(count: int, seed: int) -> None:
    rows = vectors(count, seed)
    gram = rows @ rows.T
    least, expected = least_over_faces(gram)
    weights = min_norm_weights(gram)
    assert weights.min() >= 0
    assert float(weights.sum()) == pytest.approx(1)
    assert float(weights @ gram @ weights) == pytest.approx(least, rel=1e-6, abs=1e-9)
    torch.testing.assert_close(weights, expected, rtol=1e-3, atol=1e-4)


def test_every_vector_points_along_the_point() -> None:
    """So that a step against it lowers all losses: no inner product is below its own squared norm."""
    for seed in range(20):
        rows = vectors(4, seed)
        point = min_norm_weights(rows @ rows.T) @ rows
        assert float((rows @ point).min()) >= float(point @ point) - 1e-8


def test_two_vectors_in_closed_form() -> None:
    """Of a right angle, weights in inverse proportion to the squared lengths; of one line, the shorter has all."""
    torch.testing.assert_close(min_norm_weights(torch.tensor([[1.0, 0.0], [0.0, 4.0]])), torch.tensor([0.8, 0.2]))
    assert min_norm_weights(torch.tensor([[9.0, 3.0], [3.0, 1.0]])).tolist() == [0, 1]
    assert min_norm_weights(torch.tensor([[4.0, -2.0], [-2.0, 1.0]])).tolist() == pytest.approx([1 / 3, 2 / 3])


def test_vectors_that_are_equal_or_zero() -> None:
    for gram in (torch.ones(3, 3), torch.zeros(3, 3)):
        weights = min_norm_weights(gram)
        assert weights.isfinite().all()
        assert float(weights.sum()) == 1
