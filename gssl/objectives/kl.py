"""Divergence of a diagonal Gaussian posterior from the standard normal prior."""

from __future__ import annotations

from torch import Tensor

from gssl.objectives.weights import weighted_mean


def gaussian_kl_terms(mean: Tensor, log_std: Tensor) -> Tensor:
    """``KL(N(mean_i, diag(std_i^2)) || N(0, I))``, shape (n,), from ``mean`` and ``log_std`` of shape (n, dim)."""
    return -0.5 * (1 + 2 * log_std - mean**2 - (2 * log_std).exp()).sum(dim=1)


def gaussian_kl(mean: Tensor, log_std: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Mean divergence over the nodes (VGAE, Kipf and Welling, 2016, arXiv:1611.07308, sec. 3), a scalar.

    Args:
        mean: shape (n, dim), float.
        log_std: logarithm of the standard deviation, shape (n, dim), float.
        weight: importance weight of each item, shape (n,); None means 1 each.
    """
    return weighted_mean(gaussian_kl_terms(mean, log_std), weight)
