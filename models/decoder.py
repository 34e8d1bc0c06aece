"""Decoders of masked autoencoders: one layer from code to features."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Tensor, nn

from gssl.graph.block import Block
from gssl.graph.sparse import Features
from gssl.models.gat import GATLayer
from gssl.models.gcn import GCNLayer
from gssl.models.layers import Layer
from gssl.models.ops import sum_aggregate


class GINDecoder(Layer):
    """GIN layer with the two-layer MLP behind the sum of node and neighbours."""

    takes_edge_weight = True

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(in_dim, in_dim), nn.ReLU(), nn.Linear(in_dim, out_dim))

    def forward(self, block: Block, x: Features) -> Tensor:
        assert isinstance(x, Tensor)
        out: Tensor = self.mlp(x[: block.num_dst] + sum_aggregate(block, x))
        return out


class LinearDecoder(Layer):
    """Linear map of each node's code."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_dim, out_dim)

    def forward(self, block: Block, x: Features) -> Tensor:
        assert isinstance(x, Tensor)
        out: Tensor = self.linear(x[: block.num_dst])
        return out


def make_decoder(
    kind: Literal["GAT", "GCN", "GIN", "linear"], in_dim: int, out_dim: int, *, attention_dropout: float = 0.0
) -> Layer:
    """A decoder layer from codes of ``in_dim`` to features of ``out_dim``.

    Args:
        kind: which.
        in_dim: of the codes.
        out_dim: of the features.
        attention_dropout: dropout probability of the coefficients of a GAT layer; the others have none.
    """
    makers: dict[str, Callable[[int, int], Layer]] = {
        "GAT": partial(GATLayer, attention_dropout=attention_dropout),
        "GCN": GCNLayer,
        "GIN": GINDecoder,
        "linear": LinearDecoder,
    }
    return makers[kind](in_dim, out_dim)
