"""Datasets of the user's own: what is known of them is declared, what is guessed is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gssl.common.errors import InputError
from gssl.datasets.assemble import Arrays, build, default_metric
from gssl.datasets.declared import Declared
from gssl.datasets.labels import OwnLabels, labelled_only, own_labels
from gssl.datasets.types import Dataset, Level
from gssl.graph.sparse import Pattern


def own_dataset(
    arrays: Arrays,
    y: Any,
    declared: Declared,
    *,
    name: str,
    level: Level,
    what: str = "y",
    direction_is_known: bool = False,
) -> Dataset:
    """A dataset from arrays that somebody else made.

    Args:
        arrays: edges, features, preset splits and what was said of them so far; labels in it are not looked at.
        y: labels of the items as they came, or None.
        declared: what is known.
        name: of the dataset.
        level: whether the items are nodes or graphs.
        what: how messages name the labels.
        direction_is_known: whether the source told directed from undirected edges.

    Raises:
        InputError: something is unusable.
    """
    _refuse_types(declared)
    num_items = _num_items(arrays, level)
    found = OwnLabels(None) if y is None else own_labels(y, num_items, kind=declared.task, what=what)
    kept, left = labelled_only(arrays.splits, found.labels, refuse=found.by_minus_one)
    dataset = build(
        replace(arrays, splits=kept, notes=(*arrays.notes, *found.notes, *left)),
        name=name,
        level=level,
        labels=found.labels,
        metric=declared.metric or default_metric(found.labels),
        normalize=declared.normalize,
        undirected=bool(declared.undirected),
    )
    notes = dataset.notes
    if declared.undirected is None and not direction_is_known:
        notes += _direction(dataset.graph.block.pattern)
    return replace(dataset, notes=notes, declared=declared.mapping())


def _refuse_types(declared: Declared) -> None:
    told = [name for name in ("target_type", "meta_paths") if getattr(declared, name) is not None]
    if told:
        raise InputError(f"{' and '.join(told)} can be declared of a HeteroData alone, but these data have one type")


def _num_items(arrays: Arrays, level: Level) -> int:
    if level == "graph":
        assert arrays.ptr is not None
        return arrays.ptr.numel() - 1
    return int(arrays.x.shape[0]) if arrays.x is not None else int(arrays.num_nodes or 0)


def _direction(pattern: Pattern) -> tuple[str, ...]:
    """What should be said of edges without a reverse."""
    alone = int((pattern.reverse < 0).sum())
    if alone == 0:
        return ()
    how = "no edge has its reverse" if alone == pattern.nnz else f"{alone} of {pattern.nnz} edges have no reverse"
    return (f"{how}: read as a directed graph; --data undirected=true adds the reverses",)
