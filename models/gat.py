"""Graph attention network."""

from __future__ import annotations

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.common.options import Neutral, PositiveInt, Probability
from gssl.graph.block import Block
from gssl.graph.sparse import Features, SparseMatrix
from gssl.models.layers import Activation, Layer, Norm
from gssl.models.ops import matmul, spmm
from gssl.models.stack import StackedEncoder


class GATLayer(Layer):
    """Attention over the neighbours and the node itself; the heads are concatenated.

    Only the attention coefficients (num_edges, heads) are held per edge. Where a head is wider than the input the
    input is aggregated first, which is the same by linearity and cheaper. An edge of weight w counts as w edges: its
    weight multiplies its share of the attention, before the shares are divided by their sum.

    Args:
        in_dim: input dimension.
        out_dim: output dimension of all heads together.
        heads: attention heads.
        attention_dropout: dropout probability of the coefficients.
        negative_slope: of the leaky ReLU.
    """

    takes_edge_weight = True

    def __init__(
        self, in_dim: int, out_dim: int, *, heads: int = 1, attention_dropout: float = 0.0, negative_slope: float = 0.2
    ) -> None:
        super().__init__()
        if out_dim % heads:
            raise InputError(f"a GAT layer of {out_dim} dimensions cannot be divided into {heads} heads")
        self.heads, self.head_dim = heads, out_dim // heads
        self.attention_dropout, self.negative_slope = attention_dropout, negative_slope
        gain = nn.init.calculate_gain("relu")
        self.weight = nn.Parameter(nn.init.xavier_normal_(torch.empty(in_dim, out_dim), gain=gain))
        # (heads, head_dim), the fans of PyG's GATConv. DGL's layer, and GraphMAE's, has (1, heads, head_dim), of which
        # torch takes heads * head_dim for inputs, so its values start smaller: 2.2 times for 4 heads of 128 dimensions.
        self.source_attention = nn.Parameter(nn.init.xavier_normal_(torch.empty(heads, self.head_dim), gain=gain))
        self.target_attention = nn.Parameter(nn.init.xavier_normal_(torch.empty(heads, self.head_dim), gain=gain))
        self.bias = nn.Parameter(torch.zeros(out_dim))

    def forward(self, block: Block, x: Features) -> Tensor:
        per_head = self.weight.view(-1, self.heads, self.head_dim)
        # <W x, a> = <x, W a>: the scores need only 2 * heads columns.
        folded = [(per_head * a).sum(-1) for a in (self.source_attention, self.target_attention)]
        source, target = matmul(x, torch.cat(folded, dim=1)).chunk(2, dim=1)
        edge, own = self._attention(block, source, target[: block.num_dst])
        if isinstance(x, SparseMatrix) or self.head_dim <= self.weight.shape[0]:
            hidden = matmul(x, self.weight).view(-1, self.heads, self.head_dim)
            outputs = [_attend(block, edge[:, h], own[:, h], hidden[:, h]) for h in range(self.heads)]
        else:
            outputs = [_attend(block, edge[:, h], own[:, h], x) @ per_head[:, h] for h in range(self.heads)]
        return torch.cat(outputs, dim=1) + self.bias

    def _attention(self, block: Block, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients of the edges (num_edges, heads) and of the nodes themselves (num_dst, heads)."""
        row, col = block.pattern.row, block.pattern.col
        edge = F.leaky_relu(source[col] + target[row], self.negative_slope)
        own = F.leaky_relu(source[: block.num_dst] + target, self.negative_slope)
        index = row.long().unsqueeze(1).expand_as(edge)
        highest = own.detach().scatter_reduce(0, index, edge.detach(), "amax")
        edge, own = (edge - highest[row]).exp(), (own - highest).exp()
        if block.weight is not None:
            edge = edge * block.weight.to(edge.dtype).unsqueeze(1)
        total = own.index_add(0, row, edge)
        edge, own = edge / total[row], own / total
        p = self.attention_dropout
        return F.dropout(edge, p, self.training), F.dropout(own, p, self.training)


class GAT(StackedEncoder):
    """Graph attention network (Velickovic et al., 2018, arXiv:1710.10903), heads concatenated in every layer.

    Args:
        heads: attention heads; must divide the width of their layers.
        attention_dropout: dropout probability of the attention coefficients.
        out_heads: heads of the last layer; None means as many as the others have.
        last_norm: whether the norm comes behind the last layer, too.

    The other options are those of ``StackedEncoder``.
    """

    def __init__(
        self,
        in_dim: int,
        *,
        heads: PositiveInt = 4,
        attention_dropout: Probability = 0.0,
        out_heads: Annotated[PositiveInt | None, Neutral(None)] = None,
        last_norm: Annotated[bool, Neutral(True)] = True,
        activation: Activation = "elu",
        num_layers: PositiveInt = 2,
        **inherited: Any,
    ) -> None:
        self.heads, self.attention_dropout = heads, attention_dropout
        last = heads if out_heads is None else out_heads
        self._heads_to_make = [last, *[heads] * (num_layers - 1)]
        super().__init__(in_dim, activation=activation, num_layers=num_layers, **inherited)
        if not last_norm and len(self.norms) == num_layers:
            self.norms[-1] = Norm("none", self.layer_dims[-1])

    def make_layer(self, in_dim: int, out_dim: int) -> GATLayer:
        """The next layer, the first one first."""
        return GATLayer(in_dim, out_dim, heads=self._heads_to_make.pop(), attention_dropout=self.attention_dropout)


def _attend(block: Block, edge: Tensor, own: Tensor, x: Tensor) -> Tensor:
    return spmm(block.pattern, edge, x) + own.unsqueeze(1) * x[: block.num_dst]
