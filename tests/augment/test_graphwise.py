"""Random orders within the graphs of a batch."""

from collections import Counter
from itertools import pairwise, permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gssl.augment.graphwise import weighted_rank


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("heavy", [False, True])
def test_weighted_ranks_are_draws_without_replacement(heavy: bool) -> None:
    """Every order of four items as often as one draw after the other has it."""
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0] if heavy else [1.0] * 4)
    repeats = 6000
    ranks = weighted_rank(4 * torch.arange(repeats + 1), weight.repeat(repeats), rng()).view(repeats, 4)
    assert torch.equal(ranks.sort(1).values, torch.arange(4).expand(repeats, 4))
    found = Counter(tuple(order) for order in ranks.argsort(1).tolist())
    for order in permutations(range(4)):
        expected, left = 1.0, float(weight.sum())
        for item in order:
            expected, left = expected * float(weight[item]) / left, left - float(weight[item])
        error = (expected * (1 - expected) / repeats) ** 0.5
        assert abs(found[order] / repeats - expected) < 4.5 * error, order


@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(0, 2**16))
def test_weighted_ranks_stay_within_their_segments(sizes: list[int], seed: int) -> None:
    offsets = torch.tensor([0, *sizes]).cumsum(0)
    ranks = weighted_rank(offsets, torch.rand(int(offsets[-1])) + 0.01, rng(seed))
    for start, end in pairwise(offsets.tolist()):
        assert sorted(ranks[start:end].tolist()) == list(range(end - start))
