"""A second encoder that is built as the first one and shares nothing with it."""

from __future__ import annotations

import copy

import torch

from gssl.models.encoder import Encoder


@torch.no_grad()
def twin(encoder: Encoder) -> Encoder:
    """The same architecture with weights of its own, for methods with an encoder for each view.

    The entries of each new parameter are those of the old one in a random order. Where a parameter was drawn, entry
    by entry, from one distribution, that is another draw from it, whichever it was; constants stay as they are.

    Args:
        encoder: before any training.

    Returns:
        On the same device; the order comes from torch's global stream.
    """
    other = copy.deepcopy(encoder)
    for parameter in other.parameters():
        order = torch.randperm(parameter.numel())  # on the CPU, so that a seed means the same on every device
        parameter.copy_(parameter.flatten()[order.to(parameter.device)].view_as(parameter))
    return other
