"""Graphs on other hosts, through PyG's remote backends (``torch_geometric.data.FeatureStore`` and ``GraphStore``).

PyG's stores give features by rows, and the edges of a type as a whole. So the edges are fetched once, when the dataset
is made, and features by one request for each batch; no store's own sampler is asked.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch_geometric.data import FeatureStore, GraphStore
from torch_geometric.data.feature_store import TensorAttr

from gssl.common.errors import InputError, StorageError, unknown
from gssl.datasets.assemble import default_metric
from gssl.datasets.checksums import dataset_checksum
from gssl.datasets.clean import clean_edges
from gssl.datasets.declared import declared as facts_of
from gssl.datasets.labels import OwnLabels, labelled_only, own_labels
from gssl.datasets.own_splits import own_splits
from gssl.datasets.types import Dataset
from gssl.graph.precision import single_precision
from gssl.graph.remote import remote_rows
from gssl.graph.storage import Graph

T = TypeVar("T")

_JUDGED = ("y", "train_mask", "val_mask", "test_mask")


@single_precision()
def from_stores(
    feature_store: FeatureStore,
    graph_store: GraphStore,
    *,
    name: str,
    version: str,
    node_type: str | None = None,
    edge_type: tuple[str, str, str] | None = None,
    features: str = "x",
    declared: Mapping[str, Any] | None = None,
) -> Dataset:
    """A dataset whose features stay in a store, for :func:`gssl.run`, :func:`gssl.sample` and :func:`gssl.embed`.

    Args:
        feature_store: features of nodes, and ``y`` and masks (``train_mask`` and so on) where it has them.
        graph_store: edges; it may be the same object, as a PyG ``HeteroData`` is both.
        name: of the dataset.
        version: changes whenever the features do. They are not read as a whole, so that the checksum of the dataset
            covers edges, labels and this text alone.
        node_type: group of the features; None where there is only one.
        edge_type: which edges, from nodes of the type to nodes of the type; None where there is only one.
        features: name of the features.
        declared: facts: ``task``, ``metric`` and ``undirected``, as for data of one's own.

    Raises:
        InputError: the stores have no such features or edges, or something else than numbers.
        StorageError: a store does not answer.
    """
    if not name or not version:
        raise InputError("name and version must not be empty: they tell results on other data apart")
    facts = facts_of(declared or {}, "declared")
    others = [key for key in facts.mapping() if key not in ("task", "metric", "undirected")]
    if others:
        raise InputError(f"{', '.join(others)} cannot be declared of features that stay where they are")
    place = f"{type(feature_store).__name__} of {name}"
    attrs = [_without_types(attr) for attr in _asked(place, feature_store.get_all_tensor_attrs)]
    wanted = _attribute(attrs, node_type, features, place)
    rows = FeatureRows(feature_store, wanted, place)
    block, cleaned = clean_edges(
        _edges(graph_store, edge_type, wanted.group_name, name), rows.shape[0], undirected=bool(facts.undirected)
    )
    graph = Graph(block, remote_rows(rows, *rows.shape, place))
    judged = _judged(feature_store, attrs, wanted, place)
    y = judged.pop("y", None)
    found = OwnLabels(None) if y is None else own_labels(y, rows.shape[0], kind=facts.task)
    splits, _ = own_splits(judged, rows.shape[0])
    splits, left = labelled_only(splits, found.labels, refuse=found.by_minus_one)
    content = Graph(block, torch.empty(rows.shape[0], 0))
    digest = f"{dataset_checksum(content, found.labels)} {name} {version} {rows.shape}"
    said = (
        f"features are read row by row from {place}; the checksum covers edges, labels and the version {version!r}, "
        "and not their numbers",
    )
    return Dataset(
        name=name,
        level="node",
        graph=graph,
        labels=found.labels,
        splits=splits,
        metric=facts.metric or default_metric(found.labels),
        notes=(*said, *found.notes, *left, *cleaned),
        checksum=hashlib.sha256(digest.encode()).hexdigest()[:16],
        declared=facts.mapping(),
    )


class FeatureRows:
    """Reads rows of one attribute of a store.

    Args:
        store: where they are.
        attr: which; without an index.
        place: how messages name the store.

    Attributes:
        shape: (num_nodes, dim).

    Raises:
        InputError: it is no matrix.
    """

    def __init__(self, store: FeatureStore, attr: TensorAttr, place: str) -> None:
        self._store, self._attr, self._place = store, attr, place
        size = tuple(_asked(place, lambda: store.get_tensor_size(_at(attr, None))) or ())
        if len(size) != 2 or min(size) < 1:
            raise InputError(f"{attr.attr_name} of {place} must have shape (num_nodes, features), but has shape {size}")
        self.shape = (int(size[0]), int(size[1]))

    def __call__(self, index: Tensor) -> Tensor:
        """Rows ``index``, in one request."""
        found = _asked(self._place, lambda: self._store.get_tensor(_at(self._attr, index)))
        return _tensor(found, self._attr, self._place)


def _attribute(attrs: Iterable[TensorAttr], node_type: str | None, features: str, place: str) -> TensorAttr:
    named = [attr for attr in attrs if attr.attr_name == features and not isinstance(attr.group_name, tuple)]
    if not named:
        raise InputError(f"{place} has no features called {features!r}: give features='...', one of {_names(attrs)}")
    types = {str(attr.group_name): attr for attr in named}
    if node_type is None and len(types) == 1:
        return named[0]
    if node_type is None:
        raise InputError(f"{place} has several types of nodes: give node_type, one of {', '.join(sorted(types))}")
    if node_type not in types:
        raise unknown("node_type", node_type, types)
    return types[node_type]


def _names(attrs: Iterable[TensorAttr]) -> str:
    return ", ".join(sorted({str(attr.attr_name) for attr in attrs})) or "none"


def _edges(store: GraphStore, edge_type: tuple[str, str, str] | None, group: Any, name: str) -> Tensor:
    """Edges of one type, shape (2, num_edges), int64, sources in row 0."""
    place = f"{type(store).__name__} of {name}"
    types = list(dict.fromkeys(attr.edge_type for attr in _asked(place, store.get_all_edge_attrs)))
    within = [kind for kind in types if kind is None or group is None or (kind[0], kind[2]) == (group, group)]
    if edge_type is not None and edge_type not in types:
        raise unknown("edge_type", " ".join(edge_type), [" ".join(kind) for kind in types if kind is not None])
    if edge_type is not None and edge_type not in within:
        raise InputError(f"edges of type {edge_type} lead to nodes of another type than {group!r}, which have features")
    if edge_type is None and len(within) != 1:
        told = ", ".join(map(str, within)) or f"none, but {', '.join(map(str, types)) or 'no edges'}"
        raise InputError(f"give edge_type, the edges from {group!r} to {group!r}: {place} has {told}")
    kind = within[0] if edge_type is None else edge_type
    found = _asked(place, lambda: store.coo(None if kind is None else [kind]))
    row, col = (part if kind is None else part[kind] for part in found[:2])
    return torch.stack([torch.as_tensor(row).cpu().long(), torch.as_tensor(col).cpu().long()])


def _judged(store: FeatureStore, attrs: Iterable[TensorAttr], like: TensorAttr, place: str) -> dict[str, Any]:
    """Labels and masks of the nodes, as a whole: they are small beside the features."""
    wanted = [a for a in attrs if a.group_name == like.group_name and a.attr_name in _JUDGED]
    if not wanted:
        return {}
    found = _asked(place, lambda: store.multi_get_tensor([_at(attr, None) for attr in wanted]))
    return {str(attr.attr_name): _tensor(value, attr, place) for attr, value in zip(wanted, found, strict=True)}


def _at(attr: TensorAttr, index: Tensor | None) -> TensorAttr:
    """The attribute at some rows; None for all of them."""
    asked = copy.copy(attr)
    asked.index = index
    return asked


def _without_types(attr: TensorAttr) -> TensorAttr:
    """The attribute with None for its group where the store knows none, as a ``Data`` has it."""
    known = copy.copy(attr)
    if not known.is_set("group_name"):
        known.group_name = None
    return known


def _tensor(value: Any, attr: TensorAttr, place: str) -> Tensor:
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"{place} gave a {type(value).__name__} for {attr.attr_name}, which is no tensor") from None


def _asked(place: str, ask: Callable[[], T]) -> T:
    try:
        return ask()
    except (InputError, MemoryError):
        raise
    except Exception as error:  # a store may fail in any way that its network does
        raise StorageError(
            f"{place} does not answer ({type(error).__name__}: {error}); once it does, the same call goes on from the "
            "last checkpoint"
        ) from error
