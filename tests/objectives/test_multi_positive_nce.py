"""InfoNCE with several positives, against loops and in closed form."""

import math

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.hetero import pattern_of
from gssl.graph.sparse import Pattern
from gssl.objectives.info_nce import info_nce
from gssl.objectives.positives import multi_positive_nce


def own(count: int) -> Pattern:
    return pattern_of(torch.arange(count), torch.arange(count), count, count)


def loops(u: Tensor, v: Tensor, positives: list[list[int]], t: float, balance: float) -> float:
    """Anchor by anchor, in plain numbers."""

    def cosine(a: Tensor, b: Tensor) -> float:
        return float(a @ b / (a.norm() * b.norm()))

    total = 0.0
    for share, (first, second) in ((balance, (u, v)), (1 - balance, (v, u))):
        for i, near in enumerate(positives):
            terms = [math.exp(cosine(first[i], second[j]) / t) for j in range(len(u))]
            total -= share * math.log(sum(terms[j] for j in near) / sum(terms)) / len(u)
    return total


@pytest.mark.parametrize("balance", [0.0, 0.3, 1.0])
def test_it_is_the_loss_of_every_anchor(balance: float) -> None:
    rng = torch.Generator().manual_seed(0)
    u, v = (torch.randn(5, 3, generator=rng, dtype=torch.float64) for _ in range(2))
    positives = [[0, 2], [1], [0, 1, 2, 3, 4], [4], [2, 3]]  # not the same in both directions, one without itself
    row = torch.tensor([i for i, near in enumerate(positives) for _ in near])
    pattern = pattern_of(row, torch.tensor([j for near in positives for j in near]), 5, 5)
    found = multi_positive_nce(u, v, positives=pattern, temperature=0.7, balance=balance)
    assert found.item() == pytest.approx(loops(u, v, positives, 0.7, balance), rel=1e-10)


def test_with_itself_alone_it_is_info_nce_between_the_views() -> None:
    rng = torch.Generator().manual_seed(1)
    u, v = (torch.randn(7, 3, generator=rng) for _ in range(2))
    found = multi_positive_nce(u, v, positives=own(7), temperature=0.4)
    torch.testing.assert_close(found, info_nce(u, v, temperature=0.4, intra=False))


def test_closed_forms() -> None:
    """Where all are alike, k of n are positive; where all are positive, nothing is left to say."""
    same = torch.ones(6, 3)
    ring = pattern_of(torch.arange(6).repeat(2), torch.cat([torch.arange(6), torch.arange(6).roll(1)]), 6, 6)
    assert multi_positive_nce(same, same, positives=ring).item() == pytest.approx(math.log(6 / 2), rel=1e-5)
    everyone = pattern_of(torch.arange(36) // 6, torch.arange(36) % 6, 6, 6)
    rows = torch.randn(6, 3)
    assert multi_positive_nce(rows, rows.flip(0), positives=everyone).item() == pytest.approx(0, abs=1e-5)


def test_ten_steps_bring_positives_together_and_not_the_others() -> None:
    rng = torch.Generator().manual_seed(2)
    u, v = (torch.randn(8, 4, generator=rng).requires_grad_() for _ in range(2))
    group = torch.arange(8) // 2
    row, col = (group[:, None] == group).nonzero(as_tuple=True)
    positives = pattern_of(row, col, 8, 8)

    def agreement() -> float:
        cosine = torch.cosine_similarity(u.detach()[:, None], v.detach(), dim=2)
        near = group[:, None] == group
        return float(cosine[near].mean() - cosine[~near].mean())

    optimizer = torch.optim.Adam([u, v], lr=0.05)
    before = agreement()
    for _ in range(10):
        optimizer.zero_grad()
        multi_positive_nce(u, v, positives=positives).backward()
        optimizer.step()
    assert agreement() > before + 0.1


def test_low_temperatures_stay_finite() -> None:
    u = torch.randn(6, 3)
    assert bool(multi_positive_nce(u, -u, positives=own(6), temperature=0.005).isfinite())


def test_what_does_not_fit_is_refused() -> None:
    u = torch.randn(4, 3)
    with pytest.raises(InputError, match=r"positives of shape \(4, 4\)"):
        multi_positive_nce(u, u, positives=own(5))
    with pytest.raises(InputError, match="item 2 has no positive"):
        multi_positive_nce(u, u, positives=pattern_of(torch.tensor([0, 1, 3]), torch.tensor([0, 1, 3]), 4, 4))
    with pytest.raises(InputError, match="temperature must be at least"):
        multi_positive_nce(u, u, positives=own(4), temperature=0.0)
    with pytest.raises(InputError, match="same shape"):
        multi_positive_nce(u, u[:, :2], positives=own(4))
