"""Bootstrap agreement."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from gssl.objectives.weights import weighted_mean


def bootstrap_terms(prediction: Tensor, target: Tensor) -> Tensor:
    """``2 - 2 cos(prediction_i, target_i)``, shape (n,), in [0, 4]; no gradient reaches ``target``.

    Args:
        prediction: output of the online predictor, shape (n, dim).
        target: output of the target network, shape (n, dim).
    """
    return 2 - 2 * F.cosine_similarity(prediction, target.detach(), dim=1)


def bootstrap_cosine(prediction: Tensor, target: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Weighted mean of the bootstrap terms (BGRL, arXiv:2102.06514, eq. 3, up to the constant 2), a scalar.

    Args:
        prediction: shape (n, dim), float.
        target: shape (n, dim), float.
        weight: importance weight of each item, shape (n,); None means 1 each.
    """
    return weighted_mean(bootstrap_terms(prediction, target), weight)
