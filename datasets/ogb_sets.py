"""Open Graph Benchmark (Hu et al., 2020, arXiv:2005.00687): its node and graph sets, and folders in its layout."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets import categories
from gssl.datasets.assemble import Arrays, assemble
from gssl.datasets.catalog import DatasetSpec
from gssl.datasets.ogb_source import OgbSource, from_folder, published
from gssl.datasets.prepare import origin_notes, prepared
from gssl.datasets.splits import preset_split
from gssl.datasets.store import Store
from gssl.datasets.stored import Stored, read_stored
from gssl.datasets.types import Dataset, LabelKind, Metric, Split
from gssl.graph.sparse import SparseMatrix

_METRICS: dict[str, Metric] = {
    "acc": "accuracy",
    "rocauc": "roc_auc",
    "ap": "average_precision",
    "rmse": "rmse",
    "mae": "mae",
}


def load(spec: DatasetSpec, store: Store) -> Dataset:
    """A set that OGB lists."""
    return _read(spec, published(spec.name, spec.level), store)


def load_folder(folder: Path, store: Store, *, in_store: bool) -> Dataset:
    """A folder in OGB's layout with a ``meta.json``.

    Raises:
        InputError: ``meta.json`` or the files are unusable, or the task is not one that a probe can judge.
    """
    source = from_folder(folder, in_store=in_store)
    told, metric = str(source.meta["task type"]), str(source.meta["eval metric"])
    if metric not in _METRICS:
        raise InputError(f"{folder} is scored by {metric!r}; known: {', '.join(_METRICS)}")
    kind: LabelKind = "regression" if "regression" in told else "multiclass"
    if kind == "multiclass" and int(source.meta["num tasks"]) > 1:
        kind = "multilabel"
    spec = DatasetSpec(
        name=source.name,
        family="ogb",
        level=source.level,
        summary="a folder in OGB's layout",
        loader="gssl.datasets.ogb_sets:load",
        kind=kind,
        metric=_METRICS[metric],
    )
    return _read(spec, source, store)


def _read(spec: DatasetSpec, source: OgbSource, store: Store) -> Dataset:
    def read(folder: Path) -> tuple[Stored, Split]:
        stored = read_stored(folder / source.processed[0])
        items = stored.num_nodes if source.level == "node" else stored.ptr.numel() - 1
        return stored, _split(folder, str(source.meta["split"]), items)

    stored, split = prepared(source, store, read)
    arrays = Arrays(
        edge_index=stored.edge_index,
        x=stored.get("x"),
        y=stored.get("y"),
        num_nodes=stored.num_nodes,
        edge_attr=stored.get("edge_attr"),
        ptr=stored.ptr if source.level == "graph" else None,
        splits=(split,),
        notes=origin_notes(source, store),
    )
    if source.name.startswith("ogbg-mol") or source.meta.get("data type") == "mol":
        arrays = _molecules(arrays, stored)
    elif source.name == "ogbn-proteins":
        arrays = _edges_to_nodes(arrays, stored)
    return assemble(spec, arrays)


def _split(folder: Path, kind: str, num_items: int) -> Split:
    parts = []
    for part in ("train", "valid", "test"):
        path = folder / "split" / kind / f"{part}.csv.gz"
        try:
            with gzip.open(path, "rt", encoding="ascii") as file:
                parts.append(torch.from_numpy(np.array(file.read().split(), dtype=np.int64)))
        except (OSError, EOFError, ValueError) as error:
            raise InputError(f"{path} is no list of item ids: {error}") from None
    return preset_split(kind, num_items, *parts)


def _molecules(arrays: Arrays, stored: Stored) -> Arrays:
    x: Tensor | SparseMatrix = categories.atoms(stored.values["x"], categories.OGB_ATOM)
    bonds = categories.bonds(stored.values["edge_attr"], categories.OGB_BOND)
    return replace(arrays, x=x, edge_attr=bonds, notes=(*arrays.notes, categories.NOTE))


def _edges_to_nodes(arrays: Arrays, stored: Stored) -> Arrays:
    """ogbn-proteins has features on edges only; a node gets the mean over its edges, as in OGB's examples."""
    target, values = stored.values["edge_index"][1], stored.values["edge_attr"].float()
    total = torch.zeros(stored.num_nodes, values.shape[1]).index_add_(0, target, values)
    count = torch.bincount(target, minlength=stored.num_nodes).clamp(min=1)
    note = "node features are the means of the edge features, which are then left out"
    return replace(arrays, x=total / count.unsqueeze(1), edge_attr=None, notes=(*arrays.notes, note))
