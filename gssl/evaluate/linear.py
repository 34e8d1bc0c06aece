"""Probes that train a softmax classifier with Adam: the public split (P1) and GCA's 10/10/80."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import NonNegative, Positive, PositiveInt
from gssl.datasets.splits import random_split
from gssl.datasets.types import Dataset, Labels, Metric, Split
from gssl.evaluate.adam import AdamSchedule, Init, initial_weights, train
from gssl.evaluate.base import Probe, ProbeScore
from gssl.evaluate.metrics import evaluate
from gssl.evaluate.sets import further_metrics, mean_metrics, paired


class PublicLinear(Probe):
    """Linear classifier on the public split, trained with Adam (GraphMAE; DGI's through options).

    The defaults follow ``graphmae/evaluation.py`` of https://github.com/THUDM/GraphMAE: 300 steps at rate 0.01 and
    weight decay 1e-4 (its value for Cora and PubMed; 1e-2 for CiteSeer), test at the last step with the best
    validation accuracy. GraphMAE trains one classifier per pretraining seed; here 10 restarts are averaged.

    DGI's protocol (``execute.py`` of https://github.com/PetarV-/DGI) is ``steps=100 weight_decay=0 select=last
    restarts=50 init=xavier``: the last of 100 steps, without a look at the validation items.

    Args:
        steps: full-batch steps.
        lr: learning rate.
        weight_decay: L2 penalty on weights and intercepts; of several values, the one with the best mean validation
            accuracy is chosen.
        restarts: initialisations to average over.
        select: which step is tested.
        init: initial weights, ``"uniform"`` as torch's ``nn.Linear``, ``"xavier"`` as in DGI.
    """

    name = "P1"
    classes_only: ClassVar[bool] = True
    needs_validation: ClassVar[bool] = True

    def __init__(
        self,
        *,
        steps: PositiveInt = 300,
        lr: Positive = 0.01,
        weight_decay: NonNegative | tuple[NonNegative, ...] = 1e-4,
        restarts: PositiveInt = 10,
        select: Literal["best_val", "last"] = "best_val",
        init: Init = "uniform",
    ) -> None:
        self.schedule = AdamSchedule(
            steps=steps, every=1, keep="last" if select == "last" else "last_best", lr=lr, init=init
        )
        self.weight_decay = weight_decay if isinstance(weight_decay, tuple) else (weight_decay,)
        self.restarts = restarts
        if not self.weight_decay:
            raise InputError("option 'weight_decay' of probe P1 needs at least one value")

    def splits(self, dataset: Dataset, seed: int) -> Sequence[Split]:
        public = [split for split in dataset.splits if split.name == "public"]
        if not public:
            raise InputError(f"probe P1 needs the public split, which {dataset.name} does not have; use --probe LBFGS")
        return public

    def metric(self, dataset: Dataset) -> Metric:
        return "accuracy"

    def score(self, embeddings: Tensor, labels: Labels, split: Split, metric: Metric, seed: int) -> ProbeScore:
        return _score(embeddings, labels, split, metric, seed, self.schedule, self.weight_decay, self.restarts)


class GcaProbe(Probe):
    """Random 10/10/80, one linear classifier trained with Adam, test at the best validation accuracy (GCA).

    Follows ``pGRACE/eval.py`` of https://github.com/CRIPAC-DIG/GCA: rate 0.01, no weight decay, 5,000 steps (the
    function's default; its training script asks for 3,000), a look at the validation items every 20 steps, and the
    first of the best looks counts. One split per seed. It is not the protocol of BGRL (``P3-BGRL``).

    Args:
        steps: full-batch steps.
        every: steps between two looks.
        lr: learning rate.
    """

    name = "P3-GCA"
    classes_only: ClassVar[bool] = True
    needs_validation: ClassVar[bool] = True

    def __init__(self, *, steps: PositiveInt = 5000, every: PositiveInt = 20, lr: Positive = 0.01) -> None:
        self.schedule = AdamSchedule(steps=steps, every=every, keep="first_best", lr=lr, init="xavier")

    def splits(self, dataset: Dataset, seed: int) -> Sequence[Split]:
        return [random_split(dataset.num_items, train=0.1, val=0.1, seed=seed, among=dataset.labelled_items)]

    def metric(self, dataset: Dataset) -> Metric:
        return "accuracy"

    def score(self, embeddings: Tensor, labels: Labels, split: Split, metric: Metric, seed: int) -> ProbeScore:
        return _score(embeddings, labels, split, metric, seed, self.schedule, (0.0,), 1)


def _score(
    embeddings: Tensor,
    labels: Labels,
    split: Split,
    metric: Metric,
    seed: int,
    schedule: AdamSchedule,
    weight_decay: tuple[float, ...],
    restarts: int,
) -> ProbeScore:
    rng = torch.Generator().manual_seed(seed)
    weight, bias = initial_weights(restarts, embeddings.shape[1], labels.num_classes, schedule.init, rng)
    x, y, groups = embeddings, labels.y, len(weight_decay)
    trained = train(
        (x[split.train], y[split.train]),
        (x[split.val], y[split.val]),
        (weight.repeat(groups, 1, 1), bias.repeat(groups, 1)),
        torch.tensor(weight_decay).repeat_interleave(restarts),
        schedule,
    )
    val = trained.val.view(groups, restarts).mean(dim=1)
    best = int(val.argmax())
    chosen = slice(best * restarts, (best + 1) * restarts)
    answers = [(y[items], trained.scores(x[items])[chosen]) for items in (split.val, split.test)]
    test = [evaluate(metric, y[split.test], scores, "multiclass") for scores in answers[1][1]]
    others = [
        mean_metrics([further_metrics(metric, classes, scores, "multiclass") for scores in of_restarts])
        for classes, of_restarts in answers
    ]
    return ProbeScore(
        float(val[best]),
        sum(test) / len(test),
        {"weight_decay": weight_decay[best], "step": float(trained.step[chosen].double().mean())},
        paired(*others),
    )
