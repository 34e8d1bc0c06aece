"""What ``torch.save`` and PyG's ``InMemoryDataset`` write: graphs, batches, lists and ``processed/data.pt``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.data.data import BaseData

from gssl.common.errors import InputError
from gssl.datasets.collated import separated
from gssl.datasets.convert import UNKNOWN_BOUNDS, as_dataset
from gssl.datasets.declared import Declared
from gssl.datasets.pickles import load_tensors
from gssl.datasets.pyg_graphs import attributes_of
from gssl.datasets.stand_ins import SavedBatch
from gssl.datasets.types import Dataset

_HETERO = (
    "several HeteroData side by side cannot be read: save a list of graphs with one kind of nodes, torch.save("
    "[data.to_homogeneous() for data in dataset], 'graphs.pt')"
)


def read(path: Path, declared: Declared) -> Dataset:
    """A dataset from a file of ``torch.save``; nothing in it is run.

    Raises:
        InputError: it is damaged, or holds no graph.
    """
    content, notes = _without_label_of_all(_opened(load_tensors(path)))
    found = as_dataset(content, name=path.stem, declared=declared)
    return replace(found, notes=(*notes, *found.notes))


def _without_label_of_all(content: Any) -> tuple[Any, tuple[str, ...]]:
    """The only graph of a set, whose items are its nodes, without a label that is the graph's own."""
    if not isinstance(content, dict) or "edge_index" not in content:
        return content, ()
    y, x = content.get("y"), content.get("x")
    if not isinstance(y, Tensor) or not isinstance(x, Tensor) or y.numel() != 1 or x.shape[:1] == (1,):
        return content, ()
    note = "the only graph of the file has a single y, which is its own and not its nodes': left out"
    return {key: value for key, value in content.items() if key != "y"}, (note,)


def _opened(content: Any) -> Any:
    """A graph or a list of graphs; anything else comes back as it is."""
    if isinstance(content, SavedBatch):
        return _of_batch(vars(content))
    if isinstance(content, HeteroData):
        return _of_hetero(content, None)
    if not isinstance(content, tuple) or len(content) < 2 or not _are_slices(content[1]):
        return content
    whole, slices, *rest = content
    if HeteroData in rest or isinstance(whole, HeteroData):
        return _of_hetero(whole, slices)
    if not isinstance(whole, Mapping | BaseData):
        return content
    values = attributes_of(whole)
    if not slices:
        return values
    graphs = separated(values, slices)
    # PyG keeps one graph with its offsets, too, and takes it for a single graph then.
    return graphs[0] if len(graphs) == 1 else graphs


def _are_slices(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and not _is_graph(value))


def _is_graph(value: Mapping[Any, Any]) -> bool:
    """Whether a mapping holds the edges of a graph rather than where those of each graph begin."""
    return getattr(value.get("edge_index"), "ndim", 1) == 2


def _of_hetero(whole: Any, slices: Any) -> HeteroData:
    if slices:
        raise InputError(_HETERO)
    try:
        return HeteroData.from_dict(whole.to_dict() if isinstance(whole, HeteroData) else whole)
    except Exception as error:  # a damaged file may lack any of its parts
        raise InputError(f"the HeteroData is damaged ({type(error).__name__}: {error}): save it again") from None


def _of_batch(parts: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "_node_store_dict" in parts:
        raise InputError(_HETERO)
    store = parts.get("_store")
    told = getattr(store, "__dict__", {})
    slices, increments = told.get("_slice_dict"), told.get("_inc_dict")
    if store is None or not isinstance(slices, dict) or not isinstance(increments, dict):
        raise InputError(UNKNOWN_BOUNDS)
    return separated(attributes_of(store), slices, increments)
