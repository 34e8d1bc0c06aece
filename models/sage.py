"""GraphSAGE with the mean aggregator."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gssl.graph.block import Block
from gssl.graph.sparse import Features
from gssl.models.layers import Layer
from gssl.models.ops import aggregates_first, destination_rows, matmul, mean_aggregate
from gssl.models.stack import StackedEncoder


class SAGELayer(Layer):
    """``X_self W_self + mean over neighbours of X W_neighbour + b``."""

    aggregation = "mean"
    takes_edge_weight = True
    is_linear = True

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.self_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(in_dim, out_dim)))
        self.neighbor_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(in_dim, out_dim)))
        self.bias = nn.Parameter(torch.zeros(out_dim))

    def forward(self, block: Block, x: Features) -> Tensor:
        own = destination_rows(block, x)
        if isinstance(x, Tensor) and aggregates_first(block, x, self.neighbor_weight.shape[1]):
            neighbors = mean_aggregate(block, x) @ self.neighbor_weight
        else:
            neighbors = mean_aggregate(block, matmul(x, self.neighbor_weight))
        return matmul(own, self.self_weight) + neighbors + self.bias

    def update(self, aggregated: Tensor, own: Tensor) -> Tensor:
        return torch.addmm(self.bias, own, self.self_weight) + aggregated @ self.neighbor_weight


class SAGE(StackedEncoder):
    """GraphSAGE, mean aggregator (Hamilton et al., 2017, arXiv:1706.02216)."""

    def make_layer(self, in_dim: int, out_dim: int) -> SAGELayer:
        return SAGELayer(in_dim, out_dim)
