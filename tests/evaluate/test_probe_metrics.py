"""Metrics against scikit-learn, closed forms and their own definitions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.types import LabelKind, Metric
from gssl.evaluate.metrics import check_metric, evaluate, hard_scores, higher_is_better, hits_cutoff

OF_LABELS = ("accuracy", "micro_f1", "macro_f1", "roc_auc", "average_precision", "mae", "rmse")


def auc_by_pairs(y: Tensor, scores: Tensor) -> float:
    """Chance that a positive item scores higher than a negative one; a tie counts half."""
    positive, negative = scores[y == 1][:, None], scores[y == 0][None, :]
    return float(((positive > negative).double() + 0.5 * (positive == negative).double()).mean())


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 6), st.integers(1, 60), st.integers(0, 2**31))
def test_class_metrics_are_those_of_scikit_learn(classes: int, items: int, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    y = torch.randint(classes, (items,), generator=rng)
    scores = torch.randn(items, classes, generator=rng)
    predicted = scores.argmax(1)
    assert evaluate("accuracy", y, scores, "multiclass") == pytest.approx(sk.accuracy_score(y, predicted))
    for metric in ("micro_f1", "macro_f1"):
        expected = sk.f1_score(y, predicted, average=metric.removesuffix("_f1"), zero_division=0)
        assert evaluate(metric, y, scores, "multiclass") == pytest.approx(expected)


def test_micro_f1_of_classes_is_accuracy() -> None:
    rng = torch.Generator().manual_seed(0)
    y, scores = torch.randint(4, (50,), generator=rng), torch.randn(50, 4, generator=rng)
    assert evaluate("micro_f1", y, scores, "multiclass") == evaluate("accuracy", y, scores, "multiclass")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_ranking_of_two_classes_is_that_of_class_one(seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    y = torch.cat([torch.tensor([0, 1]), torch.randint(2, (20,), generator=rng)])
    scores = torch.randn(22, 2, generator=rng).round(decimals=0)
    margin = scores[:, 1] - scores[:, 0]
    assert evaluate("roc_auc", y, scores, "multiclass") == pytest.approx(auc_by_pairs(y, margin))
    expected = sk.average_precision_score(y, margin)
    assert evaluate("average_precision", y, scores, "multiclass") == pytest.approx(expected)


def test_ranking_of_several_classes_is_the_mean_of_one_against_the_rest() -> None:
    rng = torch.Generator().manual_seed(1)
    y, scores = torch.randint(4, (80,), generator=rng), torch.randn(80, 4, generator=rng)
    expected = sk.roc_auc_score(y, scores.double().softmax(1), multi_class="ovr", average="macro")
    assert evaluate("roc_auc", y, scores.double(), "multiclass") == pytest.approx(expected)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_missing_labels_are_left_out_of_every_metric(seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    y = torch.randint(2, (40, 3), generator=rng).float()
    y[:2] = torch.tensor([[0.0], [1.0]])  # both classes in every task
    y[2:][torch.rand(38, 3, generator=rng) < 0.3] = torch.nan
    scores = torch.randn(40, 3, generator=rng)
    known = [~y[:, task].isnan() for task in range(3)]
    columns = [(y[k, task], scores[k, task]) for task, k in enumerate(known)]
    flat_y, flat_s = torch.cat([c[0] for c in columns]), torch.cat([c[1] for c in columns])
    expected: dict[Metric, float] = {
        "roc_auc": np.mean([auc_by_pairs(*c) for c in columns]).item(),
        "average_precision": np.mean([sk.average_precision_score(*c) for c in columns]).item(),
        "accuracy": np.mean([((s > 0) == (t == 1)).double().mean() for t, s in columns]).item(),
        "macro_f1": np.mean([sk.f1_score(t, s > 0, zero_division=0) for t, s in columns]).item(),
        "micro_f1": sk.f1_score(flat_y, flat_s > 0, zero_division=0),
    }
    for metric, value in expected.items():
        assert evaluate(metric, y, scores, "multilabel") == pytest.approx(value)


def test_errors_are_means_over_the_columns_of_known_targets() -> None:
    y = torch.tensor([[1.0, 10.0], [2.0, torch.nan], [4.0, 20.0]])
    predicted = torch.tensor([[1.0, 11.0], [2.0, 1e6], [1.0, 22.0]])
    assert evaluate("mae", y, predicted, "regression") == pytest.approx((1.0 + 1.5) / 2)
    assert evaluate("rmse", y, predicted, "regression") == pytest.approx((3**0.5 + 2.5**0.5) / 2)


def test_tasks_with_one_class_are_not_ranked() -> None:
    y = torch.tensor([[0.0, 1.0], [1.0, 1.0], [1.0, torch.nan]])
    scores = torch.tensor([[0.1, 5.0], [0.2, 1.0], [0.3, 2.0]])
    assert evaluate("roc_auc", y, scores, "multilabel") == 1.0
    with pytest.raises(InputError, match="no task has both classes"):
        evaluate("roc_auc", y[:, 1:], scores[:, 1:], "multilabel")


def test_a_class_that_was_never_trained_on_is_never_predicted_and_ranks_last() -> None:
    y = torch.tensor([0, 1, 2, 0])
    scores = torch.tensor(
        [[1.0, 0.0, -torch.inf], [0.0, 1.0, -torch.inf], [0.0, 2.0, -torch.inf], [2.0, 1.0, -torch.inf]]
    )
    assert evaluate("accuracy", y, scores, "multiclass") == 0.75
    assert 0 < evaluate("roc_auc", y, scores, "multiclass") < 1


def test_scores_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        evaluate("roc_auc", torch.tensor([0, 1]), torch.tensor([[0.0, torch.nan], [1.0, 0.0]]), "multiclass")


@pytest.mark.parametrize(
    ("metric", "task"),
    [
        ("mae", "multiclass"),
        ("rmse", "multilabel"),
        ("accuracy", "regression"),
        ("nmi", "multiclass"),
        ("hits@5", "multilabel"),
    ],
)
def test_a_metric_that_does_not_fit_is_refused(metric: Metric, task: LabelKind) -> None:
    with pytest.raises(InputError, match=f"'{metric}' does not fit {task}"):
        evaluate(metric, torch.zeros(2, dtype=torch.int64), torch.zeros(2, 2), task)


def test_no_items_are_refused() -> None:
    with pytest.raises(InputError, match="at least one item"):
        evaluate("accuracy", torch.empty(0, dtype=torch.int64), torch.empty(0, 2), "multiclass")


@pytest.mark.parametrize("metric", OF_LABELS)
def test_the_better_prediction_is_better_in_the_direction_of_every_metric(metric: Metric) -> None:
    y = torch.tensor([[0.0], [1.0], [0.0], [1.0]])
    task: LabelKind = "regression" if metric in ("mae", "rmse") else "multilabel"
    good, bad = (evaluate(metric, y, sign * (2 * y - 1), task) for sign in (1, -1))
    assert (good > bad) == higher_is_better(metric)


def test_hard_predictions_score_as_themselves() -> None:
    predicted = torch.tensor([2, 0, 1, 2])
    assert hard_scores(predicted, 4).argmax(1).tolist() == predicted.tolist()
    assert hard_scores(predicted, 4).shape == (4, 4)


@pytest.mark.parametrize("metric", [*OF_LABELS, "nmi", "ari", "mrr", "hits@1", "hits@20", "hits@1000"])
def test_every_name_has_a_direction(metric: Metric) -> None:
    assert check_metric(metric) == metric
    assert higher_is_better(metric) == (metric not in ("mae", "rmse"))


@pytest.mark.parametrize(
    "name", ["hits@0", "hits@", "hits@-3", "hits@1.5", "hits@20 ", "Accuracy", "auc", "", "hits@³"]
)
def test_names_that_are_no_metrics_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="unknown metric"):
        higher_is_better(name)


def test_the_nearest_name_is_said_and_cutoffs_are_read() -> None:
    with pytest.raises(InputError, match="did you mean 'accuracy'"):
        check_metric("acuracy")
    assert [hits_cutoff(name) for name in ("hits@1", "hits@050", "hits@100", "mrr")] == [1, None, 100, None]
