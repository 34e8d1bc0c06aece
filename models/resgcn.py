"""Residual graph convolutional network of the graph classification baselines."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.common.options import Fraction, PositiveInt, Probability, UsedWith
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import dense_features
from gssl.models.encoder import EdgeAttr, Encoder, Readout
from gssl.models.gcn import GCNLayer
from gssl.models.layers import Norm, NormKind


class ResGCN(Encoder):
    """Residual GCN (Chen et al., 2019, arXiv:1905.04579), as GraphCL's semi-supervised runs use it.

    Norm and a linear map of the features with ReLU, then ``num_layers`` times norm, graph convolution and ReLU.

    Args:
        in_dim: feature dimension of the input.
        hidden_dim: dimension of every layer.
        num_layers: graph convolutions.
        residual: whether a layer's input is added to its output. GraphCL's scripts leave it out, Chen et al. call
            the network by it.
        norm: normalisation before each layer.
        norm_momentum: weight of the newest batch in the running statistics of batch norm.
        dropout: dropout probability on the input of each convolution.
        readout: how node embeddings become graph embeddings.
        edge_attr: whether edge attributes are used, which this encoder cannot; false says that they are left out.
    """

    def __init__(
        self,
        in_dim: int,
        *,
        hidden_dim: PositiveInt = 128,
        num_layers: PositiveInt = 3,
        residual: bool = True,
        norm: NormKind = "batch",
        norm_momentum: Annotated[Fraction, UsedWith("norm", "batch")] = 0.1,
        dropout: Probability = 0.0,
        readout: Readout = "sum",
        edge_attr: EdgeAttr = None,
    ) -> None:
        super().__init__()
        self.edge_attr = edge_attr
        self.in_dim, self.out_dim, self.num_layers = in_dim, hidden_dim, num_layers
        self.residual, self.dropout, self.readout = residual, dropout, readout
        self.feature_norm = Norm(norm, in_dim, momentum=norm_momentum)
        self.feature_map = nn.Linear(in_dim, hidden_dim)
        nn.init.xavier_uniform_(self.feature_map.weight)
        nn.init.zeros_(self.feature_map.bias)
        self.norms = nn.ModuleList(Norm(norm, hidden_dim, momentum=norm_momentum) for _ in range(num_layers))
        self.layers = nn.ModuleList(GCNLayer(hidden_dim, hidden_dim) for _ in range(num_layers))

    @property
    def takes_edge_weight(self) -> bool:
        return True

    @property
    def layer_dims(self) -> tuple[int, ...]:
        return (self.out_dim,) * self.num_layers

    def outputs(self, batch: MiniBatch) -> list[Tensor]:
        # A norm of sparse features is dense: its shift fills the zeros.
        x: Tensor = torch.relu(self.feature_map(self.feature_norm(dense_features(batch.x), batch)))
        outputs: list[Tensor] = []
        for index, (norm, layer) in enumerate(zip(self.norms, self.layers, strict=True)):
            block = batch.block(index)
            out = F.dropout(norm(x, batch), self.dropout, self.training)
            out = torch.relu(layer(block, out))
            x = x[: block.num_dst] + out if self.residual else out
            outputs.append(x)
        return [h[: batch.num_targets] for h in outputs]

    def forward(self, batch: MiniBatch) -> Tensor:
        return self.outputs(batch)[-1]
