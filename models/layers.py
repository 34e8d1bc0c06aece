"""What stacked encoders are made of: layers, activations, norms, dropout and jumping knowledge."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn import GraphNorm

from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.sparse import Features, SparseMatrix
from gssl.models.ops import Aggregation

Activation = Literal["relu", "prelu", "elu", "rrelu", "leaky_relu", "tanh", "identity"]
NormKind = Literal["none", "batch", "layer", "graph"]
RowNorm = Literal["none", "batch", "layer"]
"""A norm that needs no graph offsets."""
JumpingKnowledge = Literal["last", "cat", "sum", "max"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "prelu": nn.PReLU,
    "elu": nn.ELU,
    "rrelu": nn.RReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "identity": nn.Identity,
}


class Layer(nn.Module):
    """One message-passing layer without norm and activation.

    Attributes:
        aggregation: the linear aggregation that the layer is made of, where ``forward`` equals ``update`` of the
            aggregate and the destinations' own rows; None for a layer that cannot be taken apart.
        takes_edge_weight: whether the weights of the edges enter the output, and get a gradient from it.
        is_linear: whether the output is linear in all of the layer's weights together.
    """

    aggregation: Aggregation | None = None
    takes_edge_weight: bool = False
    is_linear: bool = False

    def forward(self, block: Block, x: Features) -> Tensor:
        """From source rows ``x`` (num_src, in_dim) to destination rows (num_dst, out_dim)."""
        raise NotImplementedError

    def update(self, aggregated: Tensor, own: Tensor) -> Tensor:
        """The layer after its aggregation, row by row.

        Args:
            aggregated: shape (num_dst, in_dim).
            own: the destinations' own rows, shape (num_dst, in_dim).

        Returns:
            Shape (num_dst, out_dim).
        """
        raise NotImplementedError


def make_activation(kind: Activation) -> nn.Module:
    """A new activation module (PReLU has one learned slope)."""
    return _ACTIVATIONS[kind]()


class BatchNorm(nn.BatchNorm1d):
    """Batch norm that leaves a single row alone in training, where its variance is not defined."""

    def forward(self, input: Tensor) -> Tensor:
        return input if self.training and input.shape[0] == 1 else super().forward(input)


def make_row_norm(kind: RowNorm, dim: int) -> list[nn.Module]:
    """A new norm of rows of ``dim`` columns, or nothing, to be put into an ``nn.Sequential``."""
    if kind == "none":
        return []
    return [BatchNorm(dim) if kind == "batch" else nn.LayerNorm(dim)]


class Norm(nn.Module):
    """Normalisation of node embeddings: none, batch, layer, or per graph (Cai et al., 2021, arXiv:2009.03294).

    Args:
        kind: which one.
        dim: embedding dimension.
        momentum: weight of the newest batch in the running statistics of batch norm.
    """

    def __init__(self, kind: NormKind, dim: int, *, momentum: float = 0.1) -> None:
        super().__init__()
        self.norm: nn.Module | None = None
        if kind == "batch":
            self.norm = BatchNorm(dim, momentum=momentum)
        elif kind == "layer":
            self.norm = nn.LayerNorm(dim)
        elif kind == "graph":
            self.norm = GraphNorm(dim)

    def forward(self, x: Tensor, batch: MiniBatch) -> Tensor:
        """Normalise ``x`` of shape (num_nodes, dim); ``batch`` tells which graph each row belongs to."""
        if self.norm is None:
            return x
        if isinstance(self.norm, GraphNorm):
            graphs = None if batch.graph_ptr is None else batch.graph_index()
            out: Tensor = self.norm(x, graphs, batch_size=max(batch.num_graphs, 1))
            return out
        normed: Tensor = self.norm(x)
        return normed


def dropout_features(x: Features, p: float, training: bool) -> Features:
    """Dropout of dense features, or of the stored entries of sparse ones (zeros stay zero either way).

    Every row that carries a mask token loses its own entries of it.
    """
    if not training or p == 0:
        return x
    if isinstance(x, SparseMatrix):
        token = None if x.token is None else F.dropout(x.tokens, p)
        return replace(x, value=F.dropout(x.value, p), token=token)
    return F.dropout(x, p)


def jump(outputs: list[Tensor], kind: JumpingKnowledge) -> Tensor:
    """Jumping knowledge (Xu et al., 2018, arXiv:1806.03536): combine the outputs of all layers.

    Args:
        outputs: one tensor (num_nodes, dim) per layer, the first layer first.
        kind: ``last`` keeps the last, ``cat`` concatenates, ``sum`` adds, ``max`` takes the largest.
    """
    if kind == "last" or len(outputs) == 1:
        return outputs[-1]
    if kind == "cat":
        return torch.cat(outputs, dim=1)
    stacked = torch.stack(outputs)
    return stacked.sum(0) if kind == "sum" else stacked.amax(0)
