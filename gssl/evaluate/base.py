"""What every probe is: a named, versioned protocol from frozen embeddings to a validation and a test score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from gssl.datasets.types import Dataset, Labels, Level, Metric, Split
from gssl.evaluate.checks import require_items, require_multiclass, require_two_classes
from gssl.evaluate.metrics import require_fitting_metric


@dataclass(frozen=True)
class ProbeScore:
    """Scores on one split, as fractions (errors for regression metrics).

    Attributes:
        val: score on which every choice was made; NaN if the protocol has no validation data.
        test: score on the test items, computed once, after all choices.
        chosen: what was chosen on validation, for example ``{"C": 0.25}``.
        others: further metrics of the same predictions, name to validation and test value; NaN for a value that the
            protocol does not have.
    """

    val: float
    test: float
    chosen: dict[str, float]
    others: Mapping[str, tuple[float, float]] = field(default_factory=dict)


class Judge(ABC):
    """What scores embeddings in a task: a named protocol, whose ``version`` is raised whenever scores could change.

    Its configuration is the keyword-only ``__init__``.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1

    @classmethod
    @abstractmethod
    def tasks(cls) -> tuple[str, ...]:
        """Names of the tasks that it judges."""


class Probe(Judge):
    """A protocol for labelled items: which splits, which classifier, which choices.

    Attributes:
        levels: whether it judges nodes, graphs or both.
        classes_only: whether it judges nothing but classes.
        needs_validation: whether it chooses on the validation items of the split.
        least_training_items: fewer cannot be learnt from.
    """

    levels: ClassVar[tuple[Level, ...]] = ("node",)
    classes_only: ClassVar[bool] = False
    needs_validation: ClassVar[bool] = False
    least_training_items: ClassVar[int] = 1

    @classmethod
    def tasks(cls) -> tuple[str, ...]:
        return cls.levels

    @abstractmethod
    def splits(self, dataset: Dataset, seed: int) -> Sequence[Split]:
        """The splits that run number ``seed`` is judged on; the run's score is their mean.

        Raises:
            InputError: the protocol does not fit the dataset; the message says which probe does.
        """

    def metric(self, dataset: Dataset) -> Metric:
        """The metric that this protocol reports; the dataset's own by default."""
        return dataset.metric

    def check(self, labels: Labels, split: Split, metric: Metric) -> None:
        """Refuse before anything is trained what :meth:`score` could not judge.

        Args:
            labels: all labels; of test items it is only asked whether there are any.
            split: one of :meth:`splits`.
            metric: what is to be reported.

        Raises:
            InputError: the labels are of another kind than the protocol or the metric takes, there are too few items in
                a part of the split, or a single class among the training items.
        """
        if self.classes_only:
            require_multiclass(labels, self.name)
        require_fitting_metric(metric, labels.kind)
        require_items(split, self.name, least=self.least_training_items, validation=self.needs_validation)
        require_two_classes(labels, split)

    @abstractmethod
    def score(self, embeddings: Tensor, labels: Labels, split: Split, metric: Metric, seed: int) -> ProbeScore:
        """Fit on the training items, choose on the validation items, score the test items once, after :meth:`check`.

        Args:
            embeddings: shape (num_items, dim), float32, detached, on the CPU.
            labels: all labels; those of test items may be read for the returned test score only.
            split: where to fit, choose and score.
            metric: what to report.
            seed: makes the result repeatable.
        """
