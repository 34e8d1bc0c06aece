"""The first layer of encoders, which takes the features of a batch or what is known of their aggregates."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.first import FirstAggregates
from gssl.graph.gathered import GatheredRows
from gssl.graph.sparse import BatchFeatures, dense_features
from gssl.models.layers import dropout_features
from gssl.models.ops import gathered_product, linear_aggregate

if TYPE_CHECKING:
    from gssl.graph.batch import MiniBatch
    from gssl.models.stack import StackedEncoder
from gssl.graph.block import Block


def feature_layer(encoder: StackedEncoder, block: Block, x: BatchFeatures) -> Tensor:
    """Output of the first layer before norm and activation, with dropout on the features, shape (num_dst, dim).

    Gathered rows are copied only for dropout and for layers that cannot be taken apart.
    """
    if isinstance(x, GatheredRows):
        dropped = encoder.in_dropout > 0 and encoder.training
        if encoder.separable and not dropped:
            kind, layer = encoder.separable_layer(0)
            own = x.head(block.num_dst).to_dense()
            return layer.update(gathered_product(kind, block, own, x), own)
        x = x.to_dense()
    out: Tensor = encoder.layers[0](block, dropout_features(x, encoder.in_dropout, encoder.training))
    return out


def first_layer(encoder: StackedEncoder, batch: MiniBatch, first: FirstAggregates) -> tuple[Tensor, Tensor]:
    """Output of the first layer before norm and activation, and the aggregate that it takes.

    Returns:
        Shapes (num_nodes, dim) and (num_nodes, in_dim).

    Raises:
        InputError: dropout on the features, which would have to come before the aggregation; a layer that is not
            linear in its neighbors.
    """
    if encoder.in_dropout and encoder.training:
        raise InputError("aggregated features allow no dropout before them; set encoder.in_dropout=0")
    kind, layer = encoder.separable_layer(0)
    aggregated = first.rows(kind, batch.node_ids[: batch.num_nodes], partial(linear_aggregate, kind))
    return layer.update(aggregated, dense_features(batch.x)), aggregated
