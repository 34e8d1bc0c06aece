"""Learning-rate schedule: linear warm-up, then constant or cosine."""

from __future__ import annotations

import math
from typing import Literal


def rate_factor(position: float, *, epochs: float, warmup: float, schedule: Literal["constant", "cosine"]) -> float:
    """Share of the peak learning rate that an update uses.

    The rate changes with every batch, not with every epoch, and the first update of a warm-up uses 0 (as in the
    code of BGRL, Thakoor et al., 2022, arXiv:2102.06514). The cosine falls to 0 at the end of training, which no
    update sees.

    Args:
        position: finished training before the update, in epochs, for example 2.5.
        epochs: length of training.
        warmup: length of the linear rise from 0 to 1, in epochs; longer than training is allowed.
        schedule: what follows the warm-up.

    Returns:
        ``position / warmup`` during the warm-up, then 1 or
        ``(1 + cos(pi * (position - warmup) / (epochs - warmup))) / 2``.
    """
    if position < warmup:
        return position / warmup
    if schedule == "constant":
        return 1.0
    share = min((position - warmup) / (epochs - warmup), 1.0) if epochs > warmup else 1.0
    return (1 + math.cos(math.pi * share)) / 2
