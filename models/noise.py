"""Noise on the weights of an encoder: a view that leaves the graph as it is."""

from __future__ import annotations

import copy

import torch

from gssl.models.encoder import Encoder


@torch.no_grad()
def noisy_twin(encoder: Encoder, eta: float, rng: torch.Generator) -> Encoder:
    """A copy of an encoder with Gaussian noise on its weights (SimGRACE, Xia et al., 2022, arXiv:2202.03104, eq. 2).

    Each parameter gets noise whose standard deviation is ``eta`` times that of its own entries, so that a layer of
    small weights is disturbed as much as one of great weights. Constants (a new bias) and single numbers have no spread
    and stay as they are. The copy shares nothing with the encoder: no gradient reaches that one, and its statistics of
    batches stay.

    Args:
        encoder: is not changed.
        eta: size of the noise; 0 gives an equal encoder.
        rng: on the device of the encoder.
    """
    twin = copy.deepcopy(encoder).requires_grad_(False)
    for parameter in twin.parameters():
        if parameter.numel() > 1:
            noise = torch.randn(parameter.shape, generator=rng, device=parameter.device, dtype=parameter.dtype)
            parameter.add_(noise * (eta * parameter.std()))
    return twin
