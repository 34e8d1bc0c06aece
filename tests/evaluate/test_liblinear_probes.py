"""Protocols of GRACE and BGRL against the same protocols written with scikit-learn."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import normalize

from gssl.common.errors import InputError
from gssl.datasets.types import Labels, Split
from gssl.evaluate.liblinear import BgrlProbe, GraceProbe, WikiCSProbe
from gssl.testing.gaussians import gaussian_classes

Array = NDArray[Any]


def published(
    x: Array, y: Array, split: Split, folds: KFold | ShuffleSplit, penalties: Array
) -> tuple[float, float, float]:
    """Cross-validated score, test accuracy and C of GridSearchCV on one-hot labels, as in GRACE's and BGRL's code."""
    onehot = y[:, None] == np.arange(y.max() + 1)
    machine = OneVsRestClassifier(LogisticRegression(solver="liblinear", tol=1e-8, max_iter=1000))
    search = GridSearchCV(machine, {"estimator__C": penalties}, cv=folds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class may be missing from a fold
        search.fit(x[split.train], onehot[split.train])
    predicted = search.predict_proba(x[split.test]).argmax(1)
    return search.best_score_, float((predicted == y[split.test]).mean()), search.best_params_["estimator__C"]


@pytest.mark.parametrize(("dim", "seed"), [(8, 0), (90, 7)], ids=["low", "more-dimensions-than-items"])
def test_bgrl_is_the_published_protocol(dim: int, seed: int) -> None:
    dataset, x = gaussian_classes(num_items=400, dim=dim, num_classes=4, seed=seed)
    assert dataset.labels is not None
    probe = BgrlProbe()
    (split,) = probe.splits(dataset, seed)
    ours = probe.score(x, dataset.labels, split, "accuracy", seed)
    folds = ShuffleSplit(5, test_size=0.5, random_state=seed)
    rows = normalize(x.double().numpy())
    val, test, penalty = published(rows, dataset.labels.y.numpy(), split, folds, 2.0 ** np.arange(-10, 11))
    assert ours.val == pytest.approx(val)
    assert ours.test == pytest.approx(test)
    assert ours.chosen == {"C": penalty}


def test_grace_is_the_published_protocol() -> None:
    dataset, x = gaussian_classes(num_items=400, num_classes=4)
    assert dataset.labels is not None
    probe = GraceProbe()
    split = probe.splits(dataset, 0)[1]
    ours = probe.score(x, dataset.labels, split, "micro_f1", 5)
    folds = KFold(5, shuffle=True, random_state=5)
    rows = normalize(x.double().numpy())
    val, test, penalty = published(rows, dataset.labels.y.numpy(), split, folds, 2.0 ** np.arange(-10, 10))
    assert (ours.val, ours.test, ours.chosen["C"]) == pytest.approx((val, test, penalty))


def test_wikics_is_the_published_protocol() -> None:
    dataset, x = gaussian_classes(num_items=400, num_classes=4, splits=["preset-0", "preset-1"])
    assert dataset.labels is not None
    rows, y = normalize(x.double().numpy()), dataset.labels.y.numpy()
    for split in WikiCSProbe().splits(dataset, 0):
        ours = WikiCSProbe().score(x, dataset.labels, split, "accuracy", 0)
        best = (0.0, 0.0, 0.0)
        for penalty in 2.0 ** np.arange(-10, 11):
            machine = OneVsRestClassifier(LogisticRegression(solver="liblinear", C=penalty, tol=1e-8))
            machine.fit(rows[split.train], y[split.train])
            val, test = (machine.score(rows[ids], y[ids]) for ids in (split.val, split.test))
            if val > best[0]:
                best = (val, test, penalty)
        assert (ours.val, ours.test, ours.chosen["C"]) == pytest.approx(best)


def test_selection_by_the_most_probable_class_reports_an_accuracy() -> None:
    dataset, x = gaussian_classes(num_items=600, num_classes=4, distance=1.5)
    assert dataset.labels is not None
    (split,) = BgrlProbe().splits(dataset, 0)
    subset, argmax = (
        BgrlProbe(select=select).score(x, dataset.labels, split, "accuracy", 0).val for select in ("subset", "argmax")
    )
    assert subset < argmax  # every binary answer right is harder than the most probable class right


def test_rows_are_normalised() -> None:
    dataset, x = gaussian_classes()
    assert dataset.labels is not None
    stretched = x * torch.linspace(0.1, 50, len(x))[:, None]
    for probe in (GraceProbe(), BgrlProbe()):
        split = probe.splits(dataset, 0)[0]
        scores = [probe.score(each, dataset.labels, split, probe.metric(dataset), 0) for each in (x, stretched)]
        assert scores[0].test == pytest.approx(scores[1].test)
        assert scores[0].val == pytest.approx(scores[1].val)


@pytest.mark.parametrize("probe", [GraceProbe(), BgrlProbe()])
def test_classes_with_a_few_members_are_no_obstacle(probe: GraceProbe | BgrlProbe) -> None:
    dataset, x = gaussian_classes(num_items=200)
    assert dataset.labels is not None
    y = dataset.labels.y.clone()
    y[:3] = 3  # a class of three, which most folds do not hold
    split = probe.splits(dataset, 0)[0]
    score = probe.score(x, Labels(y, "multiclass", 5), split, "accuracy", 0)
    assert 0.4 < score.test <= 1


@pytest.mark.parametrize("probe", [GraceProbe(), BgrlProbe()])
def test_too_few_items_are_refused(probe: GraceProbe | BgrlProbe) -> None:
    dataset, _ = gaussian_classes(num_items=20)
    assert dataset.labels is not None
    split = Split("tiny", torch.arange(3), torch.empty(0, dtype=torch.int64), torch.arange(3, 20))
    with pytest.raises(
        InputError, match=rf"too few training items with a label for probe {probe.name} \(3, needed: 5\)"
    ):
        probe.check(dataset.labels, split, "accuracy")


def test_wikics_needs_several_splits_with_validation_items() -> None:
    dataset, _ = gaussian_classes(splits=["public"])
    assert dataset.labels is not None
    with pytest.raises(InputError, match="several preset splits, but gaussians has 1; use --probe LBFGS"):
        WikiCSProbe().splits(dataset, 0)
    split = Split("bare", torch.arange(50), torch.empty(0, dtype=torch.int64), torch.arange(50, 240))
    with pytest.raises(InputError, match="'bare' has none"):
        WikiCSProbe().check(dataset.labels, split, "accuracy")
