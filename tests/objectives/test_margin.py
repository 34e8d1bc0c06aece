"""Margins against torch's own losses, loops and closed forms."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.common.errors import InputError
from gssl.methods.pairwise import pair_objective
from gssl.objectives.groups import group_discrimination
from gssl.objectives.margin import margin_ranking, multi_margin_triplet, triplet_margin

WEIGHT = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0, 1.5], dtype=torch.float64)


def rows(count: int, *shape: int, seed: int = 0) -> list[Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=rng, dtype=torch.float64) for _ in range(count)]


@pytest.mark.parametrize("margin", [0.1, 0.5, 2.0])
def test_torch_computes_the_same_means(margin: float) -> None:
    positive, negative = rows(2, 6)
    expected = F.margin_ranking_loss(positive, negative, torch.ones(6), margin=margin)
    torch.testing.assert_close(margin_ranking(positive, negative, margin=margin), expected)
    anchor, near, far = rows(3, 6, 4)
    expected = F.triplet_margin_loss(anchor, near, far, margin=margin)
    torch.testing.assert_close(triplet_margin(anchor, near, far, margin=margin), expected)
    assert float(expected) > 0


def test_a_pair_that_is_apart_by_the_margin_costs_nothing_and_pulls_at_nothing() -> None:
    scores = torch.tensor([0.9, 0.6], dtype=torch.float64, requires_grad=True)
    loss = margin_ranking(scores, torch.tensor([0.3, 0.4], dtype=torch.float64), margin=0.5)
    loss.backward()
    assert loss.item() == pytest.approx((0 + 0.3) / 2)
    assert scores.grad is not None
    assert scores.grad.tolist() == [0.0, -0.5]


def looped(items: list[Tensor], negatives: Tensor, weight: Tensor, o: dict[str, Any]) -> float:
    """The objective item by item and negative by negative, in plain numbers."""
    anchor, positive, near = items
    total = 0.0
    for i, w in enumerate(weight.tolist()):
        s_p, s_near = (math.dist(anchor[i].tolist(), x[i].tolist()) for x in (positive, near))
        for negative in negatives:
            s_n = math.dist(anchor[i].tolist(), negative[i].tolist())
            term = o["positive_weight"] * max(0.0, s_p - s_n + o["margin"])
            term += o["near_weight"] * max(0.0, s_near - s_n + o["margin"])
            term += o["bound_weight"] * max(0.0, s_n - s_p - o["margin"] - o["width"])
            total += w * term / len(negatives)
    return total / float(weight.sum())


def test_several_margins_are_a_loop_over_items_and_negatives() -> None:
    anchor, positive, near = items = rows(3, 6, 3)
    (negatives,) = rows(1, 5, 6, 3, seed=1)
    options: dict[str, Any] = {"margin": 0.3, "width": 0.4}
    options |= {"positive_weight": 2.0, "near_weight": 0.7, "bound_weight": 1.3}
    found = multi_margin_triplet(anchor, positive, near, negatives, weight=WEIGHT, **options)
    assert found.item() == pytest.approx(looped(items, negatives, WEIGHT, options), abs=1e-4)
    one = multi_margin_triplet(anchor, positive, near, negatives[0], weight=WEIGHT, **options)
    assert one.item() == pytest.approx(looped(items, negatives[:1], WEIGHT, options), abs=1e-4)


def on_a_line(to_positive: float, to_near: float, to_negative: float) -> list[Tensor]:
    """An anchor at 0 and the others at these places."""
    return [torch.tensor([[x]], dtype=torch.float64) for x in (0.0, to_positive, to_near, to_negative)]


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ((1.0, 1.0, 1.9), 0.0),  # between margin and margin + width: nothing to do
        ((1.0, 1.0, 1.5), 0.3 + 10 * 0.3),  # too near for both kinds of positives
        ((1.0, 0.5, 1.5), 0.3),  # for the first kind only
        ((1.0, 0.5, 2.5), 100 * 0.5),  # too far: above the bound of 1 + 0.8 + 0.2
    ],
)
def test_negatives_are_kept_between_two_margins(places: tuple[float, float, float], expected: float) -> None:
    weights: dict[str, Any] = {"positive_weight": 1.0, "near_weight": 10.0, "bound_weight": 100.0}
    loss = multi_margin_triplet(*on_a_line(*places), margin=0.8, width=0.2, **weights)
    assert loss.item() == pytest.approx(expected, abs=1e-3)


def test_the_bound_pulls_negatives_in_and_leaves_positives_where_they_are() -> None:
    anchor, positive, near, negative = (x.requires_grad_() for x in on_a_line(1.0, 1.0, 5.0))
    multi_margin_triplet(anchor, positive, near, negative).backward()
    assert negative.grad is not None
    assert negative.grad.item() == pytest.approx(1.0)  # a step against it makes the negative nearer
    assert positive.grad is not None
    assert positive.grad.item() == 0
    assert near.grad is not None
    assert near.grad.item() == 0


@pytest.mark.parametrize("name", ["margin", "width", "positive_weight", "near_weight", "bound_weight"])
@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_margins_and_weights_out_of_range_are_refused(name: str, value: float) -> None:
    option: dict[str, Any] = {name: value}
    with pytest.raises(InputError, match=f"{name} must be 0 or a positive number"):
        multi_margin_triplet(*rows(4, 6, 3), **option)
    if name == "margin":
        with pytest.raises(InputError, match="margin must be"):
            triplet_margin(*rows(3, 6, 3), margin=value)
        with pytest.raises(InputError, match="margin must be"):
            margin_ranking(*rows(2, 6), margin=value)


def test_groups_are_told_by_the_sums_of_their_projections() -> None:
    real, corrupted = rows(2, 6, 4)
    logits = torch.cat([real, corrupted]).sum(1)
    labels = torch.cat([torch.ones(6), torch.zeros(6)]).double()
    expected = F.binary_cross_entropy_with_logits(logits, labels, WEIGHT.repeat(2)) * 6 / WEIGHT.sum()
    torch.testing.assert_close(group_discrimination(real, corrupted, weight=WEIGHT), expected)
    assert group_discrimination(real * 0, corrupted * 0).item() == pytest.approx(math.log(2))
    good = torch.ones(2, 3, dtype=torch.float64)
    assert group_discrimination(good, -good).item() == pytest.approx(math.log1p(math.exp(-3)))
    assert group_discrimination(-good, good).item() == pytest.approx(3 + math.log1p(math.exp(-3)))


@pytest.mark.parametrize("name", ["group_discrimination", "margin_ranking", "triplet_margin", "multi_margin_triplet"])
def test_none_of_them_is_an_agreement_of_two_views(name: str) -> None:
    with pytest.raises(InputError, match="does not compare two views"):
        pair_objective(name, None)
