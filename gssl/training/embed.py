"""Frozen embeddings of every item of a dataset."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch_geometric.nn import GraphNorm

from gssl.common.errors import InputError, TrainingError
from gssl.common.files import cannot_write
from gssl.datasets.types import Dataset
from gssl.graph.batch import MiniBatch
from gssl.graph.remote import is_remote
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.models.inference import embed_layerwise
from gssl.models.stack import StackedEncoder
from gssl.training.memory import free_memory

_GRAPHS_AT_ONCE = 512
_NODES_AT_ONCE = 1 << 18  # larger graphs are embedded layer by layer, which holds less


def embed_dataset(method: Method, dataset: Dataset, *, folder: Path | None = None) -> Tensor:
    """Embeddings of all nodes or graphs, in their order.

    Args:
        method: in evaluation mode, on the device that does the work.
        dataset: what it embeds.
        folder: on whose disk embeddings are kept that would take more than half of the memory that is free: in a
            file without a name, which is gone with them.

    Returns:
        Shape (num_items, dim), float32, on the CPU.

    Raises:
        InputError: they do not fit the memory, or the disk; or the method cannot embed what is read row by row.
        TrainingError: a number in them is not finite.
    """
    encoder = method.encoder
    check_embeddable(method, dataset)
    large = dataset.num_items > _NODES_AT_ONCE or is_remote(dataset.graph.x)
    if dataset.level == "node" and large and _layerwise(method):
        assert isinstance(encoder, StackedEncoder)
        embeddings = embed_layerwise(encoder, dataset.graph, place=partial(_room, folder)).float()
    else:
        device = device_of(method)
        embeddings = over_items(method.embed, dataset.graph, lambda batch: batch.to(device)).cpu().float()
    if not all(bool(rows.isfinite().all()) for rows in embeddings.split(_NODES_AT_ONCE)):
        raise TrainingError("the embeddings are not finite although the loss was; try a lower --set train.lr")
    return embeddings


def check_embeddable(method: Method, dataset: Dataset) -> None:
    """Refuse, before training, a method that embeds a graph as a whole where its features are read row by row.

    Raises:
        InputError: it is one.
    """
    if is_remote(dataset.graph.x) and not _layerwise(method):
        raise InputError(
            f"{type(method).__name__} embeds all nodes of a graph at once, but the features of {dataset.name} are read "
            "row by row: use a method that embeds by its encoder alone, such as BGRL or GRACE, with one of gssl's own "
            "encoders"
        )


def _room(folder: Path | None, num_nodes: int, part: Tensor) -> Tensor:
    """Room for the output of a layer, float: in memory, or, where it would take too much of it, in a file."""
    needed, free = num_nodes * part.shape[1] * part.element_size(), free_memory()
    if 2 * needed < free:
        return part.new_empty(num_nodes, part.shape[1])
    if folder is None:
        raise InputError(
            f"the embeddings of {num_nodes} nodes take {needed / 1e9:.1f} GB, but {free / 1e9:.1f} GB of memory are "
            "free: use a smaller encoder.hidden_dim, or gssl run, which keeps them on disk"
        )
    file = folder / f".layer-{os.getpid()}.tmp"
    try:
        with file.open("wb") as made:
            os.posix_fallocate(made.fileno(), 0, needed)  # a page that finds no disk later would end the process
        found = torch.from_file(str(file), shared=True, size=num_nodes * part.shape[1], dtype=part.dtype)
    except OSError as error:
        raise cannot_write(file, error) from error
    finally:
        file.unlink(missing_ok=True)
    return found.view(num_nodes, part.shape[1])


def over_items(
    function: Callable[[MiniBatch], Tensor], graph: Graph, move: Callable[[MiniBatch], MiniBatch] | None = None
) -> Tensor:
    """Rows that ``function`` gives for every item, without gradients, where it gives them, shape (num_items, ...).

    Args:
        function: from a batch to a row for each of its items.
        graph: goes in as a whole; sets of graphs go in some at a time.
        move: brings a batch to the device of the function; None where it is there.
    """
    batches = (
        [graph.full_batch()]
        if graph.ptr is None
        else map(graph.graph_batch, torch.arange(graph.num_graphs).split(_GRAPHS_AT_ONCE))
    )
    # Not inference mode: a transpose that a batch caches here must serve the training of the next seed.
    with torch.no_grad():
        return torch.cat([function(batch if move is None else move(batch)) for batch in batches])


def device_of(method: Method) -> torch.device:
    """Where the method's parameters are."""
    return next((p.device for p in method.parameters()), torch.device("cpu"))


def _layerwise(method: Method) -> bool:
    """Whether the embedding is the plain output of a stack whose layers treat each node by its neighbours alone."""
    plain = type(method).embed is Method.embed and isinstance(method.encoder, StackedEncoder)
    return plain and not any(isinstance(module, GraphNorm) for module in method.encoder.modules())
