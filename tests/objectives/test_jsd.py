"""The Jensen-Shannon estimator against its divergence, loops over pairs and literal duplicates."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from gssl.objectives.jsd import binary_agreement, jsd, jsd_negative, jsd_positive, local_global_jsd

SIZES = [3, 1, 4]
GRAPH = torch.arange(3).repeat_interleave(torch.tensor(SIZES))


def projections(dim: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    local = torch.randn(sum(SIZES), dim, generator=generator, dtype=torch.float64)
    return local, torch.randn(len(SIZES), dim, generator=generator, dtype=torch.float64)


def loop_reference(local: Tensor, summary: Tensor, graph: Tensor) -> float:
    """InfoGraph's loss pair by pair, with the formulas written out."""
    positive = negative = 0.0
    for node, own in zip(local, graph.tolist(), strict=True):
        for number, other in enumerate(summary):
            score = float(node @ other)
            if number == own:
                positive += math.log(2) - math.log1p(math.exp(-score))
            else:
                negative += math.log1p(math.exp(-score)) + score - math.log(2)
    return negative / (len(local) * (len(summary) - 1)) - positive / len(local)


def test_the_best_scores_give_twice_the_divergence() -> None:
    """At s = log p/q the bound is tight, and the loss is -2 JS(p, q) in nats."""
    p, q = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64), torch.tensor([0.1, 0.2, 0.7], dtype=torch.float64)
    middle = (p + q) / 2
    divergence = (p * (p / middle).log() + q * (q / middle).log()).sum() / 2
    best = (p / q).log()
    assert jsd(best, best, positive_weight=p, negative_weight=q).item() == pytest.approx(-2 * divergence.item())
    for change in (0.1, -0.1, 1.0):
        worse = best + change * torch.tensor([1.0, -1.0, 0.5])
        assert jsd(worse, worse, positive_weight=p, negative_weight=q) > -2 * divergence


def test_extreme_scores_stay_finite_and_zero_scores_give_zero() -> None:
    scores = torch.tensor([-1e4, 0.0, 1e4], dtype=torch.float64)
    assert jsd_positive(scores).tolist() == pytest.approx([math.log(2) - 1e4, 0, math.log(2)], abs=1e-6)
    assert jsd_negative(scores).tolist() == pytest.approx([-math.log(2), 0, 1e4 - math.log(2)], abs=1e-6)
    assert jsd(torch.zeros(3), torch.zeros(5)).item() == 0


def test_agreement_is_the_cross_entropy_of_both_kinds() -> None:
    generator = torch.Generator().manual_seed(0)
    positive, negative = torch.randn(2, 6, generator=generator)
    labels = torch.cat([torch.ones(6), torch.zeros(6)])
    expected = binary_cross_entropy_with_logits(torch.cat([positive, negative]), labels)
    torch.testing.assert_close(binary_agreement(positive, negative), expected)
    torch.testing.assert_close(binary_agreement(positive, negative), jsd(positive, negative) / 2 + math.log(2))


def test_a_weight_of_two_is_a_pair_twice() -> None:
    generator = torch.Generator().manual_seed(1)
    positive, negative = torch.randn(2, 4, generator=generator)
    weight = torch.tensor([1.0, 2.0, 3.0, 1.0])
    times = weight.long()
    twice = positive.repeat_interleave(times), negative.repeat_interleave(times)
    torch.testing.assert_close(binary_agreement(positive, negative, weight=weight), binary_agreement(*twice))
    torch.testing.assert_close(jsd(positive, negative, positive_weight=weight, negative_weight=weight), jsd(*twice))
    equal = torch.full((4,), 0.3)
    torch.testing.assert_close(binary_agreement(positive, negative, weight=equal), binary_agreement(positive, negative))


def test_local_global_is_the_loop_over_pairs() -> None:
    local, summary = projections()
    assert local_global_jsd(local, summary, GRAPH).item() == pytest.approx(loop_reference(local, summary, GRAPH))
    ones = torch.ones(3, dtype=torch.float64)
    torch.testing.assert_close(
        local_global_jsd(local, summary, GRAPH, weight=ones), local_global_jsd(local, summary, GRAPH)
    )


def test_a_graph_of_weight_two_is_the_graph_twice() -> None:
    local, summary = projections()
    weight = torch.tensor([2.0, 1.0, 3.0], dtype=torch.float64)
    copies = torch.tensor([0, 0, 1, 2, 2, 2])
    nodes = torch.cat([(g == GRAPH).nonzero().squeeze(1) for g in copies.tolist()])
    graph = torch.arange(6).repeat_interleave(torch.tensor(SIZES)[copies])
    expected = loop_reference(local[nodes], summary[copies], graph)
    assert local_global_jsd(local, summary, GRAPH, weight=weight).item() == pytest.approx(expected)


def test_one_graph_has_no_negatives() -> None:
    local, summary = projections()
    local.requires_grad_()
    loss = local_global_jsd(local, summary[:1], torch.zeros(8, dtype=torch.int64))
    torch.testing.assert_close(loss, -jsd_positive(local @ summary[0]).mean())
    loss.backward()
    assert local.grad is not None
    assert local.grad.isfinite().all()


def test_gradients() -> None:
    local, summary = (t.requires_grad_() for t in projections(dim=3))
    weight = torch.tensor([0.5, 1.0, 2.5], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda a, b: local_global_jsd(a, b, GRAPH, weight=weight), (local, summary))


def test_steps_raise_positive_and_lower_negative_scores() -> None:
    local, summary = (t.requires_grad_() for t in projections())
    before = (local @ summary.T).detach()
    optimizer = torch.optim.SGD([local, summary], lr=0.5)
    for _ in range(10):
        optimizer.zero_grad()
        local_global_jsd(local, summary, GRAPH).backward()
        optimizer.step()
    change = (local @ summary.T).detach() - before
    own = torch.nn.functional.one_hot(GRAPH, 3).bool()
    assert change[own].mean() > 0.5
    assert change[~own].mean() < -0.5
