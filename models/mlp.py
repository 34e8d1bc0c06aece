"""Multilayer perceptron: the encoder that ignores the edges."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gssl.graph.block import Block
from gssl.graph.sparse import Features, SparseMatrix
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
