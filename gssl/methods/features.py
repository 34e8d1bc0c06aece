"""What methods share that give the features of nodes back."""

from __future__ import annotations

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import SparseMatrix, dense_features, select_features
from gssl.graph.storage import Graph


def own_features(batch: MiniBatch) -> Tensor:
    """Features of the targets, shape (num_targets, in_dim), float."""
    if batch.num_targets == batch.num_nodes:
        return dense_features(batch.x)
    return dense_features(select_features(batch.x, torch.arange(batch.num_targets, device=batch.device)))


def refuse_negative_features(graph: Graph) -> None:
    """For decoders that end in a ReLU.

    Raises:
        InputError: some features are below zero.
    """
    values = graph.x.value if isinstance(graph.x, SparseMatrix) else graph.x
    if values.numel() and float(values.min()) < 0:
        raise InputError(
            "some features are below zero, which a decoder that ends in a ReLU never gives back; use "
            "--set rectified=false"
        )
