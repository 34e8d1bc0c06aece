"""What every encoder is: a module from a mini-batch to node embeddings, with a readout for graphs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor, nn

from gssl.common.space import Space
from gssl.graph.batch import MiniBatch
from gssl.models.readout import readout

Readout = Literal["sum", "mean", "max"]


class Encoder(nn.Module, ABC):
    """Node encoder f: (A, X) -> H.

    A subclass takes ``in_dim`` first and everything else by keyword with a default; those keywords are its
    configuration (``--set encoder.NAME=VALUE``).

    Attributes:
        in_dim: feature dimension of the input.
        out_dim: dimension of the node embeddings.
        num_layers: message-passing layers, which is the number of blocks that a sampled batch must bring.
        reads_history: whether it completes batches that come with a history.
        readout: how node embeddings become graph embeddings.
        search_space: option name to range, for the tuner; added to what the method declares.
    """

    in_dim: int
    out_dim: int
    num_layers: int
    readout: Readout = "sum"
    reads_history: ClassVar[bool] = False
    search_space: ClassVar[Mapping[str, Space]] = {}

    @abstractmethod
    def forward(self, batch: MiniBatch) -> Tensor:
        """Embed the targets.

        Args:
            batch: whose ``x`` is dense, sparse or, where it was sampled, rows that are read in place;
                :func:`~gssl.graph.sparse.dense_features` is a matrix in each case.

        Returns:
            Node embeddings, shape (num_targets, out_dim), float.
        """

    def pool(self, nodes: Tensor, batch: MiniBatch) -> Tensor:
        """Graph embeddings, shape (num_graphs, out_dim), from node embeddings of shape (num_targets, out_dim)."""
        return readout(nodes, batch, self.readout)
