"""Encoders that can be run a layer at a time, which is what batches with history and layer-wise inference need."""

from __future__ import annotations

from functools import partial
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.first import FirstAggregates
from gssl.graph.gathered import GatheredRows
from gssl.graph.sparse import BatchFeatures, dense_features
from gssl.models.encoder import Encoder
from gssl.models.layers import Layer, dropout_features
from gssl.models.ops import Aggregation, gathered_product, linear_aggregate


class LayeredEncoder(Encoder):
    """An encoder that is made of layers, and the pieces of each: dropout, the layer itself, norm and activation.

    Attributes:
        layers: the layers, ``num_layers`` of :class:`~gssl.models.layers.Layer`.
        norms: of the layers that norm and activation follow, which are all or all but the last.
        activations: of the same layers.
        dropout: dropout probability on the input of every layer but the first.
        in_dropout: dropout probability on the features.
    """

    layers: nn.ModuleList
    norms: nn.ModuleList
    activations: nn.ModuleList
    dropout: float
    in_dropout: float

    def layer(self, index: int) -> Layer:
        """Layer number ``index``, from 0."""
        return cast("Layer", self.layers[index])

    def step(self, index: int, block: Block, x: BatchFeatures, batch: MiniBatch) -> Tensor:
        """Layer number ``index`` (from 0) with its dropout, norm and activation, shape (num_dst, dim)."""
        if index == 0 and batch.plan.first is not None:
            return self.finished(0, self.first_layer(batch, batch.plan.first)[0], batch)
        if index == 0:
            return self.finished(0, self.feature_layer(block, x), batch)
        assert isinstance(x, Tensor)
        x = F.dropout(x, self.dropout, self.training)
        return self.finished(index, self.layers[index](block, x), batch)

    def feature_layer(self, block: Block, x: BatchFeatures) -> Tensor:
        """Output of the first layer before norm and activation, with dropout on the features, shape (num_dst, dim).

        Gathered rows are copied only for dropout and for layers that cannot be taken apart.
        """
        if isinstance(x, GatheredRows):
            dropped = self.in_dropout > 0 and self.training
            if self.separable and not dropped:
                kind, layer = self.separable_layer(0)
                own = x.head(block.num_dst).to_dense()
                return layer.update(gathered_product(kind, block, own, x), own)
            x = x.to_dense()
        out: Tensor = self.layers[0](block, dropout_features(x, self.in_dropout, self.training))
        return out

    def first_layer(self, batch: MiniBatch, first: FirstAggregates) -> tuple[Tensor, Tensor]:
        """Output of the first layer before norm and activation, and the aggregate that it takes.

        Returns:
            Shapes (num_nodes, dim) and (num_nodes, in_dim).

        Raises:
            InputError: dropout on the features, which would have to come before the aggregation; a layer that is not
                linear in its neighbors.
        """
        if self.in_dropout and self.training:
            raise InputError("aggregated features allow no dropout before them; set encoder.in_dropout=0")
        kind, layer = self.separable_layer(0)
        aggregated = first.rows(kind, batch.node_ids[: batch.num_nodes], partial(linear_aggregate, kind))
        return layer.update(aggregated, dense_features(batch.x)), aggregated

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
        layer = self.layer(index)
        if layer.aggregation is None:
            raise InputError(f"a layer of {type(self).__name__} is not linear in its neighbours; use GCN, SAGE or GIN")
        return layer.aggregation, layer

    @property
    def separable(self) -> bool:
        """Whether every layer can be taken apart into a linear aggregation and an update."""
        return all(self.layer(index).aggregation is not None for index in range(self.num_layers))

    @property
    def takes_edge_weight(self) -> bool:
        return all(self.layer(index).takes_edge_weight for index in range(self.num_layers))
