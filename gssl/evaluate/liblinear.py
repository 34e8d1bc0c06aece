"""Probes around liblinear's one-vs-rest logistic regression on L2-normalised embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from sklearn.model_selection import KFold, ShuffleSplit
from torch import Tensor
from torch.nn.functional import normalize

from gssl.common.errors import InputError
from gssl.common.options import PositiveInt
from gssl.datasets.splits import random_split
from gssl.datasets.types import Dataset, Labels, Metric, Split
from gssl.evaluate.axes import principal_axes
from gssl.evaluate.base import Probe, ProbeScore
from gssl.evaluate.metrics import evaluate
from gssl.evaluate.newton import decision, one_vs_rest_path
from gssl.evaluate.sets import further_metrics, paired

Select = Literal["subset", "argmax"]
_FOLDS = 5


class GraceProbe(Probe):
    """Random 1:9, C from 2^-10 to 2^9 by 5-fold cross-validation, micro-F1 (GRACE).

    Follows ``eval.py`` of https://github.com/CRIPAC-DIG/GRACE: train on a random tenth, test on the rest, three
    repeats. Labels are one-hot there, so GridSearchCV compares values of C by subset accuracy (every one of the K
    binary answers right) over plain, unstratified folds; the test prediction is the most probable class.

    Args:
        repeats: random splits in a run.
        select: ``"subset"`` chooses C as published; ``"argmax"`` by the accuracy of the most probable class.
            ``val`` is the score that C was chosen by.
    """

    name = "P2"
    classes_only: ClassVar[bool] = True
    least_training_items: ClassVar[int] = _FOLDS

    def __init__(self, *, repeats: PositiveInt = 3, select: Select = "subset") -> None:
        self.repeats = repeats
        self.select: Select = select

    def splits(self, dataset: Dataset, seed: int) -> Sequence[Split]:
        seeds = range(seed * self.repeats, (seed + 1) * self.repeats)
        known = dataset.labelled_items
        return [random_split(dataset.num_items, train=0.1, val=0.0, seed=each, among=known) for each in seeds]

    def metric(self, dataset: Dataset) -> Metric:
        return "micro_f1"

    def score(self, embeddings: Tensor, labels: Labels, split: Split, metric: Metric, seed: int) -> ProbeScore:
        # The published code cuts its shuffled training set into blocks; ids in a split are sorted, so shuffle here.
        folds = KFold(_FOLDS, shuffle=True, random_state=seed % 2**32)
        return _cross_validated(embeddings, labels, split, metric, folds, _powers(-10, 9), self.select)


class BgrlProbe(Probe):
    """Random 20/80, C from 2^-10 to 2^10 by five shuffled halves of the 20 % (BGRL).

    Follows ``fit_logistic_regression`` of https://github.com/nerdslab/bgrl: the 10 % for validation that the paper
    speaks of is a half of the training items, drawn anew in each of five repeats, after which the classifier is
    refitted on all 20 %. As in GRACE's code, one-hot labels make GridSearchCV compare subset accuracies. One random
    split per seed.

    Args:
        select: as for ``P2``.
    """

    name = "P3-BGRL"
    classes_only: ClassVar[bool] = True
    least_training_items: ClassVar[int] = _FOLDS

    def __init__(self, *, select: Select = "subset") -> None:
        self.select: Select = select

    def splits(self, dataset: Dataset, seed: int) -> Sequence[Split]:
        return [random_split(dataset.num_items, train=0.2, val=0.0, seed=seed, among=dataset.labelled_items)]

    def metric(self, dataset: Dataset) -> Metric:
        return "accuracy"

    def score(self, embeddings: Tensor, labels: Labels, split: Split, metric: Metric, seed: int) -> ProbeScore:
        halves = ShuffleSplit(_FOLDS, test_size=0.5, random_state=seed % 2**32)
        return _cross_validated(embeddings, labels, split, metric, halves, _powers(-10, 10), self.select)


class WikiCSProbe(Probe):
    """All preset splits, C from 2^-10 to 2^10 chosen on their validation items (BGRL on WikiCS).

    Follows ``fit_logistic_regression_preset_splits`` of https://github.com/nerdslab/bgrl: the mean over the 20 splits,
    which share their test items; no refit on the validation items.
    """

    name = "P4"
    classes_only: ClassVar[bool] = True
    needs_validation: ClassVar[bool] = True

    def splits(self, dataset: Dataset, seed: int) -> Sequence[Split]:
        if len(dataset.splits) < 2:
            raise InputError(
                f"probe P4 averages over several preset splits, but {dataset.name} has {len(dataset.splits)}; "
                "use --probe LBFGS or --probe P3-BGRL"
            )
        return dataset.splits

    def metric(self, dataset: Dataset) -> Metric:
        return "accuracy"

    def score(self, embeddings: Tensor, labels: Labels, split: Split, metric: Metric, seed: int) -> ProbeScore:
        x, y, penalties = _unit_rows(embeddings), labels.y, _powers(-10, 10)
        path = one_vs_rest_path(x[split.train].double(), y[split.train], labels.num_classes, penalties)
        val = [_score(x, y, split.val, weight, metric) for weight in path]
        best = int(np.argmax(val))
        parts = (_further(x, y, items, path[best], metric) for items in (split.val, split.test))
        score = _score(x, y, split.test, path[best], metric)
        return ProbeScore(val[best], score, {"C": penalties[best]}, paired(*parts))


def _cross_validated(
    embeddings: Tensor,
    labels: Labels,
    split: Split,
    metric: Metric,
    folds: KFold | ShuffleSplit,
    penalties: Sequence[float],
    select: Select,
) -> ProbeScore:
    x, y = _unit_rows(embeddings), labels.y
    train, target = x[split.train].double(), y[split.train]
    axes = principal_axes(train) if train.shape[1] > train.shape[0] else None
    inputs = train if axes is None else train @ axes
    val = np.zeros(len(penalties))
    for fit, held in folds.split(inputs):
        path = one_vs_rest_path(inputs[fit], target[fit], labels.num_classes, penalties)
        val += [_fold_score(decision(inputs[held], weight), target[held], select) for weight in path]
    val /= folds.get_n_splits()
    best = int(np.argmax(val))
    weight = one_vs_rest_path(inputs, target, labels.num_classes, penalties[best : best + 1])[0]
    if axes is not None:
        weight = torch.cat([weight[:, :-1] @ axes.T, weight[:, -1:]], dim=1)
    others = paired({}, _further(x, y, split.test, weight, metric))  # C is chosen by other answers than these
    return ProbeScore(float(val[best]), _score(x, y, split.test, weight, metric), {"C": penalties[best]}, others)


def _powers(first: int, last: int) -> list[float]:
    return [2.0**power for power in range(first, last + 1)]


def _unit_rows(embeddings: Tensor) -> Tensor:
    return normalize(embeddings, dim=1)


def _fold_score(scores: Tensor, y: Tensor, select: Select) -> float:
    if select == "argmax":
        return float((scores.argmax(dim=1) == y).double().mean())
    answers = (scores > 0) == (y.unsqueeze(1) == torch.arange(scores.shape[1]))
    return float(answers.all(dim=1).double().mean())


def _score(x: Tensor, y: Tensor, items: Tensor, weight: Tensor, metric: Metric) -> float:
    return evaluate(metric, y[items], decision(x[items].double(), weight), "multiclass")


def _further(x: Tensor, y: Tensor, items: Tensor, weight: Tensor, metric: Metric) -> dict[Metric, float]:
    return further_metrics(metric, y[items], decision(x[items].double(), weight), "multiclass")
