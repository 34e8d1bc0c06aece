"""Encoders that are a stack of message-passing layers; a subclass says only what one layer is."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.common.options import Fraction, PositiveInt, Probability
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.sparse import BatchFeatures, Features
from gssl.models.encoder import EdgeAttr, Encoder, Readout
from gssl.models.first import feature_layer, first_layer
from gssl.models.history import layers_with_history
from gssl.models.layers import (
    Activation,
    JumpingKnowledge,
    Norm,
    NormKind,
    jump,
    make_activation,
)
from gssl.models.ops import Aggregation


class Layer(nn.Module):
    """One message-passing layer without norm and activation.

    Attributes:
        aggregation: the linear aggregation that the layer is made of, where ``forward`` equals ``update`` of the
            aggregate and the destinations' own rows; None for a layer that cannot be taken apart.
    """

    aggregation: Aggregation | None = None

    def forward(self, block: Block, x: Features) -> Tensor:
        """From source rows ``x`` (num_src, in_dim) to destination rows (num_dst, out_dim)."""
        raise NotImplementedError

    def update(self, aggregated: Tensor, own: Tensor) -> Tensor:
        """The layer after its aggregation, row by row.

        Args:
            aggregated: shape (num_dst, in_dim).
            own: the destinations' own rows, shape (num_dst, in_dim).

        Returns:
            Shape (num_dst, out_dim).
        """
        raise NotImplementedError


class StackedEncoder(Encoder):
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
        norm_momentum: Fraction = 0.1,
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
        self.out_dim = sum(dims[1:]) if jk == "cat" else last

    @abstractmethod
    def make_layer(self, in_dim: int, out_dim: int) -> Layer:
        """One new layer."""

    def step(self, index: int, block: Block, x: BatchFeatures, batch: MiniBatch) -> Tensor:
        """Layer number ``index`` (from 0) with its dropout, norm and activation, shape (num_dst, dim)."""
        if index == 0 and batch.plan.first is not None:
            return self.finished(0, first_layer(self, batch, batch.plan.first)[0], batch)
        if index == 0:
            return self.finished(0, feature_layer(self, block, x), batch)
        assert isinstance(x, Tensor)
        x = F.dropout(x, self.dropout, self.training)
        return self.finished(index, self.layers[index](block, x), batch)

    def finished(self, index: int, out: Tensor, batch: MiniBatch) -> Tensor:
        """:meth:`finish` where norm and activation follow the layer, else ``out`` itself."""
        return self.finish(index, out, batch) if index < len(self.activations) else out

    def finish(self, index: int, out: Tensor, batch: MiniBatch) -> Tensor:
        """Norm, then activation; an encoder with another order overrides it."""
        finished: Tensor = self.activations[index](self.norms[index](out, batch))
        return finished

    def finish_parameters(self, index: int) -> list[nn.Parameter]:
        """The parameters that :meth:`finish` uses."""
        return [*self.norms[index].parameters(), *self.activations[index].parameters()]

    def separable_layer(self, index: int) -> tuple[Aggregation, Layer]:
        """Layer number ``index`` and the aggregation that it is made of.

        Raises:
            InputError: it cannot be taken apart, as attention cannot.
        """
        layer = cast("Layer", self.layers[index])
        if layer.aggregation is None:
            raise InputError(f"a layer of {type(self).__name__} is not linear in its neighbours; use GCN, SAGE or GIN")
        return layer.aggregation, layer

    @property
    def separable(self) -> bool:
        """Whether every layer can be taken apart into a linear aggregation and an update."""
        return all(cast("Layer", layer).aggregation is not None for layer in self.layers)

    def forward(self, batch: MiniBatch) -> Tensor:
        if batch.plan.history is not None:
            outputs = layers_with_history(self, batch, batch.plan.history)
            return jump([h[: batch.num_targets] for h in outputs], self.jk)
        x: BatchFeatures = batch.x
        outputs = []
        for index in range(self.num_layers):
            x = self.step(index, batch.block(index), x, batch)
            outputs.append(x)
        # Sampled blocks shrink towards the targets, which come first in every layer.
        return jump([h[: batch.num_targets] for h in outputs], self.jk)
