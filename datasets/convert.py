"""Graphs of other libraries as datasets: networkx and PyG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData

from gssl.common.errors import InputError
from gssl.datasets.assemble import Arrays, build, default_metric
from gssl.datasets.checksums import dataset_checksum
from gssl.datasets.clean import as_numbers
from gssl.datasets.labels import compact, make_labels
from gssl.datasets.splits import mask_splits
from gssl.datasets.types import Dataset, Labels, Split
from gssl.graph.precision import single_precision

if TYPE_CHECKING:
    import networkx as nx

_MASKS = ("train_mask", "val_mask", "test_mask")


@single_precision()
def as_dataset(data: Any, *, name: str = "") -> Dataset:
    """A dataset from whatever holds a graph, or a set of them.

    Args:
        data: a dataset, a PyG ``Data``, ``HeteroData`` or list of ``Data``, or a networkx graph. Of networkx the
            attributes ``x`` and ``y`` of nodes and ``weight`` of edges are read where every node or edge has them.
        name: of the dataset; empty for that of its kind.

    Raises:
        InputError: it is none of these, or unusable.
    """
    if isinstance(data, Dataset):  # one that was made by hand is told from others by its content, too
        return data if data.checksum else replace(data, checksum=dataset_checksum(data.graph, data.labels))
    if hasattr(data, "nodes") and hasattr(data, "is_directed"):
        return _networkx_by_names(data, name or "networkx")
    if isinstance(data, HeteroData):
        return _homogeneous(data, name or "pyg")
    return from_pyg(data, name=name or "pyg")


def _networkx_by_names(graph: nx.Graph, name: str) -> Dataset:
    nodes = [values for _, values in graph.nodes(data=True)]
    ends = [values for *_, values in graph.edges(data=True)]
    x, y = (key if nodes and all(key in values for values in nodes) else None for key in ("x", "y"))
    weight = "weight" if ends and all("weight" in values for values in ends) else None
    unread = sorted({key for values in nodes for key in values} - {x, y})
    found = from_networkx(graph, x=x, y=y, weight=weight, name=name)
    notes = (
        (f"node attributes that are not read: {', '.join(unread)}; from_networkx takes their names",) if unread else ()
    )
    return replace(found, notes=(*found.notes, *notes))


def _homogeneous(data: HeteroData, name: str) -> Dataset:
    """All types as one graph; the type of an edge becomes its attribute.

    Raises:
        InputError: node types have features of different widths.
    """
    widths = {kind: store.x.shape[1] if "x" in store else None for kind, store in data.node_items()}
    if len(set(widths.values())) > 1:
        told = ", ".join(f"{kind} {width}" for kind, width in widths.items())
        raise InputError(
            f"node types have features of different widths ({told}), so they are no one graph: give all the same "
            "width, or pass one relation as a Data"
        )
    if len(data.edge_types) == 0:
        raise InputError("the HeteroData has no edges: give edge_index for a relation at least")
    flat = data.to_homogeneous(add_node_type=False, add_edge_type=True)
    kinds = torch.nn.functional.one_hot(flat.edge_type, len(data.edge_types)).float()
    flat.edge_attr = kinds if len(data.edge_types) > 1 else None
    note = (
        f"{len(data.node_types)} node types and {len(data.edge_types)} edge types as one graph; the type of an edge is "
        "its attribute"
    )
    found = from_pyg(flat, name=name)
    return replace(found, notes=(note, *found.notes))


def from_networkx(
    graph: nx.Graph,
    *,
    x: str | Sequence[str] | None = None,
    y: str | None = None,
    weight: str | None = None,
    name: str = "networkx",
) -> Dataset:
    """A node-level dataset from a networkx graph of any kind; nodes are numbered in the graph's order.

    Args:
        graph: undirected edges become two directed ones, parallel edges are merged.
        x: node attribute that holds a number or a vector, or several that hold a number each; None for degree
            features.
        y: node attribute with the label: a number, or a class name of any type; None if there are no labels.
        weight: edge attribute with the weight of an edge; edges without it weigh 1.
        name: of the dataset.

    Raises:
        InputError: a node lacks an attribute, or attributes are not finite numbers of equal length.
    """
    nodes = list(graph.nodes(data=True))
    number = {node: i for i, (node, _) in enumerate(nodes)}
    ends = list(graph.edges(data=True))
    edges = np.array([[number[u], number[v]] for u, v, _ in ends], dtype=np.int64).reshape(-1, 2).T
    weights = None if weight is None else as_numbers(np.array([v.get(weight, 1.0) for _, _, v in ends]), weight).numpy()
    if not graph.is_directed():
        edges = np.concatenate([edges, edges[::-1]], axis=1)
        weights = None if weights is None else np.concatenate([weights, weights])
    labels, notes = (None, ()) if y is None else _node_labels(nodes, y)
    arrays = Arrays(
        edge_index=edges,
        x=None if x is None else _node_features(nodes, [x] if isinstance(x, str) else list(x)),
        num_nodes=len(nodes),
        edge_weight=weights,
        notes=notes,
    )
    return build(arrays, name=name, level="node", labels=labels, metric=default_metric(labels))


def from_pyg(data: Any, *, name: str = "pyg") -> Dataset:
    """A dataset from a PyG ``Data`` (node level), or from a list of them (graph level).

    Attributes that are read: ``edge_index``, ``x``, ``y``, ``edge_attr``, ``edge_weight`` and, for a single graph,
    ``train_mask``, ``val_mask`` and ``test_mask``.

    Raises:
        InputError: an attribute is missing, of the wrong shape, or not finite.
    """
    if isinstance(data, list | tuple):
        return _collection([_values(item) for item in data], name)
    return from_arrays(_values(data), name=name)


def from_arrays(values: Mapping[str, Any], *, name: str) -> Dataset:
    """A node-level dataset from named arrays.

    Args:
        values: ``edge_index`` (2, num_edges) and ``x`` (num_nodes, dim), or ``num_nodes`` in place of ``x``; ``y``,
            ``edge_attr``, ``edge_weight`` and the three masks where there are any.
        name: of the dataset.

    Raises:
        InputError: ``edge_index`` is missing, or an array is unusable.
    """
    x, num_nodes = _features_or_count(values)
    y = values.get("y")
    labels, notes = compact(None if y is None else make_labels(_label_tensor(y), num_nodes))
    arrays = Arrays(
        edge_index=values["edge_index"],
        x=x,
        num_nodes=num_nodes,
        edge_attr=values.get("edge_attr"),
        edge_weight=values.get("edge_weight"),
        splits=_splits(values, num_nodes),
        notes=notes,
    )
    return build(arrays, name=name, level="node", labels=labels, metric=default_metric(labels))


def _values(data: Any) -> dict[str, Any]:
    if isinstance(data, Mapping):
        return dict(data)
    if not isinstance(data, Data):
        raise InputError(
            f"a {type(data).__name__} is no graph: give a torch_geometric.data.Data with edge_index and x, or a list "
            "of them"
        )
    try:
        return dict(data.to_dict())
    except Exception as error:  # one that comes from a damaged file may lack any of its parts
        raise InputError(f"the PyG Data is damaged ({type(error).__name__}: {error}): save it again") from None


def _features_or_count(values: Mapping[str, Any]) -> tuple[Any, int]:
    if values.get("edge_index") is None:
        raise InputError(f"there is no edge_index (2, num_edges); found: {', '.join(sorted(values)) or 'nothing'}")
    x = values.get("x")
    if x is not None:
        if getattr(x, "ndim", None) != 2:
            shape = tuple(getattr(x, "shape", ()))
            raise InputError(f"x must have shape (num_nodes, features), but is {type(x).__name__} of shape {shape}")
        return x, int(x.shape[0])
    if values.get("num_nodes") is not None:
        return None, _count(values["num_nodes"])
    for key in ("y", *_MASKS):
        if values.get(key) is not None and np.ndim(values[key]) > 0:
            return None, len(values[key])
    raise InputError("there is no x (num_nodes, features), and nothing else tells the number of nodes: add num_nodes")


def _count(value: Any) -> int:
    count = as_numbers(torch.as_tensor(value), "num_nodes")
    if (
        count.numel() != 1
        or count.is_floating_point()
        or not 0 <= int(count) <= psutil.virtual_memory().available // 64
    ):
        raise InputError(f"num_nodes must be one whole number that fits the memory, but is {value!r}")
    return int(count)


def _splits(values: Mapping[str, Any], num_nodes: int) -> tuple[Split, ...]:
    given = [key for key in _MASKS if values.get(key) is not None]
    if not given:
        return ()
    if "train_mask" not in given or "test_mask" not in given:
        raise InputError(f"there is {' and '.join(given)} only: give train_mask, val_mask and test_mask, or none")
    masks = {key: _mask(values[key], key, num_nodes) for key in given}
    nothing = torch.zeros(num_nodes, dtype=torch.bool)
    return mask_splits("preset", masks["train_mask"], masks.get("val_mask", nothing), masks["test_mask"])


def _mask(values: Any, key: str, num_nodes: int) -> Tensor:
    mask = as_numbers(values, key)
    if mask.dtype != torch.bool and not bool(((mask == 0) | (mask == 1)).all()):
        raise InputError(f"{key} must be true or false (or 0 and 1) for each of the {num_nodes} nodes")
    if mask.dim() == 0 or mask.shape[0] != num_nodes:
        raise InputError(f"{key} has shape {tuple(mask.shape)}, but there are {num_nodes} nodes")
    return mask.bool()


def _label_tensor(y: Any) -> Tensor:
    if isinstance(y, np.ndarray) and y.dtype.kind in "US":  # class names
        y = np.unique(y, return_inverse=True)[1]
    return as_numbers(y, "y")


def _collection(items: list[dict[str, Any]], name: str) -> Dataset:
    if not items:
        raise InputError("the list of graphs is empty")
    counts: list[int] = []
    edges: list[Tensor] = []
    for values in items:
        _, count = _features_or_count(values)
        edges.append(as_numbers(values["edge_index"], "edge_index") + sum(counts))
        counts.append(count)
    y = _stacked(items, "y")
    labels, notes = compact(None if y is None else make_labels(y, len(items)))
    arrays = Arrays(
        edge_index=torch.cat(edges, dim=1),
        x=_stacked(items, "x"),
        num_nodes=sum(counts),
        edge_attr=_stacked(items, "edge_attr"),
        edge_weight=_stacked(items, "edge_weight"),
        ptr=torch.tensor([0, *np.cumsum(counts).tolist()]),
        notes=notes,
    )
    return build(arrays, name=name, level="graph", labels=labels, metric=default_metric(labels))


def _stacked(items: list[dict[str, Any]], key: str) -> Tensor | None:
    present = [values[key] for values in items if values.get(key) is not None]
    if not present:
        return None
    if len(present) != len(items):
        raise InputError(f"{len(items) - len(present)} of {len(items)} graphs have no {key}: give it to all or none")
    tensors = [as_numbers(torch.as_tensor(value), key) for value in present]
    if key == "y":
        tensors = [tensor.reshape(1, -1) for tensor in tensors]
    try:
        return torch.cat(tensors)
    except RuntimeError:
        raise InputError(f"{key} has different widths in different graphs: {_widths(tensors)}") from None


def _widths(tensors: list[Tensor]) -> str:
    return ", ".join(map(str, sorted({tuple(tensor.shape[1:]) for tensor in tensors})))


def _node_features(nodes: list[tuple[Any, dict[str, Any]]], keys: list[str]) -> np.ndarray:
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


def _node_labels(nodes: list[tuple[Any, dict[str, Any]]], key: str) -> tuple[Labels | None, tuple[str, ...]]:
    found = []
    for node, values in nodes:
        if key not in values:
            raise InputError(f"node {node!r} has no attribute {key!r}: set it on every node, or leave out y")
        found.append(values[key])
    if all(isinstance(value, int | float | np.number | np.ndarray | list) for value in found):
        return compact(make_labels(as_numbers(np.asarray(found), key), len(found), what=key))
    names = sorted(set(found), key=str)
    index = {value: i for i, value in enumerate(names)}
    labels = make_labels(torch.tensor([index[value] for value in found]), len(found), what=key)
    return labels, (f"classes are the sorted values of {key!r}",)
