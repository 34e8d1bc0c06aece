"""Clustering: groups of embeddings, found without labels, against the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.types import Dataset, Metric, Split
from gssl.evaluate.base import Judge, ProbeScore
from gssl.evaluate.clusters import KMeansProbe
from gssl.evaluate.judge import judgeable
from gssl.tasks.base import AnySplit, Task
from gssl.tasks.items import items_of


class ClusterTask(Task):
    """Embeddings of all items are clustered, and the clusters compared with the classes of the labelled ones.

    No label is seen by anything but the score, so there are no validation items and nothing to choose by.

    Args:
        dataset: with classes.
        probe: how clusters are found and compared.
    """

    name: ClassVar[str] = "cluster"
    default_judge: ClassVar[str | None] = "KMeans"

    def __init__(self, dataset: Dataset, probe: KMeansProbe) -> None:
        super().__init__(dataset)
        if dataset.labels is None or dataset.labels.kind != "multiclass":
            has = "no labels" if dataset.labels is None else f"{dataset.labels.kind} labels"
            raise InputError(f"--task cluster compares clusters with classes, but {dataset.name} has {has}")
        self.labels = dataset.labels
        self.probe = probe

    @property
    def metric(self) -> Metric:
        return self.probe.metrics[0]

    @property
    def version(self) -> int:
        return self.probe.version

    def splits(self, seed: int) -> tuple[Split, ...]:
        """All labelled items as test items."""
        none = torch.empty(0, dtype=torch.int64)
        return (Split("all", none, none, (self.labels.y >= 0).nonzero().squeeze(1)),)

    def score(self, embeddings: Tensor, split: AnySplit, seed: int) -> ProbeScore:
        items_of(split)
        return self.probe.score(judgeable(embeddings, self.dataset), self.labels, seed)

    def sealed(self, seed: int) -> Self:
        raise InputError(
            "clustering sees no label before the score, so there is no validation score to search by; search with "
            "--task node or link, and cluster with the preset that it writes"
        )

    def under(self, judge: Judge) -> Self:
        assert isinstance(judge, KMeansProbe)
        return type(self)(self.dataset, judge)

    def shown(self) -> int:
        return 0

    def overlap(self, splits: Sequence[AnySplit]) -> float:
        return 0.0
