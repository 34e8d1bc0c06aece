"""HeCo's protocol for heterogeneous graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import NonNegative, Positive, PositiveInt
from gssl.datasets.types import Dataset, Labels, Metric, Split
from gssl.evaluate.adam import AdamSchedule, Criterion, initial_weights, train
from gssl.evaluate.base import Probe, ProbeScore
from gssl.evaluate.metrics import evaluate


class HeCoProbe(Probe):
    """Linear classifier trained with Adam on 20, 40 and 60 labels a class; macro-F1, micro-F1 and AUC (HeCo, DMGI).

    Follows ``code/utils/evaluate.py`` of https://github.com/liun-online/HeCo, which is DMGI's with more steps: 200
    full-batch steps at rate 0.05 (its value for ACM; 0.01 for the other sets), 50 restarts averaged. Macro-F1 is that
    of the first step with the best macro-F1 of the validation items; micro-F1, and the mean ROC-AUC of each class
    against the others, are those of the first step with the best micro-F1. All preset splits are judged, and the score
    is their mean.

    Args:
        steps: full-batch steps.
        lr: learning rate.
        weight_decay: L2 penalty on weights and intercepts.
        restarts: initialisations to average over.
    """

    name = "HeCo"
    classes_only: ClassVar[bool] = True
    needs_validation: ClassVar[bool] = True

    def __init__(
        self,
        *,
        steps: PositiveInt = 200,
        lr: Positive = 0.05,
        weight_decay: NonNegative = 0.0,
        restarts: PositiveInt = 50,
    ) -> None:
        self.steps, self.lr, self.weight_decay, self.restarts = steps, lr, weight_decay, restarts

    def splits(self, dataset: Dataset, seed: int) -> Sequence[Split]:
        if not dataset.splits:
            raise InputError(f"probe HeCo needs preset splits, which {dataset.name} does not have; use --probe LBFGS")
        return dataset.splits

    def metric(self, dataset: Dataset) -> Metric:
        return "macro_f1"

    def score(self, embeddings: Tensor, labels: Labels, split: Split, metric: Metric, seed: int) -> ProbeScore:
        macro, step = self._scores(embeddings, labels, split, seed, "macro_f1", ("macro_f1",))
        others, _ = self._scores(embeddings, labels, split, seed, "accuracy", ("micro_f1", "roc_auc"))
        return ProbeScore(*macro["macro_f1"], {"step": step}, others)

    def _scores(
        self,
        embeddings: Tensor,
        labels: Labels,
        split: Split,
        seed: int,
        criterion: Criterion,
        metrics: Sequence[Metric],
    ) -> tuple[dict[Metric, tuple[float, float]], float]:
        """Validation and test value of each metric, means over the restarts, and the mean step that was chosen."""
        x, y, rng = embeddings, labels.y, torch.Generator().manual_seed(seed)
        start = initial_weights(self.restarts, x.shape[1], labels.num_classes, "xavier", rng)
        schedule = AdamSchedule(
            steps=self.steps, every=1, keep="first_best", lr=self.lr, init="xavier", criterion=criterion
        )
        decay = torch.full((self.restarts,), self.weight_decay)
        trained = train((x[split.train], y[split.train]), (x[split.val], y[split.val]), start, decay, schedule)
        parts = [(y[items], trained.scores(x[items])) for items in (split.val, split.test)]
        found = {}
        for name in metrics:
            val, test = (
                sum(evaluate(name, classes, one, "multiclass") for one in scores) / self.restarts
                for classes, scores in parts
            )
            found[name] = (val, test)
        return found, float(trained.step.double().mean())
