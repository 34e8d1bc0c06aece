"""Contracts of the data layer: a graph, its labels (kept apart) and its splits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from gssl.graph.storage import Graph

Level = Literal["node", "graph"]
LabelKind = Literal["multiclass", "multilabel", "regression"]
Metric = Literal["accuracy", "micro_f1", "macro_f1", "roc_auc", "average_precision", "mae", "rmse"]


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of the items (nodes or graphs) of a dataset. Methods never see them.

    Attributes:
        y: shape (num_items,) int64 for ``multiclass``; shape (num_items, num_tasks) float for ``multilabel`` and
            ``regression``, where NaN means that the label is missing.
        kind: what kind of prediction it is; binary classification is ``multiclass`` with two classes.
        num_classes: classes of a multiclass task, else the number of columns of ``y``.
    """

    y: Tensor
    kind: LabelKind
    num_classes: int


@dataclass(frozen=True, eq=False)
class Split:
    """Three disjoint sets of items.

    Attributes:
        name: for example ``"public"`` or ``"random-0.1-0.1-seed3"``.
        train, val, test: item ids, shape (n,), int64; ``val`` may be empty for protocols without one.
    """

    name: str
    train: Tensor
    val: Tensor
    test: Tensor

    @property
    def hash(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the three id lists."""
        digest = hashlib.sha256()
        for part in (self.train, self.val, self.test):
            digest.update(part.long().cpu().numpy().tobytes() + b"|")
        return digest.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Dataset:
    """One dataset, ready for pretraining and judging.

    Attributes:
        name: as PyG or OGB call it, or the file's stem for a user's own graph.
        level: whether the items are nodes or graphs.
        graph: the graph, or the collection of graphs; no labels in it.
        labels: None if the data have none (pretraining still works).
        splits: preset splits, in order; empty if the data have none.
        metric: how this dataset is scored by convention.
        probe: name of the probe that judges it by default.
        notes: what was done to the raw data and should be said, for example ``"degree features"``.
        checksum: SHA-256 (first 16 hexadecimal digits) of edges, features and labels.
    """

    name: str
    level: Level
    graph: Graph
    labels: Labels | None
    splits: tuple[Split, ...] = ()
    metric: Metric = "accuracy"
    probe: str = "LBFGS"
    notes: tuple[str, ...] = field(default=())
    checksum: str = ""

    @property
    def num_items(self) -> int:
        return self.graph.num_nodes if self.level == "node" else self.graph.num_graphs
