"""Graph convolutional network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gssl.graph.block import Block
from gssl.graph.sparse import Features
from gssl.models.layers import Layer
from gssl.models.ops import aggregates_first, gcn_aggregate, matmul
from gssl.models.stack import StackedEncoder


class GCNLayer(Layer):
    """``D^-1/2 (A + I) D^-1/2 X W + b`` with Glorot weights; the cheaper product is taken first."""

    aggregation = "gcn"
    takes_edge_weight = True
    is_linear = True

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(in_dim, out_dim)))
        self.bias = nn.Parameter(torch.zeros(out_dim))

    def forward(self, block: Block, x: Features) -> Tensor:
        if isinstance(x, Tensor) and aggregates_first(block, x, self.weight.shape[1]):
            return torch.addmm(self.bias, gcn_aggregate(block, x), self.weight)
        return gcn_aggregate(block, matmul(x, self.weight)).add_(self.bias)

    def update(self, aggregated: Tensor, own: Tensor) -> Tensor:
        return torch.addmm(self.bias, aggregated, self.weight)


class GCN(StackedEncoder):
    """Graph convolutional network (Kipf and Welling, 2017, arXiv:1609.02907)."""

    def make_layer(self, in_dim: int, out_dim: int) -> GCNLayer:
        return GCNLayer(in_dim, out_dim)
