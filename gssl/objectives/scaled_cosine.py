"""Scaled cosine error."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from gssl.objectives.weights import weighted_mean


def scaled_cosine_terms(prediction: Tensor, target: Tensor, *, gamma: float = 2.0) -> Tensor:
    """``(1 - cos(prediction_i, target_i)) ** gamma``, shape (n,)."""
    return (1 - F.cosine_similarity(prediction, target, dim=1)).clamp(min=0) ** gamma


def scaled_cosine_error(
    prediction: Tensor, target: Tensor, *, gamma: float = 2.0, weight: Tensor | None = None
) -> Tensor:
    """Scaled cosine error (GraphMAE, Hou et al., 2022, arXiv:2205.10803, eq. 2), a scalar.

    Args:
        prediction: reconstructed features, shape (n, dim), float.
        target: features, shape (n, dim), float.
        gamma: at least 1; larger values weigh easy items down.
        weight: importance weight of each item, shape (n,); None means 1 each.
    """
    return weighted_mean(scaled_cosine_terms(prediction, target, gamma=gamma), weight)
