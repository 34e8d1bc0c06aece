"""Readouts: node embeddings to graph embeddings, through PyG's aggregation (torch_scatter speeds it up)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch_geometric.utils import segment

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch


def readout(nodes: Tensor, batch: MiniBatch, reduce: Literal["sum", "mean", "max"]) -> Tensor:
    """Reduce the nodes of each graph.

    Args:
        nodes: shape (num_nodes, dim), float.
        batch: a batch of graphs.
        reduce: how; a graph without nodes gives zeros.

    Returns:
        Shape (num_graphs, dim).

    Raises:
        InputError: the batch is not one of graphs.
    """
    if batch.graph_ptr is None:
        raise InputError("a readout needs a batch of graphs, but the batch holds the nodes of one graph")
    out: Tensor = segment(nodes, batch.graph_ptr, reduce=reduce)
    return out
