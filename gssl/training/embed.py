"""Frozen embeddings of every item of a dataset."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch_geometric.nn import GraphNorm

from gssl.common.errors import TrainingError
from gssl.datasets.types import Dataset
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.models.inference import embed_layerwise
from gssl.models.stack import StackedEncoder

_GRAPHS_AT_ONCE = 512
_NODES_AT_ONCE = 1 << 18  # larger graphs are embedded layer by layer, which holds less


def embed_dataset(method: Method, dataset: Dataset) -> Tensor:
    """Embeddings of all nodes or graphs, in their order.

    Args:
        method: in evaluation mode, on the device that does the work.
        dataset: what it embeds.

    Returns:
        Shape (num_items, dim), float32, on the CPU.

    Raises:
        TrainingError: a number in them is not finite.
    """
    encoder = method.encoder
    if dataset.level == "node" and dataset.num_items > _NODES_AT_ONCE and _layerwise(method):
        assert isinstance(encoder, StackedEncoder)
        embeddings = embed_layerwise(encoder, dataset.graph).float()
    else:
        embeddings = over_items(method.embed, dataset.graph, device_of(method)).float()
    if not embeddings.isfinite().all():
        raise TrainingError("the embeddings are not finite although the loss was; try a lower --set train.lr")
    return embeddings


def over_items(function: Callable[[MiniBatch], Tensor], graph: Graph, device: torch.device) -> Tensor:
    """Rows that ``function`` gives for every item, without gradients, on the CPU, shape (num_items, ...).

    A graph goes in as a whole; sets of graphs go in some at a time.
    """
    batches = (
        [graph.full_batch()]
        if graph.ptr is None
        else map(graph.graph_batch, torch.arange(graph.num_graphs).split(_GRAPHS_AT_ONCE))
    )
    # Not inference mode: a transpose that a batch caches here must serve the training of the next seed.
    with torch.no_grad():
        return torch.cat([function(batch.to(device)).cpu() for batch in batches])


def device_of(method: Method) -> torch.device:
    """Where the method's parameters are."""
    return next((p.device for p in method.parameters()), torch.device("cpu"))


def _layerwise(method: Method) -> bool:
    """Whether the embedding is the plain output of a stack whose layers treat each node by its neighbours alone."""
    plain = type(method).embed is Method.embed and isinstance(method.encoder, StackedEncoder)
    return plain and not any(isinstance(module, GraphNorm) for module in method.encoder.modules())
