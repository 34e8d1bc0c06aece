"""OGB's evaluator: used as it is, equal to the project's own metrics, and found without a network or a terminal."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.types import Metric
from gssl.evaluate.metrics import evaluate
from gssl.evaluate.ogb import _EVALUATORS, OgbProbe, _evaluator
from gssl.testing.gaussians import gaussian_classes
from gssl.testing.toy import toy_dataset


def tasks() -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    y = torch.randint(2, (60, 4), generator=rng).float()
    y[torch.rand(60, 4, generator=rng) < 0.3] = torch.nan
    y[:, 3] = 1.0  # no negative item: not ranked
    return y, torch.randn(60, 4, generator=rng)


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "accuracy"])
def test_tasks_are_scored_by_ogb_and_as_everywhere_else(metric: Metric) -> None:
    y, scores = tasks()
    name, key = _EVALUATORS[metric]
    evaluator = _evaluator(name)
    evaluator.num_tasks = 4
    predicted = (scores > 0).float() if metric == "accuracy" else scores
    expected = evaluator.eval({"y_true": y, "y_pred": predicted})[key]
    assert OgbProbe().measure(metric, y, scores, "multilabel") == expected
    assert evaluate(metric, y, scores, "multilabel") == pytest.approx(expected)


def test_targets_are_scored_by_ogb_and_as_everywhere_else() -> None:
    y, scores = tasks()
    assert OgbProbe().measure("rmse", y, scores, "regression") == pytest.approx(
        evaluate("rmse", y, scores, "regression")
    )
    mae = OgbProbe().measure("mae", y, scores, "regression")  # no evaluator of ogb's
    assert mae == evaluate("mae", y, scores, "regression")


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc"])
def test_two_classes_are_one_task(metric: Metric) -> None:
    rng = torch.Generator().manual_seed(0)
    y, scores = torch.randint(2, (50,), generator=rng), torch.randn(50, 2, generator=rng)
    ours = OgbProbe().measure(metric, y, scores, "multiclass")
    assert ours == pytest.approx(evaluate(metric, y, scores, "multiclass"))
    name, key = ("ogbn-arxiv", "acc") if metric == "accuracy" else ("ogbg-molhiv", "rocauc")
    predicted = scores.argmax(1, keepdim=True) if metric == "accuracy" else scores.diff(dim=1)
    assert ours == _official(name).eval({"y_true": y[:, None], "y_pred": predicted})[key]


def _official(name: str) -> Any:
    if name.startswith("ogbg"):
        return _evaluator(name)
    from ogb.nodeproppred import Evaluator

    return Evaluator(name)


@pytest.mark.parametrize("metric", _EVALUATORS)
def test_ogb_lists_the_evaluators_that_stand_for_their_metric(metric: Metric) -> None:
    name, key = _EVALUATORS[metric]
    assert _evaluator(name).eval_metric == key


def test_scores_that_ogb_cannot_rank_are_bad_input() -> None:
    with pytest.raises(InputError, match="ogb's evaluator cannot score these items"):
        OgbProbe().measure("roc_auc", torch.ones(5, 1), torch.zeros(5, 1), "multilabel")
    with pytest.raises(InputError, match="ranks two classes, but there are 3"):
        OgbProbe().measure("roc_auc", torch.tensor([0, 1, 2]), torch.zeros(3, 3), "multiclass")


def test_a_dataset_that_ogb_does_not_know_is_scored_by_its_metric() -> None:
    dataset, x = gaussian_classes(splits=["random"], distance=3.0)
    assert dataset.labels is not None
    score = OgbProbe().score(x, dataset.labels, dataset.splits[0], OgbProbe().metric(dataset), 0)
    assert score.test > 0.8


def test_only_the_split_of_the_data_will_do() -> None:
    dataset = toy_dataset("node", splits=("a", "b"))
    with pytest.raises(InputError, match="but toy has 2; use --probe LBFGS"):
        OgbProbe().splits(dataset, 0)


def test_importing_it_starts_no_thread_and_asks_nothing() -> None:
    code = (
        "import threading; from gssl.evaluate.ogb import _evaluator; _evaluator('ogbg-molhiv');"
        "print(threading.active_count())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=500
    )
    assert done.stdout.split() == ["1"]
