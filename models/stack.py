"""Encoders that are a stack of message-passing layers; a subclass says only what one layer is."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from typing import Annotated

from torch import Tensor, nn

from gssl.common.options import Fraction, PositiveInt, Probability, UsedWith
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import BatchFeatures
from gssl.models.encoder import EdgeAttr, Readout
from gssl.models.history import layers_with_history
from gssl.models.layered import LayeredEncoder
from gssl.models.layers import (
    Activation,
    JumpingKnowledge,
    Layer,
    Norm,
    NormKind,
    jump,
    make_activation,
)


class StackedEncoder(LayeredEncoder):
    """``num_layers`` times: dropout, layer, norm, activation; then jumping knowledge.

    Args:
        in_dim: feature dimension of the input.
        hidden_dim: dimension of every layer but the last.
        out_dim: dimension of the last layer; ``hidden_dim`` if None.
        num_layers: message-passing layers.
        activation: after every layer.
        final_activation: whether norm and activation also follow the last layer.
        norm: normalisation before each activation.
        norm_momentum: weight of the newest batch in the running statistics of batch norm.
        dropout: dropout probability on the input of every layer but the first.
        in_dropout: dropout probability on the features.
        jk: how the layers' outputs become the embedding.
        readout: how node embeddings become graph embeddings.
        edge_attr: whether edge attributes are used; None does what the encoder does by default.
    """

    reads_history = True

    def __init__(
        self,
        in_dim: int,
        *,
        hidden_dim: PositiveInt = 256,
        out_dim: PositiveInt | None = None,
        num_layers: PositiveInt = 2,
        activation: Activation = "relu",
        final_activation: bool = True,
        norm: NormKind = "none",
        norm_momentum: Annotated[Fraction, UsedWith("norm", "batch")] = 0.1,
        dropout: Probability = 0.0,
        in_dropout: Probability = 0.0,
        jk: JumpingKnowledge = "last",
        readout: Readout = "sum",
        edge_attr: EdgeAttr = None,
    ) -> None:
        super().__init__()
        self.edge_attr = edge_attr
        last = hidden_dim if out_dim is None else out_dim
        dims = [in_dim] + [hidden_dim] * (num_layers - 1) + [last]
        self.in_dim, self.num_layers, self.readout = in_dim, num_layers, readout
        self.dropout, self.in_dropout, self.jk = dropout, in_dropout, jk
        self.layers = nn.ModuleList(self.make_layer(a, b) for a, b in itertools.pairwise(dims))
        finished = num_layers if final_activation else num_layers - 1
        self.norms = nn.ModuleList(Norm(norm, d, momentum=norm_momentum) for d in dims[1 : finished + 1])
        self.activations = nn.ModuleList(make_activation(activation) for _ in range(finished))
        self._dims = tuple(dims[1:])
        self.out_dim = sum(self._dims) if jk == "cat" else last

    @abstractmethod
    def make_layer(self, in_dim: int, out_dim: int) -> Layer:
        """One new layer."""

    @property
    def layer_dims(self) -> tuple[int, ...]:
        return self._dims

    def outputs(self, batch: MiniBatch) -> list[Tensor]:
        if batch.plan.history is not None:
            outputs = layers_with_history(self, batch, batch.plan.history)
        else:
            outputs = []
            x: BatchFeatures = batch.x
            for index in range(self.num_layers):
                x = self.step(index, batch.block(index), x, batch)
                outputs.append(x)
        # Sampled blocks shrink towards the targets, which come first in every layer.
        return [h[: batch.num_targets] for h in outputs]

    def forward(self, batch: MiniBatch) -> Tensor:
        return jump(self.outputs(batch), self.jk)
