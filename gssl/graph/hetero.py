"""Types of nodes: what lies around the nodes of one type, the target, of which a graph or a batch consists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from gssl.graph.sparse import Features, Pattern, SparseMatrix, index_dtype


@dataclass(frozen=True)
class HeteroSpec:
    """What an encoder must know of the types of a graph.

    Attributes:
        target: the type whose nodes are embedded.
        types: every type with the number of its features, the target first.
        relations: type of the sources, name, and type of the destinations of each.
        meta_paths: names of the meta-paths from target to target.
    """

    target: str
    types: tuple[tuple[str, int], ...]
    relations: tuple[tuple[str, str, str], ...]
    meta_paths: tuple[str, ...]

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> HeteroSpec:
        """From plain data, in which tuples are lists."""
        types = tuple((str(name), int(width)) for name, width in values["types"])
        relations = tuple((str(source), str(name), str(target)) for source, name, target in values["relations"])
        return cls(str(values["target"]), types, relations, tuple(map(str, values["meta_paths"])))


@dataclass(frozen=True, eq=False)
class NodeType:
    """The nodes of a type that is not the target.

    Attributes:
        name: for example ``"author"``.
        x: features, shape (num_nodes, dim), float; the identity where the nodes have none.
    """

    name: str
    x: Features


@dataclass(frozen=True, eq=False)
class Relation:
    """Edges from the nodes of one type to those of another, or of the same.

    Attributes:
        source, name, target: types of the ends, and what the edges are called.
        pattern: rows are the nodes of ``target``, columns those of ``source``.
    """

    source: str
    name: str
    target: str
    pattern: Pattern


@dataclass(frozen=True, eq=False)
class MetaPath:
    """Which nodes of the target type a kind of path joins.

    Attributes:
        name: for example ``"paper-author-paper"``.
        pattern: rows and columns are nodes of the target type; nothing is on the diagonal.
        count: number of paths between the two, shape (nnz,), float; None where it is not known.
    """

    name: str
    pattern: Pattern
    count: Tensor | None = None


@dataclass(frozen=True, eq=False)
class HeteroParts:
    """Everything around the nodes of the target type, which themselves are the nodes of the graph or batch.

    Attributes:
        target: name of the target type.
        others: the other types.
        relations: between all of them, each in the directions in which messages may go.
        meta_paths: from target to target.
        positives: nodes that the data say to be alike, rows and columns are nodes of the target type; None where they
            say nothing.
    """

    target: str
    others: tuple[NodeType, ...]
    relations: tuple[Relation, ...]
    meta_paths: tuple[MetaPath, ...]
    positives: Pattern | None = None

    def spec(self, in_dim: int) -> HeteroSpec:
        """What an encoder must know of it.

        Args:
            in_dim: number of features of the target type.
        """
        return HeteroSpec(
            self.target,
            ((self.target, in_dim), *((other.name, int(other.x.shape[1])) for other in self.others)),
            tuple((relation.source, relation.name, relation.target) for relation in self.relations),
            tuple(path.name for path in self.meta_paths),
        )

    @cached_property
    def neighbors(self) -> dict[str, Pattern]:
        """The network schema around the target: for each type that a relation joins to it, in either direction, which
        of its nodes each target has; rows are targets. The target type itself is left out.
        """
        found: dict[str, list[Pattern]] = {}
        for relation in self.relations:
            if relation.target == self.target != relation.source:
                found.setdefault(relation.source, []).append(relation.pattern)
            elif relation.source == self.target != relation.target:
                found.setdefault(relation.target, []).append(relation.pattern.transposed[0])
        return {name: union(found[name]) for name in (other.name for other in self.others) if name in found}

    def map(self, change: Callable[[Tensor], Tensor]) -> HeteroParts:
        """The parts with each tensor replaced by an equal one."""

        def features(x: Features) -> Features:
            return x.map(change) if isinstance(x, SparseMatrix) else change(x)

        paths = (
            replace(path, pattern=path.pattern.map(change), count=None if path.count is None else change(path.count))
            for path in self.meta_paths
        )
        return HeteroParts(
            self.target,
            tuple(replace(other, x=features(other.x)) for other in self.others),
            tuple(replace(relation, pattern=relation.pattern.map(change)) for relation in self.relations),
            tuple(paths),
            None if self.positives is None else self.positives.map(change),
        )


def union(patterns: Sequence[Pattern]) -> Pattern:
    """Where any of some patterns of the same shape has a non-zero; those of a single one as they are."""
    if len(patterns) == 1:
        return patterns[0]
    rows, columns = patterns[0].num_rows, patterns[0].num_cols
    row = torch.cat([pattern.row.long() for pattern in patterns])
    col = torch.cat([pattern.col.long() for pattern in patterns])
    return pattern_of(row, col, rows, columns)


def pattern_of(row: Tensor, col: Tensor, num_rows: int, num_cols: int) -> Pattern:
    """The pattern of some places, each counted once.

    Args:
        row, col: shape (n,), int64.
        num_rows, num_cols: of the pattern.
    """
    keys = (row * max(num_cols, 1) + col).unique()  # in order
    dtype = index_dtype(num_rows, num_cols, keys.numel())
    counts = torch.bincount(keys // max(num_cols, 1), minlength=num_rows)
    rowptr = torch.cat([counts.new_zeros(1), counts.cumsum(0)]).to(dtype)
    return Pattern(rowptr, (keys % max(num_cols, 1)).to(dtype), num_cols)


def identity(count: int) -> SparseMatrix:
    """One-hot ids, the features of nodes that have none, shape (count, count)."""
    ids = torch.arange(count + 1, dtype=index_dtype(count))
    return SparseMatrix(Pattern(ids, ids[:-1], count), torch.ones(count))
