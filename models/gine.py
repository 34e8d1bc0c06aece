"""Graph isomorphism network with edge attributes, as pre-training on molecules uses it."""

from __future__ import annotations

from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from gssl.common.options import NonNegativeInt, PositiveInt
from gssl.graph.block import Block
from gssl.graph.sparse import Features, SparseMatrix
from gssl.graph.spec import GraphSpec
from gssl.models.encoder import EdgeAttr, Readout
from gssl.models.layers import Activation, Layer, NormKind, make_activation
from gssl.models.messages import edge_attributes, edge_sums, relu_messages
from gssl.models.ops import matmul, spmm
from gssl.models.stack import StackedEncoder

Message = Literal["relu", "plain"]


class Embedding(nn.Module):
    """``x @ table``, and a learned row for rows of zeros.

    For one-hot columns of several categories this is the sum of an embedding of each category, and a row of zeros,
    which no node has, stands for a node whose categories are hidden (Hu et al., 2020, call it the mask).

    Args:
        in_dim: columns of the features.
        out_dim: dimension of the embedding.
    """

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.table = nn.Parameter(nn.init.xavier_uniform_(torch.empty(in_dim, out_dim)))
        self.hidden = nn.Parameter(nn.init.xavier_uniform_(torch.empty(1, out_dim)))

    def forward(self, x: Features) -> Tensor:
        """From shape (n, in_dim) to shape (n, out_dim)."""
        empty, out = zero_rows(x), matmul(x, self.table)
        if out.device.type != "cpu":  # of which the number of such rows would have to be asked
            return out + (self.hidden * empty.unsqueeze(1)).to(out.dtype)
        rows = empty.nonzero().squeeze(1)
        return out.index_add(0, rows, self.hidden.expand(len(rows), -1).to(out.dtype))  # autocast decides which


class GINELayer(Layer):
    """``MLP((1 + eps) h_i + sum over neighbours of m_ij)``, with edge embeddings in the messages.

    With ``message="relu"`` a message is ``relu(h_j + e_ij)`` (GINE), with ``"plain"`` it is ``h_j + e_ij``, as in the
    paper's own code. The edge embedding ``e_ij`` is the sum of embeddings of the edge's categories, or the layer's row
    for hidden edges where all attributes are zero.

    Args:
        in_dim: input dimension.
        out_dim: output dimension.
        embed: whether the input are features, which are embedded first, in ``out_dim`` dimensions.
        expansion: width of the MLP's hidden layer as a multiple of ``out_dim``.
        activation: in the MLP.
        eps: initial weight of the node itself, less 1.
        learn_eps: whether eps is trained.
        edge_dim: columns of the edge attributes; 0 leaves them out.
        message: see above.
    """

    takes_edge_weight = True

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        *,
        embed: bool = False,
        expansion: int = 2,
        activation: Activation = "relu",
        eps: float = 0.0,
        learn_eps: bool = False,
        edge_dim: int = 0,
        message: Message = "relu",
    ) -> None:
        super().__init__()
        width = out_dim if embed else in_dim
        self.embedding = Embedding(in_dim, out_dim) if embed else None
        self.edge_dim, self.message = edge_dim, message
        self.eps = nn.Parameter(torch.tensor(float(eps))) if learn_eps else eps
        self.edge_table = None
        if edge_dim:
            self.edge_table = nn.Parameter(nn.init.xavier_uniform_(torch.empty(edge_dim + 1, width)))
        self.mlp = nn.Sequential(
            nn.Linear(width, expansion * out_dim), make_activation(activation), nn.Linear(expansion * out_dim, out_dim)
        )

    def forward(self, block: Block, x: Features) -> Tensor:
        h = x if self.embedding is None else self.embedding(x)
        assert isinstance(h, Tensor)
        out: Tensor = self.mlp(torch.add(self._messages(block, h), h[: block.num_dst] * (1 + self.eps)))
        return out

    def _messages(self, block: Block, h: Tensor) -> Tensor:
        """Sum of the messages into each destination, shape (num_dst, dim)."""
        if self.edge_table is None:
            return spmm(block.pattern, block.weight, h.relu() if self.message == "relu" else h)
        attr = edge_attributes(block, self.edge_dim, h)
        if self.message == "relu":
            return relu_messages(block.pattern, block.weight, h, attr, self.edge_table)
        return spmm(block.pattern, block.weight, h) + edge_sums(block.pattern, block.weight, attr) @ self.edge_table


class GINE(StackedEncoder):
    """GIN with edge attributes (Hu et al., 2020, arXiv:1905.12265), for molecules above all.

    Atoms are embedded by a sum of embeddings of their categories, bonds anew in every layer. Norm and activation
    follow each layer, the last one the norm alone. Features that are numbers take the same linear maps.

    A node or an edge whose columns are all zero counts as hidden and gets a learned embedding.

    Args:
        hidden_dim: dimension of every layer but the last, and of the embedding of the nodes.
        expansion: width of the MLP of a layer as a multiple of its output.
        message: ``relu`` for GINE, ``plain`` for the paper's own code, which adds messages without a nonlinearity (and
            gives every node a loop with an embedding of its own, which is part of the MLP's bias here).
        eps: initial eps; a node counts itself 1 + eps times.
        learn_eps: whether eps is trained.
        edge_dim: columns of the edge attributes; None takes those of the data.
        edge_attr: false leaves edge attributes out.

    The other options are those of ``StackedEncoder``.
    """

    can_use_edge_attr = True

    def __init__(
        self,
        in_dim: int,
        *,
        hidden_dim: PositiveInt = 300,
        num_layers: PositiveInt = 5,
        expansion: PositiveInt = 2,
        message: Message = "relu",
        eps: float = 0.0,
        learn_eps: bool = False,
        edge_dim: NonNegativeInt | None = None,
        activation: Activation = "relu",
        final_activation: bool = False,
        norm: NormKind = "batch",
        readout: Readout = "mean",
        edge_attr: EdgeAttr = None,
        **inherited: Any,
    ) -> None:
        self._layer_options: dict[str, Any] = {
            "expansion": expansion,
            "activation": activation,
            "eps": eps,
            "learn_eps": learn_eps,
            "edge_dim": 0 if edge_attr is False else edge_dim or 0,
            "message": message,
        }
        self._num_made = 0
        super().__init__(
            in_dim,
            hidden_dim=hidden_dim,
            num_layers=num_layers,
            activation=activation,
            final_activation=True,
            norm=norm,
            readout=readout,
            edge_attr=edge_attr,
            **inherited,
        )
        if not final_activation:
            self.activations[-1] = nn.Identity()
        self.uses_edge_attr = self._layer_options["edge_dim"] > 0

    @classmethod
    def for_graph(cls, spec: GraphSpec, **options: Any) -> Self:
        if options.get("edge_dim") is None:
            options = {**options, "edge_dim": spec.edge_dim}
        return super().for_graph(spec, **options)

    def make_layer(self, in_dim: int, out_dim: int) -> GINELayer:
        self._num_made += 1
        return GINELayer(in_dim, out_dim, embed=self._num_made == 1, **self._layer_options)


def zero_rows(x: Features) -> Tensor:
    """Which rows are all zero, and carry no token either, shape (n,), bool."""
    if isinstance(x, SparseMatrix):
        empty = x.pattern.counts == 0
        return empty if x.token_rows is None else empty & ~x.token_rows
    return (x == 0).all(1)
