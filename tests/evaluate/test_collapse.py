"""Signs of collapse against direct computation over all pairs and against closed forms."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gssl.evaluate.collapse import collapse, effective_rank, mean_cosine, normalized_spread, signs_of_collapse

shapes = st.tuples(st.integers(2, 30), st.integers(1, 40))


@settings(max_examples=30, deadline=None)
@given(shapes, st.integers(0, 2**31))
def test_they_equal_their_definitions(shape: tuple[int, int], seed: int) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()
    values = torch.linalg.svdvals(x)
    share = values / values.sum() + 1e-15
    assert effective_rank(x) == pytest.approx(float((-(share * share.log()).sum()).exp()), rel=1e-4)
    cosine = torch.nn.functional.cosine_similarity(x[:, None], x[None], dim=2)
    apart = ~torch.eye(shape[0], dtype=torch.bool)
    assert mean_cosine(x) == pytest.approx(float(cosine[apart].mean()), abs=1e-9)


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_rank_counts_equally_strong_directions(rank: int) -> None:
    axes = torch.linalg.qr(torch.randn(10, rank, generator=torch.Generator().manual_seed(0)).double()).Q
    items = torch.linalg.qr(torch.randn(50, rank, generator=torch.Generator().manual_seed(1)).double()).Q
    assert effective_rank(items @ axes.T * 7) == pytest.approx(rank, rel=1e-5)


def test_one_point_is_collapsed() -> None:
    x = torch.tensor([1.0, -2.0, 0.5]).repeat(20, 1) * torch.rand(20, 1, generator=torch.Generator().manual_seed(0))
    signs = collapse(x)
    assert signs.rank == pytest.approx(1, abs=1e-4)
    assert signs.mean_cosine == pytest.approx(1)
    assert signs.spread == pytest.approx(0, abs=1e-6)


def test_isotropic_embeddings_use_their_space() -> None:
    signs = collapse(torch.randn(4000, 16, generator=torch.Generator().manual_seed(0)))
    assert signs.rank > 15.9
    assert abs(signs.mean_cosine) < 0.01
    assert signs.spread == pytest.approx(1, abs=0.01)


def test_they_do_not_depend_on_rotation_or_scale() -> None:
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(100, 6, generator=rng).double() * torch.tensor([5.0, 3, 1, 1, 0.1, 0]) + 1
    turned = x @ torch.linalg.qr(torch.randn(6, 6, generator=rng).double()).Q * 30
    before, after = collapse(x), collapse(turned)
    assert after.rank == pytest.approx(before.rank)
    assert after.mean_cosine == pytest.approx(before.mean_cosine)


def test_zero_embeddings_are_the_worst_case() -> None:
    signs = collapse(torch.zeros(5, 3))
    assert (signs.rank, signs.mean_cosine, signs.spread) == (0.0, 0.0, 0.0)


def test_nothing_of_the_size_of_all_pairs_is_made() -> None:
    x = torch.randn(200_000, 4, generator=torch.Generator().manual_seed(0))
    assert abs(mean_cosine(x)) < 1e-3  # all pairs would take 160 GB
    assert normalized_spread(x) == pytest.approx(1, abs=0.01)
    assert effective_rank(x) > 3.99


def noise(items: int, dim: int) -> torch.Tensor:
    return torch.randn(items, dim, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("embeddings", "told"),
    [
        (noise(50, 16), ""),
        (noise(50, 16) + 10, ""),  # most of it is a common direction, the rest tells items apart
        (noise(50, 2) @ noise(2, 16), ""),
        (torch.zeros(50, 16), "are zero"),
        (noise(50, 16) * 1e-3 + 1, "point the same way"),
        (noise(50, 1) @ noise(1, 16), "lie on one line"),
        (torch.zeros(3, 16), ""),
    ],
)
def test_collapse_is_told_from_a_common_direction(embeddings: torch.Tensor, told: str) -> None:
    found = signs_of_collapse(embeddings)
    assert told in found
    assert bool(found) == bool(told)
