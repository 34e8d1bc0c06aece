"""The rationale contrast against loops and closed forms."""

import math

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.objectives.rationale import rationale_contrast


def draws() -> tuple[Tensor, Tensor, Tensor]:
    first, second, third = torch.randn(3, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return first, second, third


def looped(a: Tensor, r: Tensor, c: Tensor, t: float, independence: float, separate: bool) -> float:
    total = 0.0
    for i in range(len(a)):
        own = math.exp(float(a[i] @ r[i] / (a[i].norm() * r[i].norm())) / t)
        rationales = sum(math.exp(float(a[i] @ z / (a[i].norm() * z.norm())) / t) for z in r)
        complements = sum(math.exp(float(a[i] @ z / (a[i].norm() * z.norm())) / t) for z in c)
        first, second = own / rationales, own / (own + complements)
        if separate:
            total -= math.log(first) + independence * math.log(second)
        else:
            total -= math.log(first + independence * second)
    return total / len(a)


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("independence", [0.0, 0.1, 2.0])
@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_it_is_what_loops_say(separate: bool, independence: float, temperature: float) -> None:
    value = rationale_contrast(*draws(), temperature=temperature, independence=independence, separate=separate)
    assert value.item() == pytest.approx(looped(*draws(), temperature, independence, separate))


def test_equal_embeddings_have_a_closed_form() -> None:
    """All cosines are 1: the shares are 1/n and 1/(n + 1)."""
    same = torch.ones(4, 2, dtype=torch.float64)
    value = rationale_contrast(same, same, same, independence=0.5)
    assert value.item() == pytest.approx(-math.log(1 / 4 + 0.5 / 5))
    value = rationale_contrast(same, same, same, independence=0.5, separate=True)
    assert value.item() == pytest.approx(math.log(4) + 0.5 * math.log(5))


@pytest.mark.parametrize("separate", [False, True])
def test_descent_nears_rationales_and_leaves_complements(separate: bool) -> None:
    a, r, c = (z.clone().requires_grad_() for z in draws())

    def cosines() -> tuple[float, float]:
        one, two = (torch.nn.functional.cosine_similarity(a, z).mean().item() for z in (r, c))
        return one, two

    before = cosines()
    optimizer = torch.optim.Adam([a, r, c], lr=0.05)
    for _ in range(10):
        optimizer.zero_grad()
        rationale_contrast(a, r, c, independence=1.0, separate=separate).backward()
        optimizer.step()
    after = cosines()
    assert after[0] > before[0] + 0.1
    assert after[1] < before[1] - 0.05


def test_small_temperatures_do_not_overflow() -> None:
    a, r, c = (z.float().requires_grad_() for z in draws())
    value = rationale_contrast(a, r, c, temperature=1e-3)
    value.backward()
    assert value.isfinite()
    assert all(z.grad is not None and bool(z.grad.isfinite().all()) for z in (a, r, c))


def test_shapes_that_do_not_match_are_refused() -> None:
    a, r, c = draws()
    for wrong in ((a, r[:4], c), (a, r, c[:, :2])):
        with pytest.raises(InputError, match="two projections of the same shape"):
            rationale_contrast(*wrong)
