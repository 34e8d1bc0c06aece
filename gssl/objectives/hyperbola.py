"""Latents as points of a hyperbola."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.common.errors import InputError
from gssl.objectives.weights import weighted_mean


def hyperbola_points(latent: Tensor) -> Tensor:
    """``(cosh a, sinh a)`` of the mean ``a`` of each row (Graph-JEPA, arXiv:2309.16014), shape (n, 2).

    Args:
        latent: shape (n, dim), float.
    """
    angle = latent.mean(1)
    return torch.stack([angle.cosh(), angle.sinh()], dim=1)


def hyperbola_error(prediction: Tensor, latent: Tensor, *, beta: float = 1.0, weight: Tensor | None = None) -> Tensor:
    """Smooth L1 distance of predicted points from those of latents, a scalar; no gradient reaches the latents.

    Args:
        prediction: shape (n, 2), float.
        latent: shape (n, dim), float.
        beta: distance at which the square becomes a straight line, positive.
        weight: importance weight of each item, shape (n,); None means 1 each.

    Raises:
        InputError: the shapes do not match, or ``beta`` is not positive.
    """
    if prediction.shape != (len(latent), 2):
        raise InputError(f"hyperbola_error needs a point for each of {len(latent)} latents: {tuple(prediction.shape)}")
    if beta <= 0:
        raise InputError(f"beta must be positive, but is {beta:g}")
    terms = F.smooth_l1_loss(prediction, hyperbola_points(latent.detach()), beta=beta, reduction="none")
    return weighted_mean(terms.mean(1), weight)
