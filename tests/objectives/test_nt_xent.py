"""NT-Xent against loops, closed forms and literal duplicates."""

import math

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.objectives.nt_xent import nt_xent


def views(n: int = 6, dim: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randn(2, n, dim, generator=generator, dtype=torch.float64)
    return first, second


def loop_reference(first: Tensor, second: Tensor, temperature: float, positive_in_denominator: bool) -> float:
    """Equation 3 of GraphCL, anchor by anchor; the paper's sum runs over n' != n."""
    total = 0.0
    for i, anchor in enumerate(first):
        scores = [float(anchor @ z) / float(anchor.norm() * z.norm()) / temperature for z in second]
        others = [s for j, s in enumerate(scores) if j != i or positive_in_denominator]
        total += -math.log(math.exp(scores[i]) / sum(map(math.exp, others)))
    return total / len(first)


@pytest.mark.parametrize("positive_in_denominator", [False, True])
@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_it_is_the_loop_over_anchors(temperature: float, positive_in_denominator: bool) -> None:
    first, second = views()
    forward = loop_reference(first, second, temperature, positive_in_denominator)
    backward = loop_reference(second, first, temperature, positive_in_denominator)
    options = {"temperature": temperature, "positive_in_denominator": positive_in_denominator}
    assert nt_xent(first, second, **options).item() == pytest.approx(forward)  # type: ignore[arg-type]  # mixed values
    both = nt_xent(first, second, symmetric=True, **options).item()  # type: ignore[arg-type]  # mixed values
    assert both == pytest.approx((forward + backward) / 2)


def test_orthonormal_views_have_a_closed_form() -> None:
    z = torch.eye(5, dtype=torch.float64) * torch.arange(1, 6).unsqueeze(1)  # lengths must not matter
    t = 0.3
    assert nt_xent(z, z, temperature=t).item() == pytest.approx(math.log(4) - 1 / t)
    with_positive = nt_xent(z, z, temperature=t, positive_in_denominator=True).item()
    assert with_positive == pytest.approx(math.log(1 + 4 * math.exp(-1 / t)))


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("positive_in_denominator", [False, True])
def test_a_weight_of_two_is_an_item_twice(positive_in_denominator: bool, symmetric: bool) -> None:
    first, second = views(4)
    weight = torch.tensor([1.0, 2.0, 1.0, 3.0])
    times = weight.long()
    got = nt_xent(first, second, positive_in_denominator=positive_in_denominator, symmetric=symmetric, weight=weight)
    twice = first.repeat_interleave(times, 0), second.repeat_interleave(times, 0)
    expected = nt_xent(*twice, positive_in_denominator=positive_in_denominator, symmetric=symmetric)
    torch.testing.assert_close(got, expected)
    plain = nt_xent(first, second, positive_in_denominator=positive_in_denominator, symmetric=symmetric)
    ones = nt_xent(
        first, second, positive_in_denominator=positive_in_denominator, symmetric=symmetric, weight=torch.ones(4)
    )
    torch.testing.assert_close(ones, plain)


def test_an_item_of_weight_zero_is_absent() -> None:
    first, second = views(4)
    got = nt_xent(first, second, weight=torch.tensor([1.0, 0.0, 1.0, 1.0]))
    left = torch.tensor([0, 2, 3])
    torch.testing.assert_close(got, nt_xent(first[left], second[left]))


def test_a_single_item_has_no_loss_and_no_gradient() -> None:
    first, second = (z.requires_grad_() for z in views(1))
    loss = nt_xent(first, second)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert first.grad is not None
    assert first.grad.abs().max() < 1e-12


def test_gradients_and_small_temperatures() -> None:
    first, second = (z.requires_grad_() for z in views(4, 3))
    weight = torch.tensor([0.5, 1.0, 2.0, 1.5])
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, symmetric=True, weight=weight), (first, second))
    # exp(1 / 0.005) overflows float32, which the formula of the paper's code would turn into NaN.
    assert nt_xent(first.float(), second.float(), temperature=0.005).isfinite()


def test_steps_bring_positives_together() -> None:
    first, second = (z.requires_grad_() for z in views(8))
    optimizer = torch.optim.SGD([first, second], lr=0.3)

    def margin() -> float:
        similarity = torch.nn.functional.normalize(first, dim=1) @ torch.nn.functional.normalize(second, dim=1).T
        return (similarity.diagonal().mean() - similarity.mean()).item()

    before = margin()
    for _ in range(10):
        optimizer.zero_grad()
        nt_xent(first, second).backward()
        optimizer.step()
    assert margin() > before + 0.2


def test_shapes_must_match() -> None:
    first, second = views(4)
    with pytest.raises(InputError, match="same shape"):
        nt_xent(first, second[:3])
