"""OGB's raw downloads as they are unpacked: ``raw/*.csv.gz`` (ogbn-products) or ``raw/data.npz`` (ogbn-papers100M).

The formats are those that ``ogb.io.read_graph_raw`` of the ogb package reads, which loads them as a whole.
"""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gssl.common.errors import InputError, unknown
from gssl.datasets.catalog import find_spec
from gssl.datasets.imported.raw import Pieces, RawGraph
from gssl.datasets.imported.streams import ArrayStream, table_rows
from gssl.datasets.labels import labelled_only, make_labels
from gssl.datasets.ogb_sets import kind_of, metric_of, read_split
from gssl.datasets.ogb_source import OgbSource, from_folder, published
from gssl.datasets.store import META
from gssl.datasets.types import Labels, Split

_DATA = "data.npz"
_READ = ("node_feat", "edge_index", "num_nodes_list", "num_edges_list")


def is_raw(folder: Path) -> bool:
    """Whether a folder looks like an unpacked download of OGB's."""
    return (folder / "raw" / _DATA).is_file() or (folder / "raw" / "edge.csv.gz").is_file()


def read_raw(folder: Path, name: str | None = None) -> RawGraph:
    """The graph of a download.

    Args:
        folder: unpacked, with ``raw/`` and ``split/``.
        name: as OGB calls it; None for what the folder's own ``meta.json`` or its name says.

    Raises:
        InputError: it is not known which set it is, a file is missing or damaged, or the set is no single graph with
            features of nodes alone.
    """
    source = _source(folder, name)
    spec = find_spec(source.name)
    missing = [file for file in source.raw if not (folder / file).is_file()]
    if missing:
        raise InputError(f"the folder {folder} lacks {', '.join(missing)} of {source.name}: add them")
    if source.target != "node" or str(source.meta["has_edge_attr"]) == "True":
        raise InputError(f"{source.name} cannot be imported: only single graphs with labels and features of nodes can")
    graph = (_binary if source.meta["binary"] == "True" else _tables)(folder, source)
    return replace(
        graph,
        metric=metric_of(source, folder) if spec is None else spec.metric,
        probe="LBFGS" if spec is None else spec.probe,
        inverse=source.meta["add_inverse_edge"] == "True",
        undirected=spec is not None and spec.undirected,
        vocabulary=source.name,
        splits=lambda labels: _splits(folder, source, graph.num_nodes, labels),
        files=tuple(folder / file for file in source.raw),
    )


def _source(folder: Path, name: str | None) -> OgbSource:
    if (folder / META).is_file():
        source = from_folder(folder, in_store=False)
        return source if name is None else replace(source, name=name)
    known = _downloads()
    found = name or next((n for n, download in known.items() if folder.name in (download, n.replace("-", "_"))), None)
    if found is None:
        raise InputError(
            f"nothing says which of OGB's sets is in {folder}: give --name ogbn-products, ogbn-papers100M or another, "
            f"or write the set's description to {META}"
        )
    if found not in known:
        raise unknown("set of OGB's nodes", found, known)
    return published(found)


def _downloads() -> Mapping[str, str]:
    """OGB's sets of nodes, and the folder that the download of each unpacks into."""
    package = importlib.util.find_spec("ogb")
    if package is None or not package.submodule_search_locations:
        raise InputError("OGB sets need the ogb package: pip install ogb")
    master = Path(package.submodule_search_locations[0]) / "nodeproppred" / "master.csv"
    with master.open(encoding="utf-8", newline="") as file:
        rows = {row.pop(""): row for row in csv.DictReader(file)}
    return rows["download_name"]


