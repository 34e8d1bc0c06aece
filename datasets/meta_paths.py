"""Meta-paths of the user's own data: which there are, and which nodes each joins (by PyG's ``AddMetaPaths``)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import pairwise

import psutil
import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.transforms import AddMetaPaths

from gssl.common.errors import InputError
from gssl.graph.hetero import MetaPath, Relation, union
from gssl.graph.sparse import Pattern

Step = tuple[str, str]
Told = tuple[str, ...]  # the types along a path, or a single relation from target to target by its name
_BYTES = 64  # of memory for each path that is counted


def named(text: str, target: str) -> list[Told]:
    """The types along each path of a text such as ``"paper-author-paper+paper-term-paper"``.

    Raises:
        InputError: a path that does not lead from the target type to it.
    """
    paths = [tuple(part.strip() for part in path.split("-")) for path in text.split("+")]
    for path in paths:
        if len(path) < 2 or path[0] != target or path[-1] != target:
            raise InputError(
                f"meta_paths has {'-'.join(path)!r}, which does not lead from {target} to {target}: give types with - "
                f"between them, as in {target}-OTHER-{target}"
            )
    if len(set(paths)) < len(paths):
        raise InputError(f"meta_paths has a path twice: {text}")
    return paths


def shortest(relations: Sequence[Relation], steps: Mapping[Step, Sequence[Relation]], target: str) -> list[Told]:
    """The relations within the target type, each for itself, and a path to every type that is joined to it and back."""
    inside = [(relation.name,) for relation in relations if relation.source == relation.target == target]
    return [*inside, *((target, other, target) for here, other in steps if here == target != other)]


def derived(
    told: Sequence[Told],
    relations: Sequence[Relation],
    steps: Mapping[Step, Sequence[Relation]],
    sizes: Mapping[str, int],
    target: str,
) -> tuple[MetaPath, ...]:
    """Which nodes of the target type each path joins, and by how many paths.

    A step between two types takes all relations between them together, in both directions.

    Args:
        told: the paths.
        relations: of the data.
        steps: the relations of each step.
        sizes: nodes of each type.
        target: the type at both ends.

    Raises:
        InputError: no relation joins two types that follow each other, there are more paths than the memory holds, or
            none at all.
    """
    found = []
    for path in told:
        if len(path) == 1:
            (own,) = (r for r in relations if r.source == r.target == target and r.name == path[0])
            pattern = own.pattern
            found.append(_without_loops(path[0], pattern.row.long(), pattern.col.long(), pattern.num_rows, None))
            continue
        patterns = [_step(step, steps, path) for step in pairwise(path)]
        found.append(_without_loops("-".join(path), *_joined(path, patterns, sizes)))
    if not any(path.pattern.nnz for path in found):
        raise InputError(
            f"none of the meta-paths {', '.join(path.name for path in found)} joins two nodes of type {target!r}: "
            "declare others by meta_paths"
        )
    return tuple(found)


def _step(step: Step, steps: Mapping[Step, Sequence[Relation]], path: Told) -> Pattern:
    """Rows are the nodes at the start of a step, columns those at its end."""
    if step not in steps:
        joined = ", ".join(sorted(f"{a}-{b}" for a, b in steps))
        raise InputError(
            f"meta-path {'-'.join(path)!r}: no relation joins {step[0]} and {step[1]}; joined are {joined}"
        )
    ways = [
        pattern
        for r in steps[step]
        for pattern in (
            *((r.pattern,) if (r.target, r.source) == step else ()),
            *((r.pattern.transposed[0],) if (r.source, r.target) == step else ()),
        )
    ]
    return union(ways)


def _joined(path: Told, patterns: Sequence[Pattern], sizes: Mapping[str, int]) -> tuple[Tensor, Tensor, int, Tensor]:
    """Start and end of all paths, the number of nodes, and how many paths there are between each two ends."""
    if len(patterns) == 1:
        one = patterns[0]
        return one.row.long(), one.col.long(), one.num_rows, torch.ones(one.nnz)
    _check_number(path, patterns)
    data = HeteroData()
    for place, kind in enumerate(path):
        data[f"{place}"].num_nodes = sizes[kind]
    kinds = [(f"{place}", "to", f"{place + 1}") for place in range(len(patterns))]
    for ends, pattern in zip(kinds, patterns, strict=True):
        data[ends].edge_index = torch.stack([pattern.row.long(), pattern.col.long()])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse (CSR|invariant)", category=UserWarning)
        made = AddMetaPaths([kinds], weighted=True)(data)
    found = made["0", "metapath_0", f"{len(patterns)}"]
    return found.edge_index[0], found.edge_index[1], patterns[0].num_rows, found.edge_weight


def _check_number(path: Told, patterns: Sequence[Pattern]) -> None:
    """Refuse paths that the memory does not hold: they meet in a hub by the square of what it is joined to."""
    number = torch.ones(patterns[0].num_rows, dtype=torch.float64)
    for pattern in patterns:
        number = torch.zeros(pattern.num_cols, dtype=torch.float64).index_add_(
            0, pattern.col.long(), number[pattern.row.long()]
        )
        if float(number.sum()) * _BYTES > psutil.virtual_memory().available:
            raise InputError(
                f"meta-path {'-'.join(path)!r} has {float(number.sum()):.2g} paths, more than the memory holds: "
                "declare others by meta_paths, or leave out nodes that are joined to almost all"
            )


def _without_loops(name: str, row: Tensor, col: Tensor, count: int, number: Tensor | None) -> MetaPath:
    keep = row != col
    pattern, order = Pattern.from_coo(row[keep], col[keep], count, count)
    return MetaPath(name, pattern, None if number is None else number[keep][order])
