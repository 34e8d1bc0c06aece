"""Open Graph Benchmark (Hu et al., 2020, arXiv:2005.00687): its sets, and folders in its layout."""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets import categories
from gssl.datasets.assemble import Arrays, assemble
from gssl.datasets.catalog import DatasetSpec
from gssl.datasets.ogb_links import load_split, read_links
from gssl.datasets.ogb_source import WHOLE_SPLIT, OgbSource, from_folder, published
from gssl.datasets.prepare import origin_notes, prepared
from gssl.datasets.processed import Processed, read_processed
from gssl.datasets.splits import preset_split
from gssl.datasets.store import Store
from gssl.datasets.types import Dataset, LabelKind, LinkSplit, Metric, Split
from gssl.graph.sparse import SparseMatrix

_METRICS: dict[str, Metric] = {
    "acc": "accuracy",
    "rocauc": "roc_auc",
    "ap": "average_precision",
    "rmse": "rmse",
    "mae": "mae",
}
_METRICS_OF_LINKS = re.compile(r"hits@[1-9][0-9]*|mrr")
_TRAINING_EDGES = "the graph holds the training edges of OGB's split only; validation and test edges are no part of it"


def load(spec: DatasetSpec, store: Store) -> Dataset:
    """A set that OGB lists."""
    return _read(spec, published(spec.name), store)


def load_folder(folder: Path, store: Store, *, in_store: bool) -> Dataset:
    """A folder in OGB's layout with a ``meta.json``.

    Raises:
        InputError: ``meta.json`` or the files are unusable, or the task is not one that a probe can judge.
    """
    source = from_folder(folder, in_store=in_store)
    spec = DatasetSpec(
        name=source.name,
        family="ogb",
        level=source.level,
        summary="a folder in OGB's layout",
        loader="gssl.datasets.ogb_sets:load",
        kind="multiclass" if source.target == "link" else kind_of(source),
        metric=metric_of(source, folder),
        probe="Dot" if source.target == "link" else "LBFGS",
    )
    return _read(spec, source, store)


def metric_of(source: OgbSource, folder: Path) -> Metric:
    """How a set is scored, as it says itself.

    Raises:
        InputError: no probe can judge by it.
    """
    told = str(source.meta["eval metric"])
    if source.target == "link" and _METRICS_OF_LINKS.fullmatch(told):
        return told  # as it is called here, too
    if told not in _METRICS:
        raise InputError(f"{folder} is scored by {told!r}; known: {', '.join(_METRICS)}; of links hits@K and mrr, too")
    return _METRICS[told]


def kind_of(source: OgbSource) -> LabelKind:
    """What is predicted, as the set says itself."""
    if "regression" in str(source.meta["task type"]):
        return "regression"
    return "multilabel" if int(source.meta["num tasks"]) > 1 else "multiclass"


def _read(spec: DatasetSpec, source: OgbSource, store: Store) -> Dataset:
    def read(folder: Path) -> tuple[Processed, Split | LinkSplit]:
        stored = read_processed(folder / source.processed[0])
        kind = str(source.meta["split"])
        if source.target == "link":
            return stored, read_links(folder / "split" / kind, stored.edge_index, stored.num_nodes)
        return stored, read_split(folder, kind, stored.num_nodes if source.level == "node" else stored.ptr.numel() - 1)

    stored, split = prepared(source, store, read)
    links = split if isinstance(split, LinkSplit) else None
    arrays = Arrays(
        edge_index=stored.edge_index,
        x=stored.get("x"),
        y=stored.get("y"),
        num_nodes=stored.num_nodes,
        edge_attr=stored.get("edge_attr"),
        edge_weight=None if links is None else stored.get("edge_weight"),
        ptr=stored.ptr if source.level == "graph" else None,
        splits=(split,) if isinstance(split, Split) else (),
        notes=origin_notes(source, store) + ((_TRAINING_EDGES,) if links is not None else ()),
    )
    if source.name.startswith("ogbg-mol") or source.meta.get("data type") == "mol":
        arrays = _molecules(arrays, stored)
    elif source.name == "ogbn-proteins":
        arrays = _edges_to_nodes(arrays, stored)
    return replace(assemble(spec, arrays), links=links)


def read_split(folder: Path, kind: str, num_items: int) -> Split:
    """The preset split of items in ``split/<kind>/`` of a folder in OGB's layout.

    Raises:
        InputError: damaged, or ids that are no items.
    """
    whole = folder / "split" / kind / WHOLE_SPLIT
    if whole.is_file():
        return _whole_split(whole, kind, num_items)
    parts = []
    for part in ("train", "valid", "test"):
        path = folder / "split" / kind / f"{part}.csv.gz"
        try:
            with gzip.open(path, "rt", encoding="ascii") as file:
                parts.append(torch.from_numpy(np.array(file.read().split(), dtype=np.int64)))
        except (OSError, EOFError, ValueError, OverflowError, zlib.error) as error:
            raise InputError(f"{path} is no list of item ids: {error}") from None
    return preset_split(kind, num_items, *parts)


def _whole_split(path: Path, kind: str, num_items: int) -> Split:
    content = load_split(path)
    try:
        parts = [torch.as_tensor(content[part]) for part in ("train", "valid", "test")]
    except (LookupError, TypeError, ValueError) as error:
        raise InputError(f"{path} holds no ids for train, valid and test ({error}): save them with numpy") from None
    if any(part.dim() != 1 or part.is_floating_point() or part.dtype == torch.bool for part in parts):
        raise InputError(f"{path} holds more than lists of ids: give one list of whole numbers for each part")
    return preset_split(kind, num_items, *(part.long() for part in parts))


def _molecules(arrays: Arrays, stored: Processed) -> Arrays:
    x: Tensor | SparseMatrix = categories.atoms(stored.values["x"], categories.OGB)
    bonds = categories.bonds(stored.values["edge_attr"], categories.OGB)
    return replace(arrays, x=x, edge_attr=bonds, notes=(*arrays.notes, categories.NOTE), vocabulary=categories.OGB)


def _edges_to_nodes(arrays: Arrays, stored: Processed) -> Arrays:
    """ogbn-proteins has features on edges only; a node gets the mean over its edges, as in OGB's examples."""
    target, values = stored.values["edge_index"][1], stored.values["edge_attr"].float()
    total = torch.zeros(stored.num_nodes, values.shape[1]).index_add_(0, target, values)
    count = torch.bincount(target, minlength=stored.num_nodes).clamp(min=1)
    note = "node features are the means of the edge features, which are then left out"
    return replace(arrays, x=total / count.unsqueeze(1), edge_attr=None, notes=(*arrays.notes, note))
