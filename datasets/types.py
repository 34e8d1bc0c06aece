"""Contracts of the data layer: a graph, its labels (kept apart) and its splits, of items and of links."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from torch import Tensor

from gssl.graph.spec import GraphSpec, Vocabulary
from gssl.graph.storage import Graph

Level = Literal["node", "graph"]
LabelKind = Literal["multiclass", "multilabel", "regression"]
Metric = str  # a name that gssl.evaluate.metrics knows, for example "accuracy" or "hits@20"


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of the items (nodes or graphs) of a dataset. Methods never see them.

    Attributes:
        y: shape (num_items,) int64 for ``multiclass``, where -1 means that an item has no label; shape (num_items,
            num_tasks) float for ``multilabel`` and ``regression``, where NaN means that the label is missing.
        kind: what kind of prediction it is; binary classification is ``multiclass`` with two classes.
        num_classes: classes of a multiclass task, else the number of columns of ``y``.
    """

    y: Tensor
    kind: LabelKind
    num_classes: int

    @cached_property
    def labelled(self) -> Tensor:
        """Which items have a label (of one task at least), shape (num_items,), bool."""
        return self.y >= 0 if self.kind == "multiclass" else ~self.y.isnan().all(dim=1)


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
class LinkSplit:
    """Joined pairs of nodes in three parts, and the pairs that those of validation and test are ranked against.

    Attributes:
        name: for example ``"links-0.05-0.1-seed3"``.
        train, val, test: joined pairs, row 0 sources, row 1 targets, shape (2, n), int64; an undirected pair stands
            there once.
        val_negatives, test_negatives: pairs that are not joined, shape (2, m), int64, against all of which every
            positive pair is ranked. If ``grouped``, each positive pair has its own instead, and only their targets
            are kept, shape (n, k), int64: row j holds nodes that the source of pair j is not joined to.
        directed: whether (u, v) and (v, u) are two pairs.
        grouped: which of the two kinds the negatives are.
    """

    name: str
    train: Tensor
    val: Tensor
    test: Tensor
    val_negatives: Tensor
    test_negatives: Tensor
    directed: bool
    grouped: bool = False

    @property
    def hash(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of all pairs and their kind; the name does not count."""
        digest = hashlib.sha256(f"{self.directed} {self.grouped}".encode())
        for part in (self.train, self.val, self.test, self.val_negatives, self.test_negatives):
            digest.update(f"|{tuple(part.shape)}|".encode())
            digest.update(part.long().cpu().contiguous().numpy().data)
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
        links: the preset split of its pairs, if the data are published for link prediction; ``graph`` then holds the
            training edges only.
        vocabulary: what the columns of features and edge attributes stand for; None if that is not known.
        smiles: the molecule of each graph, where the graphs are molecules.
        declared: what the user said of data of their own, name to value; it is a part of the configuration.
        fitted_to: name of the dataset that the model was fitted to from which these data were drawn; empty for others.
        fitted_checksum: that dataset's checksum.
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
    links: LinkSplit | None = None
    vocabulary: Vocabulary | None = None
    smiles: tuple[str, ...] = field(default=(), repr=False)
    declared: Mapping[str, str | bool] = field(default_factory=dict)
    fitted_to: str = ""
    fitted_checksum: str = ""

    @property
    def spec(self) -> GraphSpec:
        """What an encoder must know of the graph."""
        return GraphSpec.of(self.graph, self.vocabulary)

    @property
    def num_items(self) -> int:
        return self.graph.num_nodes if self.level == "node" else self.graph.num_graphs

    @property
    def labelled_items(self) -> Tensor | None:
        """Ids of the items with a label, shape (n,), int64; None where all have one, or none has."""
        if self.labels is None or bool(self.labels.labelled.all()):
            return None
        return self.labels.labelled.nonzero()[:, 0]
