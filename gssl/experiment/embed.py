"""Frozen embeddings of every item of a dataset."""

from __future__ import annotations

import torch
from torch import Tensor

from gssl.common.errors import TrainingError
from gssl.datasets.types import Dataset
from gssl.method import Method

_GRAPHS_AT_ONCE = 512


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
    device = next((p.device for p in method.parameters()), torch.device("cpu"))
    batches = (
        [dataset.graph.full_batch()]
        if dataset.level == "node"
        else map(dataset.graph.graph_batch, torch.arange(dataset.num_items).split(_GRAPHS_AT_ONCE))
    )
    # Not inference mode: a transpose that a batch caches here must serve the training of the next seed.
    with torch.no_grad():
        embeddings = torch.cat([method.embed(batch.to(device)).float().cpu() for batch in batches])
    if not embeddings.isfinite().all():
        raise TrainingError("the embeddings are not finite although the loss was; try a lower --set train.lr")
    return embeddings
