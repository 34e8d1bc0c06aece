"""Agreement over pairs of items."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from gssl.graph.sparse import Pattern
from gssl.models.ops import spmm


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
