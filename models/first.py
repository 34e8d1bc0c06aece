"""The first layer of encoders on batches whose aggregated features are known."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor

from gssl.common.errors import InputError
from gssl.models.ops import linear_aggregate
from gssl.samplers.first import FirstAggregates
from gssl.samplers.sparse import SparseMatrix

if TYPE_CHECKING:
    from gssl.models.stack import StackedEncoder
    from gssl.samplers.batch import MiniBatch


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
    assert not isinstance(batch.x, SparseMatrix)  # refused by ``first``
    return layer.update(aggregated, batch.x), aggregated
