"""Graphs of PyG, lists of them, and named arrays as datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import psutil
import scipy.sparse
import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData
from torch_geometric.data.storage import BaseStorage

from gssl.common.errors import InputError
from gssl.datasets.adjacency import with_edges
from gssl.datasets.array_names import NAMES, canonical, is_of_split, is_read, unread
from gssl.datasets.assemble import Arrays
from gssl.datasets.clean import as_numbers, check_range, clean_features, edge_ids, of_edges, weights_of_edges
from gssl.datasets.declared import NOTHING, Declared, split_off
from gssl.datasets.own import own_dataset
from gssl.datasets.own_splits import own_splits, says_split, split_of_flags, unusual
from gssl.datasets.types import Dataset
from gssl.graph.sparse import SparseMatrix

_READ = ("edge_index", "x", "y", "edge_attr", "edge_weight", "num_nodes")


def from_pyg(data: Any, *, name: str = "pyg", declared: Declared = NOTHING) -> Dataset:
    """A dataset from a PyG ``Data`` (node level), or from a list of them (graph level).

    Attributes that are read: ``edge_index``, ``x``, ``y``, ``edge_attr``, ``edge_weight``, ``num_nodes`` and splits;
    their other usual names are known too (:mod:`gssl.datasets.array_names`). Those that are not read are named in the
    notes. The graphs of a list say by ``train_mask=True`` or ``split="train"`` where they belong.

    Args:
        data: one graph, or a list of graphs; mappings of arrays serve as well.
        name: of the dataset.
        declared: what is known of the data.

    Raises:
        InputError: an attribute is missing, of the wrong shape, or not finite; of a list the message names the graph.
    """
    if isinstance(data, list | tuple):
        return _collection([attributes_of(item, f"graph {i}: ") for i, item in enumerate(data)], name, declared)
    return from_arrays(attributes_of(data), name=name, declared=declared)


def from_arrays(
    values: Mapping[str, Any], *, name: str, declared: Declared = NOTHING, others: Sequence[str] = ()
) -> Dataset:
    """A node-level dataset from named arrays.

    Args:
        values: ``edge_index`` (2, num_edges) and ``x`` (num_nodes, dim), or ``num_nodes`` in place of ``x``; ``y``,
            ``edge_attr``, ``edge_weight`` and splits where there are any, under any of their usual names. Scalars
            called ``task``, ``metric``, ``undirected`` or ``normalize`` declare these facts.
        name: of the dataset.
        declared: what is known of the data; it is stronger than what stands among the arrays.
        others: names of arrays that were there but not worth loading.

    Raises:
        InputError: ``edge_index`` is missing, an array is unusable, or what looks like a split cannot be read.
    """
    values, own = split_off(values, name)
    values, renamed = canonical(values)
    x, num_nodes = _features_or_count(values, others)
    others_too = {key: value for key, value in values.items() if key not in _READ}
    splits = {key: value for key, value in others_too.items() if is_of_split(key) or says_split(value, num_nodes)}
    preset, read = own_splits(splits, num_nodes)
    arrays = Arrays(
        edge_index=_edges(values),
        splits=preset,
        x=x,
        num_nodes=num_nodes,
        edge_attr=values.get("edge_attr"),
        edge_weight=values.get("edge_weight"),
        notes=(*renamed, *unusual(read), *unread((*values, *others), (*_READ, *read))),
    )
    return own_dataset(arrays, values.get("y"), declared.over(own), name=name, level="node")


def attributes_of(data: Any, where: str = "") -> dict[str, Any]:
    """The attributes of a graph that have a value; ``adj_t`` gives edges where there is no ``edge_index``.

    Args:
        data: a ``Data`` of any version of PyG, what it stores its attributes in, or a mapping.
        where: how messages begin.

    Raises:
        InputError: it is no graph, or damaged.
    """
    if isinstance(data, HeteroData):
        raise InputError(f"{where}a HeteroData is no graph with one kind of nodes: give data.to_homogeneous()")
    if not isinstance(data, Mapping | Data | BaseStorage):
        raise InputError(f"{where}{_how_to_give(data)}")
    try:
        values = with_edges({key: value for key, value in _parts_of(data).items() if value is not None})
        _refuse_sparse(values)
        return values
    except InputError as error:
        raise InputError(f"{where}{error}") from None
    except Exception as error:  # one that comes from a damaged file may lack any of its parts
        raise InputError(f"{where}the PyG Data is damaged ({type(error).__name__}: {error}): save it again") from None


def _how_to_give(data: Any) -> str:
    """What to say of an object that is no graph of PyG, with the line that makes it one."""
    kind = type(data).__name__
    if hasattr(data, "nodes") and hasattr(data, "is_directed"):
        return (
            f"a {kind} of networkx cannot stand in a list: give [torch_geometric.utils.from_networkx(graph, "
            "group_node_attrs=['x']) for graph in graphs], or without group_node_attrs where nodes have no features"
        )
    if scipy.sparse.issparse(data):
        return (
            f"a {kind} is a matrix without features and labels: give torch_geometric.data.Data(edge_index="
            "torch_geometric.utils.from_scipy_sparse_matrix(matrix)[0], x=x, y=y)"
        )
    return (
        f"a {kind} is no graph: give a torch_geometric.data.Data with edge_index and x, a list of them, or a graph of "
        "networkx"
    )


def _refuse_sparse(values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        may_be = key == "x" or key in NAMES["x"]
        if isinstance(value, Tensor) and value.layout is not torch.strided and is_read(key) and not may_be:
            raise InputError(f"{key} is a sparse tensor: give {key}.to_dense()")


def _parts_of(data: Any) -> dict[str, Any]:
    if isinstance(data, Mapping) and not isinstance(data, BaseStorage):
        return dict(data)
    if isinstance(data, BaseStorage) or "_store" in vars(data):
        return dict(data.to_dict())
    # Before version 2, PyG kept attributes on the object itself.
    parts = vars(data)
    count = parts.get("__num_nodes__")
    return {"num_nodes": count} | {key: value for key, value in parts.items() if not key.startswith("_")}


def _features_or_count(
    values: Mapping[str, Any], others: Sequence[str] = (), *, of_list: bool = False
) -> tuple[Any, int]:
    """Features and number of nodes; labels and masks tell it only where the items are nodes."""
    if values.get("edge_index") is None:
        found = ", ".join(sorted((*values, *others))) or "nothing"
        raise InputError(f"there is no edge_index (2, num_edges); found: {found}")
    x = values.get("x")
    if x is not None:
        if not isinstance(x, SparseMatrix) and getattr(x, "ndim", None) != 2:
            shape = tuple(getattr(x, "shape", ()))
            raise InputError(f"x must have shape (num_nodes, features), but is {type(x).__name__} of shape {shape}")
        count = int(x.shape[0])
        if values.get("num_nodes") is not None and (stated := _count(values["num_nodes"])) != count:
            raise InputError(f"x has {count} rows, but num_nodes is {stated}: give one row for each node")
        return x, count
    if values.get("num_nodes") is not None:
        return None, _count(values["num_nodes"])
    for key in () if of_list else ("y", *(key for key in values if key.endswith("_mask"))):
        if values.get(key) is not None and np.ndim(values[key]) > 0:
            return None, len(values[key])
    raise InputError("there is no x (num_nodes, features), and nothing else tells the number of nodes: set num_nodes")


def _edges(values: Mapping[str, Any]) -> Tensor:
    return edge_ids(values["edge_index"])


def _count(value: Any) -> int:
    count = as_numbers(torch.as_tensor(value), "num_nodes")
    if (
        count.numel() != 1
        or count.is_floating_point()
        or not 0 <= int(count) <= psutil.virtual_memory().available // 64
    ):
        raise InputError(f"num_nodes must be one whole number that fits the memory, but is {value!r}")
    return int(count)


def _collection(items: list[dict[str, Any]], name: str, declared: Declared) -> Dataset:
    if not items:
        raise InputError("the list of graphs is empty")
    named = [canonical(values) for values in items]
    items = [values for values, _ in named]
    counts, edges = [0], []
    for number, values in enumerate(items):
        try:
            _, count = _features_or_count(values, of_list=True)
            edges.append(_checked_edges(values, count) + counts[-1])
        except InputError as error:
            raise InputError(f"graph {number}: {error}") from None
        counts.append(count + counts[-1])
    others = [{key: value for key, value in values.items() if key not in _READ} for values in items]
    flags, told = split_of_flags(others)
    splits, _ = own_splits(flags, len(items))
    keys = {key for values in items for key in values if key not in told}
    y = [values.get("y") for values in items]
    given = None if all(label is None for label in y) else y
    try:
        arrays = Arrays(
            edge_index=torch.cat(edges, dim=1),
            x=_stacked(items, "x"),
            num_nodes=counts[-1],
            edge_attr=_stacked(items, "edge_attr"),
            edge_weight=_stacked(items, "edge_weight"),
            ptr=torch.tensor(counts),
            splits=splits,
            notes=(
                *dict.fromkeys(note for _, notes in named for note in notes),
                *unusual(told),
                *unread(keys, _READ),
            ),
        )
        return own_dataset(arrays, given, declared, name=name, level="graph")
    except InputError as error:
        raise _of_its_graph(items, error) from None


def _of_its_graph(items: Sequence[Mapping[str, Any]], error: InputError) -> InputError:
    """The error with the number of the first graph whose values are to blame; as it is if none is."""
    for number, values in enumerate(items):
        try:
            _check_values(values)
        except InputError as own:
            return InputError(f"graph {number}: {own}")
    return error


def _checked_edges(values: Mapping[str, Any], num_nodes: int) -> Tensor:
    """The edges of one graph of a list.

    Raises:
        InputError: an id beyond the graph, or attributes of another number of edges.
    """
    edges = _edges(values)
    check_range(edges, num_nodes)
    for key in ("edge_attr", "edge_weight"):
        shape = tuple(np.shape(values[key])) if values.get(key) is not None else (edges.shape[1],)
        if shape[:1] != (edges.shape[1],):
            raise InputError(f"{key} has shape {shape}, but there are {edges.shape[1]} edges")
    return edges


def _check_values(values: Mapping[str, Any]) -> None:
    """Refuse features, weights and attributes of edges of one graph that no graph may have.

    Raises:
        InputError: they are no finite numbers, or a weight is negative.
    """
    if isinstance(x := values.get("x"), np.ndarray | Tensor):
        clean_features(x, "x")
    count = int(np.shape(values["edge_index"])[1])
    if isinstance(attributes := values.get("edge_attr"), np.ndarray | Tensor):
        of_edges(attributes, count, "edge_attr")
    if isinstance(weights := values.get("edge_weight"), np.ndarray | Tensor):
        weights_of_edges(weights, count)


def _stacked(items: list[dict[str, Any]], key: str) -> Tensor | None:
    present = [values[key] for values in items if values.get(key) is not None]
    if not present:
        return None
    if len(present) != len(items):
        missing = next(i for i, values in enumerate(items) if values.get(key) is None)
        raise InputError(
            f"{len(items) - len(present)} of {len(items)} graphs have no {key}, graph {missing} is the first: give it "
            "to all or none"
        )
    tensors = [as_numbers(torch.as_tensor(value), key) for value in present]
    try:
        return torch.cat(tensors)
    except RuntimeError:
        first = tensors[0].shape[1:]
        other = next((i for i, tensor in enumerate(tensors) if tensor.shape[1:] != first), 0)
        raise InputError(
            f"{key} has different widths: {tuple(first)} in graph 0 and {tuple(tensors[other].shape[1:])} in graph "
            f"{other}"
        ) from None
