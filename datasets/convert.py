"""A dataset from whatever holds a graph in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch_geometric.data import Batch, HeteroData
from torch_geometric.data import Dataset as PygDataset
from torch_geometric.data.data import BaseData

from gssl.common.errors import InputError
from gssl.datasets.checksums import dataset_checksum
from gssl.datasets.declared import NOTHING, Declared
from gssl.datasets.hetero_graphs import from_hetero
from gssl.datasets.networkx_graphs import by_usual_names, from_networkx
from gssl.datasets.pyg_graphs import from_arrays, from_pyg
from gssl.datasets.types import Dataset
from gssl.graph.precision import single_precision

UNKNOWN_BOUNDS = (
    "the Batch does not say where its graphs begin, as it was not made by Batch.from_data_list: give the list of "
    "graphs that it was made from"
)

__all__ = ["as_dataset", "from_arrays", "from_networkx", "from_pyg"]


@single_precision()
def as_dataset(data: Any, *, name: str = "", declared: Declared = NOTHING) -> Dataset:
    """A dataset from whatever holds a graph, or a set of them.

    Args:
        data: a dataset, a PyG ``Data``, ``HeteroData``, ``Batch``, ``Dataset`` or list of ``Data``, or a networkx
            graph, of which the attributes ``x`` and ``y`` of nodes and ``weight`` of edges are read.
        name: of the dataset; empty for that of its kind.
        declared: what is known of data of the user's own.

    Raises:
        InputError: it is none of these, or unusable; facts were declared about a dataset that states them itself.
    """
    if isinstance(data, Dataset):  # one that was made by hand is told from others by its content, too
        if declared != NOTHING:
            raise InputError(
                f"the dataset {data.name} says itself what it is: leave out {', '.join(declared.mapping())}"
            )
        return data if data.checksum else replace(data, checksum=dataset_checksum(data.graph, data.labels))
    return _reader(data)(data, name=name or ("networkx" if is_networkx(data) else "pyg"), declared=declared)


def _reader(data: Any) -> Callable[..., Dataset]:
    if isinstance(data, HeteroData):
        return from_hetero
    if isinstance(data, Batch):
        return _from_batch
    if isinstance(data, PygDataset):
        return _from_dataset
    if is_networkx(data):
        return by_usual_names
    return from_pyg


def is_networkx(data: Any) -> bool:
    """Whether this is a graph of networkx, which is not imported for the question."""
    return not isinstance(data, BaseData) and hasattr(data, "nodes") and hasattr(data, "is_directed")


def _from_batch(data: Batch, *, name: str, declared: Declared) -> Dataset:
    try:
        graphs = data.to_data_list()
    except RuntimeError:  # PyG's, where a Batch was put together by hand
        raise InputError(UNKNOWN_BOUNDS) from None
    return from_pyg(graphs, name=name, declared=declared)


def _from_dataset(data: PygDataset, *, name: str, declared: Declared) -> Dataset:
    graphs = list(data)
    if len(graphs) == 1 and isinstance(graphs[0], HeteroData):
        return from_hetero(graphs[0], name=name, declared=declared)
    return from_pyg(graphs[0] if len(graphs) == 1 else graphs, name=name, declared=declared)
