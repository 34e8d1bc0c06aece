"""The tasks of labelled items: nodes of a graph, or graphs of a set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import Neutral
from gssl.datasets.labels import labelled_only
from gssl.datasets.scaffold import scaffold_split
from gssl.datasets.types import Dataset, Labels, Level, Metric, Split
from gssl.evaluate.base import Judge, Probe, ProbeScore
from gssl.evaluate.checks import require_two_classes
from gssl.evaluate.judge import judgeable
from gssl.tasks.base import AnySplit, Task


class ItemTask(Task):
    """Labels of items are predicted by a probe, or by the method itself where a setting trains it on labels.

    Args:
        dataset: nodes or graphs; without labels nothing is judged.
        probe: which splits, which classifier.
        fixed: splits in place of the protocol's; those of a sealed task.
    """

    def __init__(self, dataset: Dataset, probe: Probe, *, fixed: tuple[Split, ...] | None = None) -> None:
        super().__init__(dataset)
        if dataset.labels is not None and self.name not in probe.levels:
            raise InputError(
                f"probe {probe.name} judges {' and '.join(probe.levels)}s, not {self.name}s; use --probe LBFGS"
            )
        self.probe = probe
        self._fixed = fixed

    @property
    def metric(self) -> Metric:
        return self.dataset.metric if self.dataset.labels is None else self.probe.metric(self.dataset)

    @property
    def version(self) -> int:
        return 0 if self.dataset.labels is None else self.probe.version

    @property
    def labels(self) -> Labels:
        """The labels.

        Raises:
            InputError: there are none.
        """
        if self.dataset.labels is None:
            raise InputError(
                f"{self.dataset.name} has no labels, so there is nothing to probe for; pretraining and 'gssl embed' "
                "work without"
            )
        return self.dataset.labels

    def splits(self, seed: int) -> tuple[Split, ...]:
        if self.dataset.labels is None:
            return ()
        drawn = tuple(self.probe.splits(self.dataset, seed)) if self._fixed is None else self._fixed
        splits, _ = labelled_only(drawn, self.labels)  # a probe of the user's own may draw from all items
        for split in splits:
            require_two_classes(self.labels, split)
        return splits

    def check(self, split: AnySplit) -> None:
        self.probe.check(self.labels, items_of(split), self.metric)

    def score(self, embeddings: Tensor, split: AnySplit, seed: int) -> ProbeScore:
        return self.probe.score(judgeable(embeddings, self.dataset), self.labels, items_of(split), self.metric, seed)

    def sealed(self, seed: int) -> Self:
        """Of several splits those are kept whose test items stay hidden: of twenty splits with the same test items all,
        of ten folds or of random splits the first.
        """
        data = self.dataset
        if data.labels is None:
            raise InputError(f"{data.name} has no labels, so there is no validation score to search by")
        seen, hidden = torch.zeros(data.num_items, dtype=torch.bool), torch.zeros(data.num_items, dtype=torch.bool)
        kept = []
        for split in self.splits(seed):
            shown = torch.cat([split.train, split.val])
            if hidden[shown].any() or seen[split.test].any():
                continue
            seen[shown], hidden[split.test] = True, True
            kept.append(replace(split, test=split.val if len(split.val) else split.train))
        y = torch.full_like(data.labels.y, -1 if data.labels.kind == "multiclass" else math.nan)
        y[seen] = data.labels.y[seen]
        blind = replace(data, labels=replace(data.labels, y=y), splits=())
        return type(self)(blind, self.probe, fixed=tuple(kept))

    def under(self, judge: Judge) -> Self:
        assert isinstance(judge, Probe)
        return type(self)(self.dataset, judge, fixed=self._fixed)

    def shown(self) -> int:
        return int(self._seen().sum())

    def overlap(self, splits: Sequence[AnySplit]) -> float:
        tests = torch.cat([items_of(split).test for split in splits])
        return float(self._seen()[tests].double().mean()) if len(tests) else 0.0

    def _seen(self) -> Tensor:
        """Which items are looked at, shape (num_items,), bool."""
        seen = torch.zeros(self.dataset.num_items, dtype=torch.bool)
        for split in self._fixed or ():
            seen[torch.cat([split.train, split.val])] = True
        return seen


class NodeTask(ItemTask):
    """Labels of the nodes of a graph."""

    name: ClassVar[str] = "node"
    levels: ClassVar[tuple[Level, ...]] = ("node",)


class GraphTask(ItemTask):
    """Labels of the graphs of a set.

    Args:
        dataset: a set of graphs.
        probe: which splits, which classifier.
        split: ``scaffold`` judges molecules on their scaffold split, if the probe takes preset splits.
        fixed: splits in place of the protocol's; those of a sealed task.
    """

    name: ClassVar[str] = "graph"
    levels: ClassVar[tuple[Level, ...]] = ("graph",)

    def __init__(
        self,
        dataset: Dataset,
        probe: Probe,
        *,
        split: Annotated[Literal["usual", "scaffold"], Neutral("usual")] = "usual",
        fixed: tuple[Split, ...] | None = None,
    ) -> None:
        if split == "scaffold" and fixed is None:
            (preset,), _ = labelled_only((scaffold_split(dataset),), dataset.labels)
            dataset = replace(dataset, splits=(preset,))
            if [own.hash for own in probe.splits(dataset, 0)] != [preset.hash]:
                raise InputError(
                    f"probe {probe.name} draws splits of its own, so it does not go with task.split=scaffold; use "
                    "--probe LBFGS"
                )
        super().__init__(dataset, probe, fixed=fixed)


def items_of(split: AnySplit) -> Split:
    """The split, if it is one of items."""
    if not isinstance(split, Split):
        raise TypeError("a task of items was given a split of links")
    return split
