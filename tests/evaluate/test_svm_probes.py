"""Support vector machines against scikit-learn's search with its own kernels."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.svm import SVC, LinearSVC
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.types import Dataset, Labels
from gssl.evaluate import svm
from gssl.evaluate.base import ProbeScore
from gssl.evaluate.judge import judge
from gssl.evaluate.svm import LinearSvm, RbfSvm
from gssl.testing.gaussians import gaussian_classes

Array = NDArray[Any]
PENALTIES = [10.0**power for power in range(-3, 4)]


def graphs(num_items: int = 150, num_classes: int = 3, dim: int = 6) -> tuple[Dataset, Tensor]:
    """Embeddings like sums over nodes: far from the origin, with columns of very different scale."""
    dataset, x = gaussian_classes(num_items=num_items, num_classes=num_classes, dim=dim, distance=1.5, level="graph")
    return dataset, (x + 3) * torch.logspace(0, 2, dim)


def run(probe: RbfSvm | LinearSvm, dataset: Dataset, x: Tensor, folds: int = 10, seed: int = 0) -> list[ProbeScore]:
    assert dataset.labels is not None
    return [probe.score(x, dataset.labels, split, "accuracy", seed) for split in probe.splits(dataset, seed)[:folds]]


@pytest.mark.parametrize("classes", [2, 3])
def test_rbf_is_the_published_protocol(classes: int) -> None:
    dataset, embeddings = graphs(num_classes=classes)
    assert dataset.labels is not None
    x, y = embeddings.numpy(), dataset.labels.y.numpy()
    folds = StratifiedKFold(10, shuffle=True, random_state=4).split(x, y)
    for ours, (train, test) in zip(run(RbfSvm(), dataset, embeddings, seed=4), folds, strict=True):
        search = GridSearchCV(SVC(), {"C": PENALTIES}, cv=5, scoring="accuracy").fit(x[train], y[train])
        assert ours.val == pytest.approx(search.best_score_)
        assert ours.chosen == search.best_params_
        assert ours.test == pytest.approx(search.score(x[test], y[test]))


def linear_search(x: Array, y: Array, train: Array, machine: LinearSVC) -> GridSearchCV:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GridSearchCV(machine, {"C": PENALTIES[:4]}, cv=5, scoring="accuracy").fit(x[train], y[train])


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("converge", [True, False])
def test_linear_is_the_published_protocol(classes: int, converge: bool) -> None:
    dataset, embeddings = graphs(num_classes=classes)
    assert dataset.labels is not None
    if converge:  # columns of one scale, on which scikit-learn's machine gets to the optimum too
        embeddings = embeddings / torch.logspace(0, 2, 6)
    x, y = embeddings.double().numpy(), dataset.labels.y.numpy()
    machine = LinearSVC(dual=False, tol=1e-8, max_iter=100_000) if converge else LinearSVC(dual=True, random_state=2)
    folds = list(StratifiedKFold(10, shuffle=True, random_state=2).split(x, y))[:2]
    scores = run(LinearSvm(largest_c=1.0, converge=converge), dataset, embeddings, folds=2, seed=2)
    for ours, (train, test) in zip(scores, folds, strict=True):
        search = linear_search(x, y, train, machine)
        assert (ours.val, ours.test) == pytest.approx((search.best_score_, search.score(x[test], y[test])))
        assert ours.chosen == search.best_params_


@pytest.mark.parametrize("probe", [RbfSvm, LinearSvm])
def test_the_number_of_threads_does_not_matter(probe: type[RbfSvm | LinearSvm]) -> None:
    dataset, x = graphs(num_items=80)
    one, three = (run(probe(largest_c=1.0, n_jobs=jobs), dataset, x, folds=3) for jobs in (1, 3))
    assert one == three


def test_threads_follow_torch_unless_told() -> None:
    assert RbfSvm().threads == torch.get_num_threads()
    assert RbfSvm(n_jobs=5).threads == 5


@pytest.mark.parametrize(("largest", "count"), [(1e-3, 1), (10.0, 5), (1000.0, 7), (999.0, 6)])
def test_the_grid_ends_at_the_largest_power_of_ten(largest: float, count: int) -> None:
    assert RbfSvm(largest_c=largest).penalties == PENALTIES[:count]


def test_a_grid_without_values_is_refused() -> None:
    with pytest.raises(InputError, match=r"'largest_c' of probe P5-RBF must be at least 0\.001"):
        RbfSvm(largest_c=1e-4)


@pytest.mark.parametrize("probe", [RbfSvm(n_jobs=1), LinearSvm(n_jobs=1, largest_c=0.1)])
def test_a_class_smaller_than_the_number_of_folds_is_judged(probe: RbfSvm | LinearSvm) -> None:
    dataset, x = graphs(num_items=90, num_classes=2)
    assert dataset.labels is not None
    y = dataset.labels.y.clone()
    y[:4] = 2
    small = Dataset(
        name="small", level="graph", graph=dataset.graph, labels=Labels(y, "multiclass", 3), splits=dataset.splits
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing about it reaches the user as a warning
        scores = run(probe, small, x)
    assert len(scores) == 10
    assert all(0 <= score.test <= 1 for score in scores)


def test_what_cannot_be_cross_validated_is_refused() -> None:
    dataset, x = graphs(num_items=90, num_classes=2)
    assert dataset.labels is not None
    split = RbfSvm().splits(dataset, 0)[0]
    y = torch.zeros(90, dtype=torch.int64)
    y[split.train[0]] = 1
    with pytest.raises(InputError, match="too few for 5 inner folds"):
        RbfSvm().score(x, Labels(y, "multiclass", 2), split, "accuracy", 0)
    tiny, _ = graphs(num_items=8, num_classes=2)
    with pytest.raises(InputError, match="10 folds need"):
        RbfSvm().splits(tiny, 0)


def test_more_pairs_than_memory_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svm, "_MAX_ITEMS", 100)
    dataset, x = graphs()
    with pytest.raises(InputError, match="for at most 100, but split 'fold-0-of-10-seed0' has 135"):
        judge(RbfSvm(), x, dataset, 0)


def test_equal_embeddings_are_judged_as_chance() -> None:
    dataset, _ = graphs(num_classes=2)
    scores = run(RbfSvm(), dataset, torch.full((150, 4), 7.0), folds=2)
    assert np.isclose([score.test for score in scores], 0.5, atol=0.1).all()
