"""Agreement over pairs of items."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.utils import softmax

from gssl.graph.sparse import Pattern
from gssl.models.ops import sddmm, spmm
from gssl.objectives.weights import weighted_mean


def bootstrap_pairs(prediction: Tensor, target: Tensor, pairs: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Weighted mean over pairs (i, j) of ``2 - 2 cos(prediction_i, target_j)``, a scalar in [0, 4].

    The loss of AFGRL (Lee et al., 2022, arXiv:2112.02472), as a mean over pairs and up to the constant 2. The
    cosines of an item add up to one product with the sum of its unit targets, so nothing is as large as pairs times
    columns.

    Args:
        prediction: output of the online predictor, shape (n, dim), float.
        target: output of the target network, shape (n, dim), float; no gradient reaches it.
        pairs: shape (2, num_pairs), int64; at least one.
        weight: importance weight of each pair, shape (num_pairs,), float; None means 1 each.
    """
    pattern, order = Pattern.from_coo(pairs[0], pairs[1], len(prediction), len(target))
    weights = prediction.new_ones(len(order)) if weight is None else weight[order].to(prediction.dtype)
    pull = spmm(pattern, weights, F.normalize(target.detach(), dim=1))
    cosines: Tensor = (F.normalize(prediction, dim=1) * pull).sum()
    return 2 - 2 * cosines / weights.sum()


def neighbor_attention(
    pattern: Pattern, anchor: Tensor, neighbor: Tensor, *, temperature: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """How much each neighbor supports an item: softmax over its neighbors j of ``cos(anchor_i, neighbor_j)`` by the
    temperature (BLNN, Liu et al., 2024, arXiv:2408.05087).

    Args:
        pattern: row i has the neighbors of item i, shape (n, n).
        anchor: shape (n, dim), float.
        neighbor: shape (n, dim), float.
        temperature: positive.
        weight: importance weight of each item as a neighbor, shape (n,); None means 1 each. One of weight 2 counts as
            two neighbors.

    Returns:
        Shape (nnz,), float, constant; the sum over each row that has a neighbor is 1.
    """
    logits = sddmm(pattern, F.normalize(anchor.detach(), dim=1), F.normalize(neighbor.detach(), dim=1)) / temperature
    row = pattern.row.long()
    attention: Tensor = softmax(logits, row, num_nodes=pattern.num_rows)
    if weight is None:
        return attention
    counted = attention * weight.detach()[pattern.col]
    return counted / _row_sums(pattern, counted)[row].clamp(min=torch.finfo(counted.dtype).tiny)


def bootstrap_neighbors(
    prediction: Tensor, target: Tensor, pattern: Pattern, attention: Tensor, *, weight: Tensor | None = None
) -> Tensor:
    """Weighted mean over items i of ``sum_j attention_ij (2 - 2 cos(prediction_i, target_j))``, a scalar.

    The neighbors of an item are positives as far as they support it (BLNN, arXiv:2408.05087). An item that has none
    adds nothing. Nothing is as large as pairs times columns.

    Args:
        prediction: output of the online predictor, shape (n, dim), float.
        target: output of the target network, shape (n, dim), float; no gradient reaches it.
        pattern: row i has the neighbors of item i, shape (n, n).
        attention: constant, shape (nnz,), float; see :func:`neighbor_attention`.
        weight: importance weight of each item, shape (n,), float; None means 1 each.
    """
    pull = spmm(pattern, attention, F.normalize(target.detach(), dim=1))
    cosines = (F.normalize(prediction, dim=1) * pull).sum(1)
    return 2 * weighted_mean(_row_sums(pattern, attention) - cosines, weight)


def _row_sums(pattern: Pattern, value: Tensor) -> Tensor:
    return value.new_zeros(pattern.num_rows).index_add_(0, pattern.row.long(), value)
