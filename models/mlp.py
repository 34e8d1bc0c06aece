"""Multilayer perceptron: the encoder that ignores the edges."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.sparse import Features, Pattern, SparseMatrix
from gssl.models.encoder import Encoder
from gssl.models.layers import Layer
from gssl.models.ops import matmul
from gssl.models.stack import StackedEncoder


class MLPLayer(Layer):
    """``X_self W + b``."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(in_dim, out_dim)))
        self.bias = nn.Parameter(torch.zeros(out_dim))

    def forward(self, block: Block, x: Features) -> Tensor:
        if block.num_dst < block.num_src:
            rows = torch.arange(block.num_dst, device=x.device)
            x = x.select_rows(rows) if isinstance(x, SparseMatrix) else x[: block.num_dst]
        return matmul(x, self.weight) + self.bias


class MLPEncoder(StackedEncoder):
    """Multilayer perceptron on the node features; edges are ignored."""

    def make_layer(self, in_dim: int, out_dim: int) -> MLPLayer:
        return MLPLayer(in_dim, out_dim)

    def of_rows(self, batch: MiniBatch) -> Tensor:
        """Embeddings of all rows of a batch, those of neighbors too, shape (num_nodes, out_dim)."""
        size = batch.num_nodes
        offsets = torch.zeros(size + 1, dtype=torch.int32, device=batch.device)
        alone = Block(Pattern(offsets, offsets[:0], size))
        whole = MiniBatch(batch.x, (alone,), batch.node_ids, size, graph_ptr=batch.graph_ptr, graph_ids=batch.graph_ids)
        rows: Tensor = self(whole)
        return rows


def require_mlp(encoder: Encoder, method: str) -> None:
    """For methods that embed nodes without their neighbors.

    Args:
        encoder: what a method is given.
        method: how messages name it.

    Raises:
        InputError: the encoder is another one.
    """
    if not isinstance(encoder, MLPEncoder):
        raise InputError(
            f"{method} embeds nodes by their own features alone, but the encoder {encoder.title} hears from neighbors; "
            "use --encoder MLP"
        )
