"""The protocol of learning from few labels on sets of graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch

from gssl.common.errors import InputError
from gssl.common.options import PositiveInt
from gssl.datasets.splits import k_folds
from gssl.datasets.types import Dataset, Level, Metric, Split
from gssl.evaluate.checks import require_multiclass
from gssl.evaluate.lbfgs import LbfgsProbe


class SemiSupervisedFolds(LbfgsProbe):
    """Ten stratified folds; each is tested once, the one before it validates, the other eight train (GraphCL, JOAO).

    The semi-supervised protocol on TU sets of You et al. (2020, arXiv:2010.13902, sec. 5.1): with ``--setting finetune
    --labels 0.1`` a tenth of the training folds' labels are seen. The published code reports the test accuracy of the
    epoch that is best on the mean of the validation folds; here each fold chooses its own epoch. In the setting
    ``frozen`` the classifier is that of ``LBFGS``.

    Args:
        folds: how many.
    """

    name = "P7"
    classes_only: ClassVar[bool] = True
    levels: ClassVar[tuple[Level, ...]] = ("graph",)

    def __init__(self, *, folds: PositiveInt = 10) -> None:
        if folds < 3:
            raise InputError(f"option 'folds' of probe P7 must be at least 3: one tests, one validates (got {folds})")
        self.folds = folds

    def splits(self, dataset: Dataset, seed: int) -> Sequence[Split]:
        if dataset.labels is not None:
            require_multiclass(dataset.labels, self.name)
        folds = k_folds(
            dataset.num_items, folds=self.folds, seed=seed, labels=dataset.labels, among=dataset.labelled_items
        )
        tests = [fold.test for fold in folds]
        splits = []
        for number, fold in enumerate(folds):
            val = tests[number - 1]
            train = fold.train[~torch.isin(fold.train, val)]
            splits.append(Split(f"{fold.name}-validated", train, val, fold.test))
        return splits

    def metric(self, dataset: Dataset) -> Metric:
        return "accuracy"
