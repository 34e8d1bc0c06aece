"""Support vector machines on graph embeddings: ten stratified folds, C by an inner five-fold search."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.svm import SVC, LinearSVC
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import Positive, PositiveInt
from gssl.datasets.splits import k_folds
from gssl.datasets.types import Dataset, Labels, Metric, Split
from gssl.evaluate.base import Probe, ProbeScore
from gssl.evaluate.checks import require_multiclass
from gssl.evaluate.hinge import squared_hinge_path
from gssl.evaluate.metrics import evaluate, hard_scores
from gssl.evaluate.newton import decision
from gssl.evaluate.sets import further_metrics, paired

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_INNER_FOLDS = 5
_MAX_ITEMS = 20_000  # 3.2 GB of distances


class _Svm(Probe):
    """What the two machines share.

    Args:
        largest_c: C is searched over the powers of ten from 0.001 to this value.
        n_jobs: threads; None takes as many as torch uses. The result does not depend on it.
    """

    levels = ("graph",)
    classes_only: ClassVar[bool] = True

    def __init__(self, *, largest_c: Positive = 1000.0, n_jobs: PositiveInt | None = None) -> None:
        if largest_c < 1e-3:
            raise InputError(f"option 'largest_c' of probe {self.name} must be at least 0.001 (got {largest_c})")
        self.penalties = [10.0**power for power in range(-3, int(np.floor(np.log10(largest_c) + 1e-9)) + 1)]
        self.n_jobs = n_jobs

    def splits(self, dataset: Dataset, seed: int) -> Sequence[Split]:
        if dataset.labels is not None:
            require_multiclass(dataset.labels, self.name)
        return k_folds(dataset.num_items, folds=10, seed=seed, labels=dataset.labels, among=dataset.labelled_items)

    def metric(self, dataset: Dataset) -> Metric:
        return "accuracy"

    @property
    def threads(self) -> int:
        return self.n_jobs or torch.get_num_threads()


class RbfSvm(_Svm):
    """RBF support vector machine over ten stratified folds, C by an inner five-fold search (InfoGraph, GraphCL).

    Follows ``evaluate_embedding.py`` of InfoGraph and GraphCL: ``StratifiedKFold(10, shuffle=True)``, ``SVC()`` with
    its default RBF kernel and ``gamma="scale"`` on embeddings as they are, C from 0.001 to 1000 by
    ``GridSearchCV(cv=5, scoring="accuracy")``, mean accuracy of the folds; here the shuffle has the run's seed.
    GraphMAE's variant is ``largest_c=10``. Equal to that code up to rounding: distances are computed once per fold, and
    gamma, which depends on the variance of the items that a machine is fitted to, for every inner fold anew.

    Args:
        largest_c: C is searched over the powers of ten from 0.001 to this value.
        n_jobs: threads; None takes as many as torch uses. The result does not depend on it.
    """

    name = "P5-RBF"

    def check(self, labels: Labels, split: Split, metric: Metric) -> None:
        super().check(labels, split, metric)
        if len(split.train) > _MAX_ITEMS:
            raise InputError(
                f"probe {self.name} keeps the distances of all pairs of training items, for at most {_MAX_ITEMS:,}, "
                f"but split {split.name!r} has {len(split.train):,}; use --probe LBFGS"
            )

    def score(self, embeddings: Tensor, labels: Labels, split: Split, metric: Metric, seed: int) -> ProbeScore:
        train, test = split.train.numpy(), split.test.numpy()
        x, y = embeddings.double().numpy(), labels.y.numpy()
        search = _RbfSearch(x[train], y[train], _squared_distances(x[train], x[train]))
        accuracy = search.accuracies(_inner_folds(y[train], split), self.penalties, self.threads)
        best = int(np.argmax(accuracy))
        machine, gamma = search.fit(np.arange(len(train)), self.penalties[best])
        kernel = _kernel(_squared_distances(x[test], x[train]), gamma)
        margins = _spread(machine.decision_function(kernel), machine.classes_, labels.num_classes)
        return _result(accuracy, self.penalties, machine.predict(kernel), margins, labels, split, metric)


class LinearSvm(_Svm):
    """Linear support vector machine over ten stratified folds, C by an inner five-fold search (MVGRL).

    As ``P5-RBF`` with the machine of ``LinearSVC()`` in place of ``SVC()``: squared hinge loss, one class against the
    rest. The published code ran dual coordinate descent for at most 1,000 iterations, and on sums over nodes, which
    are not scaled, that ends far from the optimum: the result then depends on the order of the items. The default
    here goes to the optimum, which is the same machine wherever the published one converges, and often scores higher
    where it does not; ``converge=false`` is the published code.

    Args:
        largest_c: C is searched over the powers of ten from 0.001 to this value.
        n_jobs: threads; None takes as many as torch uses. The result does not depend on it.
        converge: False fits scikit-learn's ``LinearSVC(dual=True)`` on one thread.
    """

    name = "P5-linear"

    def __init__(
        self, *, largest_c: Positive = 1000.0, n_jobs: PositiveInt | None = None, converge: bool = True
    ) -> None:
        super().__init__(largest_c=largest_c, n_jobs=n_jobs)
        self.converge = converge

    def score(self, embeddings: Tensor, labels: Labels, split: Split, metric: Metric, seed: int) -> ProbeScore:
        train, test = embeddings[split.train].double(), embeddings[split.test].double()
        y = labels.y[split.train]
        folds = _inner_folds(y.numpy(), split)
        if not self.converge:
            return self._published(train.numpy(), y.numpy(), test.numpy(), folds, labels, split, metric, seed)

        def fold(fit: Ints, held: Ints) -> list[float]:
            path = squared_hinge_path(train[fit], y[fit], labels.num_classes, self.penalties)
            return [float((_predict(train[held], weight) == y[held]).double().mean()) for weight in path]

        with Parallel(n_jobs=self.threads, prefer="threads") as parallel:
            accuracy = np.mean(parallel(delayed(fold)(*each) for each in folds), axis=0)
        best = int(np.argmax(accuracy))
        weight = squared_hinge_path(train, y, labels.num_classes, self.penalties[best : best + 1])[0]
        margins = decision(test, weight)
        return _result(accuracy, self.penalties, margins.argmax(dim=1).numpy(), margins, labels, split, metric)

    def _published(
        self,
        train: Floats,
        y: Ints,
        test: Floats,
        folds: Sequence[tuple[Ints, Ints]],
        labels: Labels,
        split: Split,
        metric: Metric,
        seed: int,
    ) -> ProbeScore:
        # liblinear draws the order of the items from one generator for the whole process, so threads would mix draws.
        machine = LinearSVC(dual=True, random_state=seed % 2**32)
        search = GridSearchCV(machine, {"C": self.penalties}, cv=folds, scoring="accuracy")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            search.fit(train, y)
        accuracy = search.cv_results_["mean_test_score"]
        margins = _spread(search.decision_function(test), search.classes_, labels.num_classes)
        return _result(accuracy, self.penalties, search.predict(test), margins, labels, split, metric)


@dataclass(frozen=True, eq=False)
class _RbfSearch:
    """Machines on subsets of one training set: embeddings (n, d), classes (n,), squared distances (n, n)."""

    x: Floats
    y: Ints
    distances: Floats

    def fit(self, items: Ints, penalty: float) -> tuple[SVC, float]:
        gamma = _scale(self.x[items])
        kernel = _kernel(self.distances[np.ix_(items, items)], gamma)
        return SVC(C=penalty, kernel="precomputed").fit(kernel, self.y[items]), gamma

    def accuracies(self, folds: Sequence[tuple[Ints, Ints]], penalties: Sequence[float], threads: int) -> Floats:
        """Mean validation accuracy of every C, shape (len(penalties),)."""
        with Parallel(n_jobs=threads, prefer="threads") as parallel:
            by_fold = parallel(delayed(self._fold)(fit, held, penalties) for fit, held in folds)
        mean: Floats = np.mean(by_fold, axis=0)
        return mean

    def _fold(self, fit: Ints, held: Ints, penalties: Sequence[float]) -> list[float]:
        gamma = _scale(self.x[fit])
        inner = _kernel(self.distances[np.ix_(fit, fit)], gamma)
        outer = _kernel(self.distances[np.ix_(held, fit)], gamma)
        machines = (SVC(C=penalty, kernel="precomputed").fit(inner, self.y[fit]) for penalty in penalties)
        return [float(np.mean(machine.predict(outer) == self.y[held])) for machine in machines]


def _inner_folds(y: Ints, split: Split) -> list[tuple[Ints, Ints]]:
    """The folds that ``GridSearchCV(cv=5)`` uses: stratified, not shuffled.

    Raises:
        InputError: no class has enough items, or a fold would train on one class.
    """
    rarest = sorted(Counter(y.tolist()).values())
    if rarest[-1] < _INNER_FOLDS or rarest[-2] < 2:
        raise InputError(
            f"the training items of split {split.name!r} are too few for {_INNER_FOLDS} inner folds: two classes need "
            f"{_INNER_FOLDS} and 2 items, but the largest have {rarest[-1]} and {rarest[-2]}; use --probe LBFGS"
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        return list(StratifiedKFold(_INNER_FOLDS).split(np.zeros((len(y), 1)), y))


def _predict(x: Tensor, weight: Tensor) -> Tensor:
    return decision(x, weight).argmax(dim=1)


def _squared_distances(a: Floats, b: Floats) -> Floats:
    """Shape (len(a), len(b)); in the form that libsvm uses."""
    products = a @ b.T
    products *= -2
    products += np.square(a).sum(axis=1)[:, None]
    products += np.square(b).sum(axis=1)
    return products


def _kernel(distances: Floats, gamma: float) -> Floats:
    scaled = distances * -gamma
    return np.exp(scaled, out=scaled)


def _scale(x: Floats) -> float:
    """scikit-learn's ``gamma="scale"``."""
    variance = float(x.var())
    return 1.0 / (x.shape[1] * variance) if variance else 1.0


