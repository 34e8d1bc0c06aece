"""Decoders of masked autoencoders: one layer from code to features."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.graph.block import Block
from gssl.graph.sparse import Features
from gssl.models.gat import GATLayer
from gssl.models.gcn import GCNLayer
from gssl.models.layers import Activation, Layer, RowNorm, make_activation, make_row_norm
from gssl.models.ops import sum_aggregate


class GINDecoder(Layer):
    """GIN layer with a two-layer MLP of ``in_dim`` units behind ``(1 + eps) x_i + sum over neighbours of x_j``.

    Args:
        in_dim: of the codes.
        out_dim: of the features.
        activation: within the MLP.
        norm: before it.
        eps: weight of the node itself, less 1.
    """

    takes_edge_weight = True

    def __init__(
        self, in_dim: int, out_dim: int, *, activation: Activation = "relu", norm: RowNorm = "none", eps: float = 0.0
    ) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(in_dim, in_dim),
            *make_row_norm(norm, in_dim),
            make_activation(activation),
            nn.Linear(in_dim, out_dim),
        )
        self.eps = eps
        self.mixes_rows = norm == "batch"

    def forward(self, block: Block, x: Features) -> Tensor:
        assert isinstance(x, Tensor)
        own = x[: block.num_dst] if self.eps == 0 else (1 + self.eps) * x[: block.num_dst]
        out: Tensor = self.mlp(own + sum_aggregate(block, x))
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
    kind: Literal["GAT", "GCN", "GIN", "linear"],
    in_dim: int,
    out_dim: int,
    *,
    attention_dropout: float = 0.0,
    activation: Activation = "relu",
    norm: RowNorm = "none",
    eps: float = 0.0,
) -> Layer:
    """A decoder layer from codes of ``in_dim`` to features of ``out_dim``.

    Args:
        kind: which.
        in_dim: of the codes.
        out_dim: of the features.
        attention_dropout: dropout probability of the coefficients of a GAT layer; the others have none.
        activation: of a GIN layer, as are the next two.
        norm: of a GIN layer.
        eps: of a GIN layer.

    Raises:
        InputError: an activation, norm or eps for another layer than GIN.
    """
    if kind != "GIN" and (activation, norm, eps) != ("relu", "none", 0.0):
        raise InputError(f"decoder_activation, decoder_norm and decoder_eps are those of decoder=GIN, not of {kind}")
    makers: dict[str, Callable[[int, int], Layer]] = {
        "GAT": partial(GATLayer, attention_dropout=attention_dropout),
        "GCN": GCNLayer,
        "GIN": partial(GINDecoder, activation=activation, norm=norm, eps=eps),
        "linear": LinearDecoder,
    }
    return makers[kind](in_dim, out_dim)