def _tables(folder: Path, source: OgbSource) -> RawGraph:
    raw = folder / "raw"
    num_nodes, num_edges = (_only_count(raw / f"num-{kind}-list.csv.gz") for kind in ("node", "edge"))
    features = raw / "node-feat.csv.gz"
    if not features.is_file():
        raise _no_features(source.name)
    first = next(table_rows(features), None)
    if first is None:
        raise InputError(f"{features} holds no row: provide it again")
    label_rows = _rows_of(raw / "node-label.csv.gz")
    return _graph(
        source,
        num_nodes,
        num_edges,
        first.shape[1],
        edges=lambda: (rows.T for rows in table_rows(raw / "edge.csv.gz", 2)),
        features=lambda: table_rows(features, first.shape[1]),
        label_rows=label_rows,
    )


def _binary(folder: Path, source: OgbSource) -> RawGraph:
    raw = folder / "raw"
    data = raw / _DATA
    edges = ArrayStream(data, "edge_index")
    try:
        features = ArrayStream(data, "node_feat")
    except InputError as error:
        raise _no_features(source.name) if "no array node_feat" in str(error) else error from None
    if len(features.shape) != 2:
        raise InputError(f"{features.what} must have shape (num_nodes, features), but has shape {features.shape}")
    for name, wanted in (("num_nodes_list", features.shape[0]), ("num_edges_list", edges.shape[-1])):
        found = np.concatenate([part.reshape(-1) for part in ArrayStream(data, name).rows()])
        if found.tolist() != [wanted]:
            raise InputError(f"{data}: {name} is {found[:3].tolist()}, but there is one graph with {wanted}")
    labels = ArrayStream(raw / "node-label.npz", "node_label")
    return _graph(
        source,
        features.shape[0],
        edges.shape[1],
        features.shape[1],
        edges=edges.edges,
        features=features.rows,
        label_rows=labels.rows,
    )


def _graph(
    source: OgbSource,
    num_nodes: int,
    num_edges: int,
    in_dim: int,
    *,
    edges: Pieces,
    features: Pieces,
    label_rows: Pieces,
) -> RawGraph:
    return RawGraph(
        name=source.name,
        num_nodes=num_nodes,
        num_edges=num_edges,
        in_dim=in_dim,
        edges=edges,
        features=features,
        labels=lambda: (_labels(label_rows(), num_nodes, source), ()),
        splits=lambda labels: ((), ()),
        notes=_unread(source.meta),
    )


def _labels(pieces: Iterator[np.ndarray], num_nodes: int, source: OgbSource) -> Labels:
    """Labels piece by piece, since a conversion of all at once would take several times their size."""
    kind = kind_of(source)
    what = f"the labels of {source.name}"
    found = [make_labels(torch.from_numpy(np.array(rows)), len(rows), kind=kind, what=what) for rows in pieces]
    parts = [part for part in found if part is not None]
    total = sum(len(part.y) for part in parts)
    if total != num_nodes:
        raise InputError(f"there are {num_nodes} nodes, but {total} labels in {source.name}: provide them again")
    return Labels(torch.cat([part.y for part in parts]), kind, max(part.num_classes for part in parts))


def _splits(
    folder: Path, source: OgbSource, num_nodes: int, labels: Labels | None
) -> tuple[tuple[Split, ...], tuple[str, ...]]:
    split = read_split(folder, str(source.meta["split"]), num_nodes)
    return labelled_only((split,), labels)


def _rows_of(path: Path) -> Pieces:
    return lambda: table_rows(path)


def _only_count(path: Path) -> int:
    counts = np.concatenate([rows.reshape(-1) for rows in table_rows(path)] or [np.empty(0, np.int64)])
    if len(counts) != 1 or counts.dtype.kind not in "iu" or counts[0] < 0:
        raise InputError(f"{path} must hold the size of one graph, but holds {counts[:3].tolist()}")
    return int(counts[0])


def _unread(meta: Mapping[str, Any]) -> tuple[str, ...]:
    names = [str(meta[f"additional {kind} files"]) for kind in ("node", "edge")]
    others = [name for name in names if name != "None"]
    return (f"not read: {', '.join(others)}",) if others else ()


def _no_features(name: str) -> InputError:
    return InputError(f"{name} has no features of nodes, and one-hot degrees are not made here: add node features")
