"""Graphs of networkx as datasets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gssl.common.errors import InputError
from gssl.datasets.array_names import part_of, unread
from gssl.datasets.assemble import Arrays
from gssl.datasets.clean import as_numbers
from gssl.datasets.declared import NOTHING, Declared
from gssl.datasets.own import own_dataset
from gssl.datasets.own_splits import own_splits, says_split, unusual
from gssl.datasets.types import Dataset

if TYPE_CHECKING:
    import networkx as nx

_SPLITS = ("train_mask", "val_mask", "test_mask", "split")


def from_networkx(
    graph: nx.Graph,
    *,
    x: str | Sequence[str] | None = None,
    y: str | None = None,
    weight: str | None = None,
    name: str = "networkx",
    declared: Declared = NOTHING,
) -> Dataset:
    """A node-level dataset from a networkx graph of any kind; nodes are numbered in the graph's order.

    Args:
        graph: undirected edges become two directed ones, parallel edges are merged. The node attributes
            ``train_mask``, ``val_mask`` and ``test_mask``, or ``split`` with one of the words train, val and test, are
            its split; a node without them is in no part.
        x: node attribute that holds a number or a vector, or several that hold a number each; None for degree
            features.
        y: node attribute with the label: a number, or a class name of any type; a node without it has no label. None
            if there are no labels.
        weight: edge attribute with the weight of an edge; edges without it weigh 1, as they do in networkx, and a note
            counts them.
        name: of the dataset.
        declared: what is known of the data.

    Raises:
        InputError: a node lacks a feature, no node has the label, or attributes are not finite numbers of equal length.
    """
    nodes = list(graph.nodes(data=True))
    number = {node: i for i, (node, _) in enumerate(nodes)}
    ends = list(graph.edges(data=True))
    edges = np.array([[number[u], number[v]] for u, v, _ in ends], dtype=np.int64).reshape(-1, 2).T
    weights, lacking = (None, ()) if weight is None else _weights(ends, weight)
    if not graph.is_directed():
        edges = np.concatenate([edges, edges[::-1]], axis=1)
        weights = None if weights is None else np.concatenate([weights, weights])
    if nodes and y is not None and not any(y in values for _, values in nodes):
        raise InputError(f"no node has the attribute {y!r}: name another, or leave out y")
    features = None if x is None else _features(nodes, [x] if isinstance(x, str) else list(x))
    flags = _flags(nodes, {y, x} if isinstance(x, str) else {y, *(x or ())})
    arrays = Arrays(
        edge_index=edges,
        x=features,
        num_nodes=len(nodes),
        splits=own_splits(flags, len(nodes))[0],
        edge_weight=weights,
        notes=(*unusual(tuple(flags)), *_unread(graph, x, y, weight, tuple(flags)), *lacking),
    )
    labels = None if y is None else [values.get(y) for _, values in nodes]
    return own_dataset(arrays, labels, declared, name=name, level="node", what=str(y), direction_is_known=True)


def by_usual_names(graph: nx.Graph, *, name: str, declared: Declared = NOTHING) -> Dataset:
    """A dataset that takes the node attributes ``x`` and ``y`` and the edge attribute ``weight`` where there are any.

    Raises:
        InputError: as :func:`from_networkx`.
    """
    nodes = [values for _, values in graph.nodes(data=True)]
    x = "x" if nodes and any("x" in values for values in nodes) else None
    y = next((key for key in ("y", "label") if any(key in values for values in nodes)), None)
    weight = "weight" if any("weight" in values for *_, values in graph.edges(data=True)) else None
    return from_networkx(graph, x=x, y=y, weight=weight, name=name, declared=declared)


def _weights(ends: Sequence[tuple[Any, Any, dict[str, Any]]], weight: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """The weight of each edge, 1 where none is stated, and a note on how many these are."""
    given = [values.get(weight) for *_, values in ends]
    lacking = sum(value is None for value in given)
    numbers = as_numbers(np.array([1.0 if value is None else value for value in given]), weight).numpy()
    return numbers, ((f"{lacking} of {len(ends)} edges have no {weight}: they weigh 1",) if lacking else ())


def _unread(
    graph: nx.Graph, x: str | Sequence[str] | None, y: str | None, weight: str | None, splits: Sequence[str]
) -> tuple[str, ...]:
    read = {y, *_SPLITS, *splits, *([x] if isinstance(x, str) else x or ())}
    of_nodes = {str(key) for _, values in graph.nodes(data=True) for key in values}
    of_edges = {str(key) for *_, values in graph.edges(data=True) for key in values}
    told = "which from_networkx takes by their names"
    notes = (
        *unread(of_nodes, {str(key) for key in read}, what="node attributes"),
        *unread(of_edges, {str(weight)}, what="edge attributes"),
    )
    return tuple(f"{note}, {told}" if note.startswith("node") else note for note in notes)


def _flags(nodes: Sequence[tuple[Any, dict[str, Any]]], taken: set[str | None]) -> dict[str, Any]:
    """The split that nodes carry, as arrays over the nodes; attributes that are taken for something else are none."""
    found: dict[str, Any] = {}
    for key in _SPLITS[:3]:
        if any(key in values for _, values in nodes):
            found[key] = np.array([_truth(values.get(key, False), key) for _, values in nodes])
    words = [values.get("split") for _, values in nodes]
    if any(words):
        wrong = next((word for word in words if word is not None and part_of(word) is None), None)
        if wrong is not None:
            raise InputError(f"the node attribute split is {wrong!r}, but must be train, val or test")
        found["split"] = words
    for key in dict.fromkeys(str(key) for _, values in nodes for key in values):
        words = [values.get(key) for _, values in nodes]
        if key not in (*_SPLITS, *taken) and says_split(words, len(nodes)):
            found[key] = words
    return found


def _truth(value: Any, key: str) -> bool:
    """A truth value, also as a format without them writes it."""
    if isinstance(value, str):
        if value.lower() not in ("true", "false", "1", "0"):
            raise InputError(f"the node attribute {key} is {value!r}, but must be true or false")
        return value.lower() in ("true", "1")
    return bool(value)


def _features(nodes: Sequence[tuple[Any, dict[str, Any]]], keys: list[str]) -> np.ndarray:
    rows = []
    for node, values in nodes:
        missing = [key for key in keys if key not in values]
        if missing:
            raise InputError(f"node {node!r} has no attribute {missing[0]!r}: set it on every node")
        rows.append(np.concatenate([np.atleast_1d(np.asarray(values[key])) for key in keys]))
    widths = {row.shape for row in rows}
    if len(widths) > 1:
        raise InputError(f"attribute {keys[0]!r} has different lengths on different nodes: {sorted(widths)}")
    return np.stack(rows) if rows else np.zeros((0, 1), dtype=np.float32)
