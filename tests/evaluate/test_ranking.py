"""Metrics of links against OGB's Evaluator, counting by hand and scikit-learn's definitions, with and without ties."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.ogb_import import without_update_check
from gssl.datasets.types import Metric
from gssl.evaluate.metrics import higher_is_better
from gssl.evaluate.ranking import average_precision, evaluate_links, hits, mrr, roc_auc

with without_update_check():
    from ogb.linkproppred import Evaluator

METRICS: tuple[Metric, ...] = ("roc_auc", "average_precision", "hits@1", "hits@3", "hits@7", "mrr")


@st.composite
def scores(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Few different values, so that many are equal."""
    value = st.integers(-4, 4).map(lambda number: number / 2)
    positive = draw(st.lists(value, min_size=1, max_size=15))
    negative = draw(st.lists(value, min_size=1, max_size=30))
    return torch.tensor(positive, dtype=torch.float64), torch.tensor(negative, dtype=torch.float64)


@st.composite
def grouped(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    rows, columns = draw(st.integers(1, 8)), draw(st.integers(1, 12))
    return torch.randint(5, (rows,), generator=rng).float(), torch.randint(5, (rows, columns), generator=rng).float()


def ranks(positive: Tensor, negative: Tensor) -> Tensor:
    """Rank of each positive: one more than those above it, and half of those beside it."""
    table = negative if negative.dim() == 2 else negative.expand(len(positive), -1)
    above, beside = table > positive[:, None], table == positive[:, None]
    return 1 + above.sum(1).double() + beside.sum(1).double() / 2


def official(name: str, positive: Tensor, negative: Tensor, k: int = 0) -> dict[str, Any]:
    evaluator = Evaluator(name)
    if k:
        evaluator.K = k
    result: dict[str, Any] = evaluator.eval({"y_pred_pos": positive, "y_pred_neg": negative})
    return result


@settings(max_examples=60, deadline=None)
@given(scores(), st.integers(1, 20))
def test_hits_are_scores_above_the_kth_best_negative(drawn: tuple[Tensor, Tensor], k: int) -> None:
    positive, negative = drawn
    best = sorted(negative.tolist(), reverse=True)
    expected = sum(len(best) < k or score > best[k - 1] for score in positive.tolist()) / len(positive)
    assert hits(positive, negative, k) == pytest.approx(expected)
    assert hits(positive, negative, k) == official("ogbl-ddi", positive, negative, k)[f"hits@{k}"]


@pytest.mark.parametrize(("name", "k"), [("ogbl-ddi", 20), ("ogbl-collab", 50), ("ogbl-ppa", 100)])
def test_hits_of_ogbs_sets_are_those_of_their_evaluators(name: str, k: int) -> None:
    rng = torch.Generator().manual_seed(0)
    positive, negative = torch.randn(300, generator=rng) + 1.5, torch.randn(1000, generator=rng)
    assert evaluate_links(f"hits@{k}", positive, negative) == official(name, positive, negative)[f"hits@{k}"]


@settings(max_examples=60, deadline=None)
@given(scores())
def test_mrr_of_common_negatives_is_ogbs_with_every_row_alike(drawn: tuple[Tensor, Tensor]) -> None:
    positive, negative = drawn
    assert mrr(positive, negative) == pytest.approx(float(ranks(positive, negative).reciprocal().mean()))
    table = negative.repeat(len(positive), 1)
    ours, ogbs = mrr(positive, negative), official("ogbl-citation2", positive, table)["mrr_list"]
    assert ours == pytest.approx(float(ogbs.double().mean()), rel=1e-6)
    assert mrr(positive, table) == pytest.approx(ours, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(grouped())
def test_ranks_among_own_negatives_are_ogbs(drawn: tuple[Tensor, Tensor]) -> None:
    positive, negative = drawn
    ogbs = official("ogbl-citation2", positive, negative)
    expected = ranks(positive, negative)
    assert evaluate_links("mrr", positive, negative) == pytest.approx(float(expected.reciprocal().mean()), rel=1e-6)
    assert evaluate_links("mrr", positive, negative) == float(ogbs["mrr_list"].double().mean())
    for k in (1, 3, 10):
        assert hits(positive, negative, k) == pytest.approx(float(ogbs[f"hits@{k}_list"].double().mean()))
        assert hits(positive, negative, k) == pytest.approx(float((expected <= k).double().mean()))


def test_own_negatives_are_ranked_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = torch.Generator().manual_seed(0)
    positive, negative = torch.randn(50, generator=rng), torch.randn(50, 9, generator=rng)
    whole = mrr(positive, negative)
    monkeypatch.setattr("gssl.evaluate.ranking._CHUNK", 64)
    assert mrr(positive, negative) == pytest.approx(whole, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(scores())
def test_roc_auc_is_the_chance_to_be_above(drawn: tuple[Tensor, Tensor]) -> None:
    positive, negative = drawn
    above = (positive[:, None] > negative).double() + 0.5 * (positive[:, None] == negative)
    assert roc_auc(positive, negative) == pytest.approx(float(above.mean()))


@settings(max_examples=60, deadline=None)
@given(scores())
def test_average_precision_is_the_mean_precision_at_each_joined_pair(drawn: tuple[Tensor, Tensor]) -> None:
    positive, negative = drawn
    precisions = []
    for score in positive:
        good, bad = (positive >= score).sum(), (negative >= score).sum()
        precisions.append(float(good / (good + bad)))
    assert average_precision(positive, negative) == pytest.approx(sum(precisions) / len(precisions))


def test_closed_forms() -> None:
    positive, negative = torch.tensor([3.0, 1.0]), torch.tensor([2.0, 0.0, 0.0, 1.0])
    assert evaluate_links("roc_auc", positive, negative) == (4 + 2.5) / 8
    assert evaluate_links("mrr", positive, negative) == (1 + 1 / 2.5) / 2
    assert evaluate_links("average_precision", positive, negative) == pytest.approx((1 + 2 / 4) / 2)
    assert [hits(positive, negative, k) for k in (1, 2, 3, 4, 5)] == [0.5, 0.5, 1.0, 1.0, 1.0]
    assert evaluate_links("hits@2", positive, negative) == 0.5  # equal to the second best negative: a miss


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("own", [False, True])
def test_every_metric_is_better_when_joined_pairs_score_higher(metric: Metric, own: bool) -> None:
    positive, negative = torch.arange(10.0), torch.arange(10.0) - 0.5
    negative = negative.expand(10, -1) if own else negative
    good, same, bad = (evaluate_links(metric, positive + shift, negative) for shift in (20, 0, -20))
    assert good == pytest.approx(1.0)
    assert bad < same < good
    assert higher_is_better(metric)


def test_all_scores_equal_say_nothing() -> None:
    positive, negative = torch.zeros(6), torch.zeros(9)
    assert evaluate_links("roc_auc", positive, negative) == 0.5
    assert evaluate_links("average_precision", positive, negative) == pytest.approx(6 / 15)
    assert evaluate_links("hits@3", positive, negative) == 0.0
    assert evaluate_links("mrr", positive, negative) == pytest.approx(1 / 5.5)


@pytest.mark.parametrize("metric", METRICS)
def test_a_rising_function_of_the_scores_changes_nothing(metric: Metric) -> None:
    rng = torch.Generator().manual_seed(0)
    positive, negative = torch.randn(30, generator=rng).double() + 1, torch.randn(40, generator=rng).double()
    before = evaluate_links(metric, positive, negative)
    assert evaluate_links(metric, positive.sigmoid(), negative.sigmoid()) == before


@pytest.mark.parametrize(
    ("metric", "positive", "negative", "message"),
    [
        ("accuracy", torch.ones(2), torch.ones(3), "is none of links"),
        ("hits@x", torch.ones(2), torch.ones(3), "unknown metric"),
        ("mrr", torch.ones(0), torch.ones(3), "at least one joined pair"),
        ("mrr", torch.ones(2), torch.ones(0), "at least one joined pair"),
        ("mrr", torch.ones(2), torch.ones(3, 4), "do not go with"),
        ("mrr", torch.ones(2, 2), torch.ones(3), "do not go with"),
        ("hits@1", torch.tensor([1.0, torch.nan]), torch.ones(3), "finite"),
        ("roc_auc", torch.ones(2), torch.tensor([torch.inf]), "finite"),
    ],
)
def test_what_cannot_be_ranked(metric: Metric, positive: Tensor, negative: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate_links(metric, positive, negative)
