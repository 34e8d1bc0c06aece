"""Exponential moving averages of encoders."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from gssl.common.options import Fraction
from gssl.graph.batch import MiniBatch


def cosine_momentum(momentum: float, progress: float) -> float:
    """Momentum that rises from ``momentum`` to 1 along half a cosine (Grill et al., 2020, arXiv:2006.07733).

    Args:
        momentum: value at the start, in [0, 1].
        progress: finished share of training, in [0, 1].

    Returns:
        ``1 - (1 - momentum) * (cos(pi * progress) + 1) / 2``.
    """
    return 1 - (1 - momentum) * (math.cos(math.pi * progress) + 1) / 2


class EMATarget(nn.Module):
    """A copy of an encoder that follows it slowly and gets no gradient.

    Parameters move by ``target = tau * target + (1 - tau) * online`` (Thakoor et al., 2022, arXiv:2102.06514,
    equation 2). Buffers, such as the running statistics of batch norm, are copied: they are averages already, and
    the paper speaks of weights only (its code leaves to the target the statistics of its own batches, which do not
    matter in training). Its code also draws the target's first weights anew; here it starts as a copy. The copy is part
    of the state dict and of no optimizer.

    Args:
        encoder: the online encoder, or any module that takes a batch; the target starts equal to it.
        momentum: tau at the start of training; it rises to 1 along :func:`cosine_momentum`.
        rises: false keeps tau as it is.
    """

    def __init__(self, encoder: nn.Module, *, momentum: Fraction = 0.99, rises: bool = True) -> None:
        super().__init__()
        self.momentum, self.rises = momentum, rises
        self.encoder = copy.deepcopy(encoder).requires_grad_(False)

    @torch.no_grad()
    def forward(self, batch: MiniBatch) -> Tensor:
        """Target embeddings without a graph for gradients, of the shape of the online ones."""
        embedding: Tensor = self.encoder(batch)
        return embedding

    @torch.no_grad()
    def update(self, online: nn.Module, progress: float) -> None:
        """Move towards the online encoder; called after each optimizer step.

        Args:
            online: the encoder that this one was copied from.
            progress: finished share of training, in (0, 1].
        """
        average = get_ema_multi_avg_fn(cosine_momentum(self.momentum, progress if self.rises else 0.0))
        average(list(self.encoder.parameters()), list(online.parameters()), 0)
        for mine, theirs in zip(self.encoder.buffers(), online.buffers(), strict=True):
            mine.copy_(theirs)
