"""What every task is: the one owner of what is judged, on which splits, and of what may be trained on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Self

from torch import Tensor

from gssl.datasets.types import Dataset, Level, LinkSplit, Metric, Split
from gssl.evaluate.base import Judge, ProbeScore

AnySplit = Split | LinkSplit


class Task(ABC):
    """One kind of question to embeddings, put to one dataset.

    Nothing else decides which labels or edges may be seen. A subclass takes the dataset and what judges first, and its
    options (``--set task.NAME=VALUE``) by keyword.

    Attributes:
        name: as for ``--task``.
        levels: of data that it can be put to.
        default_judge: the protocol that judges unless another is named; None leaves it to the dataset.
        one_graph: whether every split trains on the same graph, so that one training serves all of them.
        dataset: what is judged; of a sealed task, without what a search must not see.
    """

    name: ClassVar[str]
    levels: ClassVar[tuple[Level, ...]] = ("node", "graph")
    default_judge: ClassVar[str | None] = None
    one_graph: ClassVar[bool] = True

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    @property
    @abstractmethod
    def metric(self) -> Metric:
        """What the first score is, on which choices are made."""

    @property
    @abstractmethod
    def version(self) -> int:
        """Of the protocol; 0 where nothing is judged."""

    @abstractmethod
    def splits(self, seed: int) -> tuple[AnySplit, ...]:
        """What run number ``seed`` is judged on; its score is the mean. Empty for data without labels.

        Raises:
            InputError: the protocol does not fit the data, or a split cannot be learnt from.
        """

    def check(self, split: AnySplit) -> None:  # noqa: B027  most tasks can judge any split that they make
        """Refuse before anything is trained a split on which embeddings could not be judged.

        Raises:
            InputError: says what is missing.
        """

    def visible(self, split: AnySplit) -> Dataset:
        """What may be trained on where this split is judged; the same for all of them if ``one_graph``."""
        return self.dataset

    def using(self, decoder: Callable[[Tensor, Tensor], Tensor] | None) -> Self:
        """The task as it judges embeddings of a method that scores pairs so; most judge embeddings alone.

        Args:
            decoder: as ``Method.pair_decoder``.

        Raises:
            InputError: the protocol needs a decoder, and there is none.
        """
        return self

    @abstractmethod
    def score(self, embeddings: Tensor, split: AnySplit, seed: int) -> ProbeScore:
        """Judge the embeddings of all items.

        Args:
            embeddings: shape (num_items, dim), float, finite; on the CPU.
            split: one of :meth:`splits`.
            seed: number of the run.
        """

    @abstractmethod
    def sealed(self, seed: int) -> Self:
        """The task as a search may see it: labels of test items and held-out edges are gone.

        Its splits repeat validation items in place of test items, so that a protocol runs unchanged and its test score
        says nothing new.

        Raises:
            InputError: there is no validation score to search by.
        """

    @abstractmethod
    def under(self, judge: Judge) -> Self:
        """The same task on the same data and splits, judged by another protocol."""

    @abstractmethod
    def shown(self) -> int:
        """Of a sealed task, how many labelled items (or pairs) a search looks at."""

    @abstractmethod
    def overlap(self, splits: Sequence[AnySplit]) -> float:
        """Share of the test items of other splits that a search on this sealed task has looked at; 0 for none."""
