"""Debiased and hard-negative InfoNCE against loops, closed forms and literal duplicates."""

import math
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from gssl.common.errors import InputError
from gssl.objectives.hard_negatives import debiased_info_nce, hard_info_nce
from gssl.objectives.info_nce import info_nce


def pair(n: int, dim: int = 4, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    first = torch.randn(n, dim, generator=rng, dtype=torch.float64)
    return first, first + torch.randn(n, dim, generator=rng, dtype=torch.float64)


def anchor_by_loops(i: int, own: Tensor, other: Tensor, t: float, prior: float, beta: float, intra: bool) -> float:
    """The papers' estimator for one anchor, one exponential at a time."""

    def e(a: Tensor, b: Tensor) -> float:
        return math.exp(float(cosine_similarity(a, b, dim=0)) / t)

    views = (own, other) if intra else (other,)
    negatives = [e(own[i], view[j]) for view in views for j in range(len(own)) if j != i]
    importance = [value**beta for value in negatives]
    mean_importance = sum(importance) / len(importance)
    mean = sum(w / mean_importance * value for w, value in zip(importance, negatives, strict=True)) / len(negatives)
    positive = e(own[i], other[i])
    other_classes = max((mean - prior * positive) / (1 - prior), math.exp(-1 / t))
    return -math.log(positive / (positive + len(negatives) * other_classes))


def by_loops(first: Tensor, second: Tensor, t: float, prior: float, beta: float, intra: bool) -> float:
    both = [(first, second), (second, first)]
    terms = [anchor_by_loops(i, a, b, t, prior, beta, intra) for a, b in both for i in range(len(first))]
    return sum(terms) / len(terms)


@pytest.mark.parametrize("intra", [True, False])
@pytest.mark.parametrize(("t", "prior", "beta"), [(0.5, 0.1, 1.0), (1.0, 0.3, 0.5), (0.3, 0.0, 2.0)])
def test_it_is_the_loop_over_anchors(t: float, prior: float, beta: float, intra: bool) -> None:
    views = pair(9)
    for chunk in (None, 2, 4):
        loss = hard_info_nce(*views, temperature=t, class_prior=prior, concentration=beta, intra=intra, chunk=chunk)
        assert loss.item() == pytest.approx(by_loops(*views, t, prior, beta, intra), rel=1e-12)
        debiased = debiased_info_nce(*views, temperature=t, class_prior=prior, intra=intra, chunk=chunk)
        assert debiased.item() == pytest.approx(by_loops(*views, t, prior, 0.0, intra), rel=1e-12)


@pytest.mark.parametrize("intra", [True, False])
def test_without_prior_and_concentration_it_is_info_nce_with_its_gradient(intra: bool) -> None:
    """The sign too: PyGCL's forms of both return the logarithm of a probability, and minimise it."""
    values, gradients = [], []
    for objective in (info_nce, partial(hard_info_nce, class_prior=0, concentration=0)):
        views = tuple(view.requires_grad_() for view in pair(12))
        loss = objective(*views, intra=intra, temperature=0.4, chunk=5)
        values.append(loss.item())
        gradients.append(torch.autograd.grad(loss, views))
    assert values[0] == pytest.approx(values[1], rel=1e-12)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("intra", [True, False])
def test_orthogonal_and_identical_items_have_closed_forms(intra: bool) -> None:
    n, t, prior = 6, 0.5, 0.05
    count, p = (2 if intra else 1) * (n - 1), math.exp(1 / t)
    apart = torch.eye(n, dtype=torch.float64) * torch.arange(1, n + 1).unsqueeze(1)  # lengths must not matter
    # All negatives are alike, so that none is harder than another; prior * p is more than their mean leaves.
    corrected = count * max((1 - prior * p) / (1 - prior), 1 / p)
    for beta in (0.0, 2.0):
        loss = hard_info_nce(apart, 3 * apart, temperature=t, class_prior=prior, concentration=beta, intra=intra)
        assert loss.item() == pytest.approx(math.log(1 + corrected / p))
    least = debiased_info_nce(apart, apart, temperature=t, class_prior=0.5, intra=intra)
    assert least.item() == pytest.approx(math.log(1 + count / p**2))  # the bound, where the prior takes all away
    same = torch.ones(n, 3, dtype=torch.float64)
    assert hard_info_nce(same, same, temperature=t, intra=intra).item() == pytest.approx(math.log(1 + count))


def test_the_harder_negatives_count_more_up_to_only_the_nearest() -> None:
    views = pair(8)
    losses = [hard_info_nce(*views, class_prior=0, concentration=beta, intra=False).item() for beta in (0, 1, 4, 150)]
    assert losses[0] < losses[1] < losses[2] < losses[3]
    similarity = cosine_similarity(views[0][:, None], views[1][None], dim=2) / 0.5
    nearest = similarity.clone().fill_diagonal_(-torch.inf)
    terms = [(7 * nearest.amax(dim).exp() / similarity.diagonal().exp()).log1p() for dim in (0, 1)]
    assert losses[3] == pytest.approx(torch.stack(terms).mean().item(), rel=1e-3)


def test_a_prior_forgives_near_negatives() -> None:
    views = pair(20, 3)
    losses = [debiased_info_nce(*views, class_prior=prior).item() for prior in (0.0, 0.1, 0.3)]
    assert losses[0] > losses[1] > losses[2]


@pytest.mark.parametrize("intra", [True, False])
@pytest.mark.parametrize("chunk", [None, 1, 3])
def test_integer_weights_mean_including_the_item_that_often(intra: bool, chunk: int | None) -> None:
    for weight in ([1, 2, 0, 3], [2, 2, 2, 2], [0, 1, 0, 0], [0, 4, 0, 0]):
        first, second = pair(4)
        count = torch.tensor(weight)
        options = {"intra": intra, "class_prior": 0.05, "concentration": 0.7}
        weighted = hard_info_nce(first, second, weight=count.double(), chunk=chunk, **options)  # type: ignore[arg-type]  # mixed values
        views = (view.repeat_interleave(count, dim=0) for view in (first, second))
        torch.testing.assert_close(weighted, hard_info_nce(*views, **options))  # type: ignore[arg-type]  # mixed


def test_a_single_item_has_no_loss_and_no_gradient() -> None:
    views = tuple(view.requires_grad_() for view in pair(1))
    loss = hard_info_nce(*views)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert all(view.grad is not None and view.grad.abs().max() < 1e-12 for view in views)


@pytest.mark.parametrize("objective", [debiased_info_nce, hard_info_nce])
def test_ten_steps_raise_the_agreement_of_positives(objective: object) -> None:
    first, second = (view.requires_grad_() for view in pair(12, 8))
    assert callable(objective)

    def margin() -> float:
        similarity = cosine_similarity(first[:, None], second[None], dim=2)
        return (similarity.diagonal().mean() - similarity.mean()).item()

    before = margin()
    optimizer = torch.optim.SGD([first, second], lr=1.0)
    for _ in range(10):
        optimizer.zero_grad()
        objective(first, second).backward()
        optimizer.step()
    assert margin() > before + 0.05


def test_small_temperatures_are_exact_in_float32() -> None:
    first, second = pair(40, 3)
    for t in (0.1, 0.02):
        exact = hard_info_nce(first, second, temperature=t).item()
        rough = hard_info_nce(first.float(), second.float(), temperature=t)
        assert rough.dtype == torch.float32
        assert rough.item() == pytest.approx(exact, rel=1e-4)


def test_bad_input_says_what_to_change() -> None:
    first, second = pair(4)
    with pytest.raises(InputError, match="same shape"):
        hard_info_nce(first, second[:3])
    with pytest.raises(InputError, match=r"temperature must be at least 0\.0033"):
        hard_info_nce(first, second, temperature=0.002)
    for prior in (-0.1, 1.0, math.nan):
        with pytest.raises(InputError, match="class_prior is a probability"):
            debiased_info_nce(first, second, class_prior=prior)
    with pytest.raises(InputError, match="concentration"):
        hard_info_nce(first, second, concentration=-1)