def _spread(margins: Floats, classes: Ints, num_classes: int) -> Tensor:
    """Decision values (n, num_classes) from scikit-learn's: one column for two classes, none for a class never seen."""
    full = torch.full((len(margins), num_classes), -torch.inf, dtype=torch.float64)
    columns = margins if margins.ndim == 2 else np.stack([-margins / 2, margins / 2], axis=1)
    full[:, classes] = torch.from_numpy(columns)
    return full


def _result(
    accuracy: Floats,
    penalties: Sequence[float],
    predicted: Ints,
    margins: Tensor,
    labels: Labels,
    split: Split,
    metric: Metric,
) -> ProbeScore:
    """
    Args:
        accuracy: of each penalty, from the inner folds.
        penalties: what they were searched over.
        predicted: classes of the test items, shape (n,).
        margins: what ranks the test items by class, shape (n, num_classes). Of several classes, votes of libsvm between
            two at a time may name another class than its largest margin.
        labels, split, metric: what to score.
    """
    best = int(np.argmax(accuracy))
    guess, y = torch.from_numpy(predicted), labels.y[split.test]
    test = evaluate(metric, y, hard_scores(guess, labels.num_classes), "multiclass")
    further = further_metrics(metric, y, margins, "multiclass", predicted=guess)
    return ProbeScore(float(accuracy[best]), test, {"C": penalties[best]}, paired({}, further))
