"""Graph isomorphism network."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.common.options import Neutral, NonNegativeInt, PositiveInt
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.sparse import Features, Pattern
from gssl.models.encoder import EdgeAttr
from gssl.models.layers import Activation, JumpingKnowledge, Layer, NormKind, RowNorm, make_activation, make_row_norm
from gssl.models.ops import aggregate, aggregates_first, matmul, spmm
from gssl.models.stack import StackedEncoder

Init = Literal["glorot", "torch"]
Order = Literal["activation-norm", "norm-activation"]


class GINLayer(Layer):
    """``MLP((1 + eps) x_i + sum over neighbours of (x_j + W_e e_ij))``.

    The first linear map is taken before the sum where that is cheaper, which is the same by linearity. The sum of
    the edge terms is the sum of the edge attributes times ``W_e``, so nothing of size (num_edges, dim) is held.

    Args:
        in_dim: input dimension.
        out_dim: width of all layers of the MLP.
        mlp_layers: linear maps in the MLP.
        activation: between them.
        eps: initial weight of the node itself, less 1.
        learn_eps: whether eps is trained.
        edge_dim: columns of the edge attributes; 0 leaves them out.
        mlp_norm: normalisation before each activation within the MLP.
        init: Glorot weights and biases of zero, or those of ``torch.nn.Linear``.
    """

    takes_edge_weight = True

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        *,
        mlp_layers: int = 2,
        activation: Activation = "relu",
        eps: float = 0.0,
        learn_eps: bool = False,
        edge_dim: int = 0,
        mlp_norm: RowNorm = "none",
        init: Init = "glorot",
    ) -> None:
        super().__init__()
        if init == "glorot":
            self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(in_dim, out_dim)))
            self.bias = nn.Parameter(torch.zeros(out_dim))
        else:
            first = nn.Linear(in_dim, out_dim)
            self.weight = nn.Parameter(first.weight.detach().T.contiguous())
            self.bias = nn.Parameter(first.bias.detach())
        self.eps = nn.Parameter(torch.tensor(float(eps))) if learn_eps else eps
        self.edge_weight = None
        if edge_dim:
            self.edge_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(edge_dim, in_dim)))
        rest: list[nn.Module] = []
        for _ in range(mlp_layers - 1):
            linear = nn.Linear(out_dim, out_dim)
            if init == "glorot":
                nn.init.xavier_uniform_(linear.weight)
                nn.init.zeros_(linear.bias)
            rest += [*make_row_norm(mlp_norm, out_dim), make_activation(activation), linear]
        self.rest = nn.Sequential(*rest)
        self.aggregation = None if edge_dim else "sum"

    def forward(self, block: Block, x: Features) -> Tensor:
        if isinstance(x, Tensor) and aggregates_first(block, x, self.weight.shape[1]):
            hidden = self._sum(block, x) @ self.weight
        else:
            hidden = self._sum(block, matmul(x, self.weight))
        if self.edge_weight is not None:
            hidden = hidden + edge_sum(block, self.edge_weight.shape[0]) @ (self.edge_weight @ self.weight)
        out: Tensor = self.rest(hidden + self.bias)
        return out

    def update(self, aggregated: Tensor, own: Tensor) -> Tensor:
        out: Tensor = self.rest(torch.addmm(self.bias, aggregated + (1 + self.eps) * own, self.weight))
        return out

    def _sum(self, block: Block, x: Tensor) -> Tensor:
        total = aggregate(block.pattern, block.weight, x, loop=True)
        if isinstance(self.eps, float) and self.eps == 0:
            return total
        return total + self.eps * x[: block.num_dst]


def edge_sum(block: Block, edge_dim: int) -> Tensor:
    """Weighted sum of the attributes of the edges into each destination, shape (num_dst, edge_dim), float.

    Raises:
        InputError: the block has no edge attributes, or not ``edge_dim`` columns of them.
    """
    found = 0 if block.edge_attr is None else block.edge_attr.shape[1]
    if block.edge_attr is None or found != edge_dim:
        raise InputError(f"the encoder was made for {edge_dim} edge attributes, the graph has {found}; set edge_dim")
    edges = torch.arange(block.num_edges, device=block.pattern.col.device, dtype=block.pattern.col.dtype)
    incidence = Pattern(block.pattern.rowptr, edges, block.num_edges)
    return spmm(incidence, block.weight, block.edge_attr.to(torch.get_default_dtype()))


class GIN(StackedEncoder):
    """Graph isomorphism network (Xu et al., 2019, arXiv:1810.00826), as InfoGraph and GraphCL build it.

    The norm follows the activation, as in InfoGraph's code. Edge attributes enter as in Hu et al. (2020,
    arXiv:1905.12265), one linear map per layer.

    GraphMAE's code has another GIN (THUDM/GraphMAE, graphmae/models/gin.py): ``eps=1`` for the self-loops that it
    adds to the data before a node is added to the sum, ``mlp_norm=batch``, ``order=norm-activation``, ``init=torch``,
    ``activation=prelu``, and dropout before every layer (``in_dropout`` and ``dropout``). Its presets for sets of
    graphs say all of that.

    Args:
        mlp_layers: linear maps in the MLP of a layer.
        eps: initial eps; a node counts itself 1 + eps times.
        learn_eps: whether eps is trained.
        edge_dim: columns of the edge attributes; 0 leaves them out, as the published TU results do.
        edge_attr: true takes ``edge_dim`` from the data, false leaves edge attributes out.
        mlp_norm: normalisation before each activation within the MLP of a layer.
        order: what follows a layer first, its activation or its norm.
        init: Glorot weights and biases of zero, or those of ``torch.nn.Linear``.

    The other options are those of ``StackedEncoder``.
    """

    can_use_edge_attr = True

    def __init__(
        self,
        in_dim: int,
        *,
        hidden_dim: PositiveInt = 32,
        num_layers: PositiveInt = 3,
        mlp_layers: PositiveInt = 2,
        eps: float = 0.0,
        learn_eps: bool = False,
        edge_dim: NonNegativeInt = 0,
        activation: Activation = "relu",
        norm: NormKind = "batch",
        jk: JumpingKnowledge = "cat",
        edge_attr: EdgeAttr = None,
        mlp_norm: Annotated[RowNorm, Neutral("none")] = "none",
        order: Annotated[Order, Neutral("activation-norm")] = "activation-norm",
        init: Annotated[Init, Neutral("glorot")] = "glorot",
        **inherited: Any,
    ) -> None:
        self.edge_dim = 0 if edge_attr is False else edge_dim
        self.mlp_layers, self.eps, self.learn_eps = mlp_layers, eps, learn_eps
        self.activation, self.mlp_norm, self.order, self.init = activation, mlp_norm, order, init
        super().__init__(
            in_dim,
            hidden_dim=hidden_dim,
            num_layers=num_layers,
            activation=activation,
            norm=norm,
            jk=jk,
            edge_attr=edge_attr,
            **inherited,
        )
        self.uses_edge_attr = self.edge_dim > 0

    def make_layer(self, in_dim: int, out_dim: int) -> GINLayer:
        return GINLayer(
            in_dim,
            out_dim,
            mlp_layers=self.mlp_layers,
            activation=self.activation,
            eps=self.eps,
            learn_eps=self.learn_eps,
            edge_dim=self.edge_dim,
            mlp_norm=self.mlp_norm,
            init=self.init,
        )

    def finish(self, index: int, out: Tensor, batch: MiniBatch) -> Tensor:
        if self.order == "norm-activation":
            return super().finish(index, out, batch)
        normed: Tensor = self.norms[index](self.activations[index](out), batch)
        return normed
