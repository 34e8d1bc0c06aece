"""The default probe: a linear model by L-BFGS, its L2 penalty chosen on validation items."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.splits import random_split
from gssl.datasets.types import Dataset, LabelKind, Labels, Level, Metric, Split
from gssl.evaluate.base import Probe, ProbeScore
from gssl.evaluate.metrics import evaluate, higher_is_better
from gssl.evaluate.penalty_path import ridge_path, sigmoid_path, softmax_path
from gssl.evaluate.sets import further_metrics, paired

_CHUNK = 1 << 14


class LbfgsProbe(Probe):
    """Linear model by L-BFGS, its L2 penalty chosen on validation items (for data without a published protocol).

    Embeddings are standardised with the mean and deviation of the training items. Classes get a multinomial logistic
    regression, several tasks an independent logistic regression each (unknown labels are left out), real targets a
    ridge regression. The penalty (``l2``, 1 / (n C) in scikit-learn's notation) comes from 10, 1, ..., 1e-5; the
    strongest of the best on validation is kept, without a refit on the validation items.

    Run number ``seed`` is judged on the dataset's preset split number ``seed`` modulo their number; without preset
    splits on a random 10/10/80 split drawn with the seed, stratified by class wherever classes are large enough (the
    split's name says so). Where so few items would train that all have one class, training and validation get 20 % or
    30 % each.
    """

    name = "LBFGS"
    levels: ClassVar[tuple[Level, ...]] = ("node", "graph")
    needs_validation: ClassVar[bool] = True
    penalties: ClassVar[tuple[float, ...]] = (10.0, 1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)

    def splits(self, dataset: Dataset, seed: int) -> Sequence[Split]:
        if dataset.splits:
            return [dataset.splits[seed % len(dataset.splits)]]
        labels, known = dataset.labels, dataset.labelled_items
        if labels is not None and labels.kind == "multiclass":
            try:
                return [random_split(dataset.num_items, train=0.1, val=0.1, seed=seed, labels=labels, among=known)]
            except InputError:  # a class too small to stratify by
                pass
        drawn = random_split(dataset.num_items, train=0.1, val=0.1, seed=seed, among=known)
        return [drawn if _has_two_classes(labels, drawn) else _larger(dataset, seed) or drawn]

    def measure(self, metric: Metric, y: Tensor, scores: Tensor, kind: LabelKind) -> float:
        """The metric of some items, as ``evaluate`` defines it."""
        return evaluate(metric, y, scores, kind)

    def score(self, embeddings: Tensor, labels: Labels, split: Split, metric: Metric, seed: int) -> ProbeScore:
        train = embeddings[split.train]
        center, spread = train.mean(dim=0), train.std(dim=0, correction=0)
        spread = torch.where(spread > 1e-6 * center.abs(), spread, 1.0)  # a constant column carries nothing
        path = _fit((train - center) / spread, labels, split.train, self.penalties)

        def scored(weights: Tensor, items: Tensor) -> Tensor:
            parts = (((embeddings[ids] - center) / spread).to(weights.dtype) for ids in items.split(_CHUNK))
            return torch.cat([torch.addmm(weights[-1], part, weights[:-1]) for part in parts])

        y, kind = labels.y, labels.kind
        val = [self.measure(metric, y[split.val], scored(weights, split.val), kind) for weights in path]
        best = val.index(max(val) if higher_is_better(metric) else min(val))
        test = scored(path[best], split.test)
        others = paired(
            further_metrics(metric, y[split.val], scored(path[best], split.val), kind),
            further_metrics(metric, y[split.test], test, kind),
        )
        score = self.measure(metric, y[split.test], test, kind)
        return ProbeScore(val[best], score, {"l2": self.penalties[best]}, others)


def _has_two_classes(labels: Labels | None, split: Split) -> bool:
    """Whether the training items have several classes; of any other labels nothing is asked."""
    return labels is None or labels.kind != "multiclass" or labels.y[split.train].unique().numel() > 1


def _larger(dataset: Dataset, seed: int) -> Split | None:
    """The first larger stratified split that can be made of a small set; None if there is none."""
    count, labels, known = dataset.num_items, dataset.labels, dataset.labelled_items
    for share in (0.2, 0.3):
        with contextlib.suppress(InputError):
            return random_split(count, train=share, val=share, seed=seed, labels=labels, among=known)
    return None


def _fit(x: Tensor, labels: Labels, items: Tensor, penalties: Sequence[float]) -> Tensor:
    """Shape (len(penalties), d + 1, num_classes)."""
    y = labels.y[items]
    if labels.kind == "multiclass":
        return softmax_path(x, y, labels.num_classes, penalties)
    return sigmoid_path(x, y, penalties) if labels.kind == "multilabel" else ridge_path(x, y, penalties)
