"""Settings that train on labels: the supervised row, fine-tuning, and auxiliary learning."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import Amount, Neutral, NonNegative, Probability
from gssl.common.seeds import derive_seed
from gssl.config.record import RunConfig
from gssl.datasets.types import Split
from gssl.evaluate.base import ProbeScore
from gssl.method import Method
from gssl.methods.auxiliary import Auxiliary
from gssl.methods.finetuned import FineTuned
from gssl.methods.labelled import Labelled
from gssl.methods.reference import Raw
from gssl.samplers.base import Sampler
from gssl.settings.base import Pretraining, Setting, Training, continued, numbered
from gssl.settings.labels import judged, labelled_share, score_of, validation, with_validation
from gssl.settings.parts import make_method, make_sampler
from gssl.tasks.base import Task
from gssl.tasks.items import ItemTask, items_of
from gssl.training.config import TrainConfig
from gssl.training.result import TrainResult


@dataclass(frozen=True, eq=False)
class LabelTraining(Training):
    """A training on the labels of one split, which the method's own predictions are scored on.

    Attributes:
        amount: of the training labels: a share, a number for each class, or None for all.
    """

    amount: float | int | None = None

    @cached_property
    def lesson(self) -> Split:
        """What is learned: the labels that are given, with validation items even if the protocol has none."""
        labels, split = self._task.labels, items_of(self.splits[0])
        return with_validation(labelled_share(split, labels, self.amount, self.seed), labels, self.seed)

    @property
    def _task(self) -> ItemTask:
        assert isinstance(self.task, ItemTask)
        return self.task

    @property
    def items(self) -> Tensor | None:
        return self.lesson.train

    @property
    def title(self) -> str:
        return f"{super().title}, {self.splits[0].name}"

    @property
    def key(self) -> str:
        return "-".join((super().key, self.splits[0].hash))

    @abstractmethod
    def learner(self, source: Method | None) -> Labelled:
        """The method, without labels."""

    def method(self, source: Method | None = None) -> Method:
        learner = self.learner(source)
        learner.fit_labels(self._task.labels, self.lesson)
        return learner

    def validate(self, method: Method) -> Callable[[], float] | None:
        return validation(labelled(method), self.dataset, self.lesson, self.task.metric)

    def val(self, method: Method) -> float:
        return score_of(labelled(method), self.dataset, self.lesson.val, self.task.metric)

    def scores(self, method: Method, result: TrainResult, embeddings: Tensor) -> tuple[ProbeScore, ...]:
        return (judged(labelled(method), self.dataset, self.lesson, self.task.metric, result),)


class SupervisedTraining(LabelTraining):
    """From new weights, on labels alone."""

    def learner(self, source: Method | None) -> Labelled:
        return labelled(make_method(self.config, self.dataset, self.seed))


@dataclass(frozen=True, eq=False)
class FineTuning(LabelTraining):
    """From pretrained weights, with training options of its own.

    Attributes:
        dropout: between embedding and head.
    """

    dropout: float = 0.0

    @property
    def train(self) -> TrainConfig:
        assert self.config.finetune is not None
        return self.config.finetune

    @property
    def title(self) -> str:
        return f"{super().title}, fine-tuning"

    def sampler(self, method: Method) -> Sampler:
        """Batches of labelled items, no more at once than there are: pretraining has many more items than this."""
        size = None if self.train.batch_size is None else min(self.train.batch_size, len(self.lesson.train))
        try:
            return make_sampler(self.config, self.dataset, self.seed, method, self.items, batch_size=size)
        except InputError as error:
            raise InputError(
                f"fine-tuning on {len(self.lesson.train)} labelled items, in batches of {size} (--set "
                f"finetune.batch_size=N): {error}"
            ) from None

    def learner(self, source: Method | None) -> Labelled:
        assert source is not None
        method = continued(self, source)
        torch.manual_seed(derive_seed(self.seed, "head"))
        return FineTuned(method, dropout=self.dropout)


@dataclass(frozen=True, eq=False)
class AuxiliaryTraining(LabelTraining):
    """From new weights, on labels and without them at once.

    Attributes:
        weight: of the self-supervised loss.
        dropout: between embedding and head.
    """

    weight: float = 1.0
    dropout: float = 0.0

    @property
    def items(self) -> Tensor | None:
        return None  # the self-supervised loss is about all of them

    def learner(self, source: Method | None) -> Labelled:
        companion = make_method(self.config, self.dataset, self.seed)
        torch.manual_seed(derive_seed(self.seed, "head"))
        return Auxiliary(companion, weight=self.weight, dropout=self.dropout)


class SupervisedLearning(Setting):
    """Labels alone: the setting of the method ``supervised``, trained once for each split.

    Args:
        labels: share of the training labels, at least one of each class, or a number for each class; null for all.
    """

    name: ClassVar[str] = "supervised"

    def __init__(self, *, labels: Annotated[Amount | None, Neutral(None)] = None) -> None:
        self.labels = labels

    def trainings(self, config: RunConfig, task: Task, seed: int) -> list[Training]:
        splits = splits_with_labels(task, seed, config)
        numbers = numbered(len(splits))
        return [
            SupervisedTraining(config, task, seed, (split,), number, None, None, self.labels)
            for split, number in zip(splits, numbers, strict=True)
        ]


class Finetune(Setting):
    """Pretrain without labels, then train encoder and head on labels (arXiv:2102.10757, sec. 2.3).

    Validation items choose the epoch of the second training, whose options are those of the section ``finetune``.

    Args:
        labels: share of the training labels, at least one of each class, or a number for each class; null for all.
        dropout: dropout probability between embedding and head.
        pretrain_on: another dataset that the encoder is pretrained on, whose features mean the same.
    """

    name: ClassVar[str] = "finetune"
    has_finetuning: ClassVar[bool] = True
    inner: ClassVar[str] = "pretrained."

    def __init__(
        self, *, labels: Amount | None = None, dropout: Probability = 0.0, pretrain_on: str | None = None
    ) -> None:
        self.labels, self.dropout, self.pretrain_on = labels, dropout, pretrain_on

    @classmethod
    def check(cls, method: type[Method], name: str) -> None:
        if issubclass(method, Raw):
            raise InputError(
                f"{name} has no encoder to fine-tune; use untrained, which starts from new weights, or a method"
            )

    def trainings(self, config: RunConfig, task: Task, seed: int) -> list[Training]:
        splits = splits_with_labels(task, seed, config)
        before = Pretraining(config, task, seed, (), data=self.source)
        return [
            before,
            *(
                FineTuning(config, task, seed, (split,), number, before, None, self.labels, self.dropout)
                for number, split in enumerate(splits)
            ),
        ]


class AuxiliaryLearning(Setting):
    """The loss on labels plus a weighted self-supervised loss of the same encoder (arXiv:2102.10757, sec. 2.3).

    Args:
        labels: share of the training labels, at least one of each class, or a number for each class; null for all.
        weight: of the self-supervised loss.
        dropout: dropout probability between embedding and head.
    """

    name: ClassVar[str] = "auxiliary"
    inner: ClassVar[str] = "companion."

    def __init__(self, *, labels: Amount | None = None, weight: NonNegative = 1.0, dropout: Probability = 0.0) -> None:
        self.labels, self.weight, self.dropout = labels, weight, dropout

    @classmethod
    def check(cls, method: type[Method], name: str) -> None:
        if not method.trains:
            raise InputError(f"{name} has no loss to learn beside labels; choose a method that trains")

    def trainings(self, config: RunConfig, task: Task, seed: int) -> list[Training]:
        splits = splits_with_labels(task, seed, config)
        return [
            AuxiliaryTraining(config, task, seed, (split,), number, None, None, self.labels, self.weight, self.dropout)
            for split, number in zip(splits, numbered(len(splits)), strict=True)
        ]


def splits_with_labels(task: Task, seed: int, config: RunConfig) -> tuple[Split, ...]:
    """The splits of a task whose labels can be learnt from.

    Raises:
        InputError: the task has no labels to learn from.
    """
    if not isinstance(task, ItemTask):
        raise InputError(
            f"--task {task.name} has no labels to train on, so it goes with --setting frozen alone; leave out --setting"
        )
    if task.dataset.labels is None:
        raise InputError(
            f"{config.method.name} in the setting {config.setting.name} learns from labels, but {task.dataset.name} "
            "has none"
        )
    return task.splits(seed)


def labelled(method: Method) -> Labelled:
    """The method itself.

    Raises:
        InputError: it says that it needs labels, but cannot take any.
    """
    if isinstance(method, Labelled):
        return method
    raise InputError(
        f"{type(method).__name__} says that it needs labels, so it must be a subclass of "
        "gssl.methods.supervised:Supervised"
    )
