"""Losses and gradients that training may go on from."""

from __future__ import annotations

import math

from gssl.common.errors import TrainingError
from gssl.training.state import TrainingRun

# A loss this many times larger than that of the first epoch (or than 1) has exploded. Losses that are sums over all
# pairs of a large graph reach 1e8 honestly, so the bound is relative.
EXPLODED = 1e8


def checked(run: TrainingRun, value: float, what: str) -> float:
    """The value itself.

    Raises:
        TrainingError: it is not finite or, for a loss, exploded.
    """
    largest = math.inf
    if what == "loss" and run.curve:
        largest = EXPLODED * max(1.0, abs(run.curve[0].loss))
    if math.isfinite(value) and abs(value) <= largest:
        return value
    if not run.curve and not run.position.batches:
        raise TrainingError(
            f"the {what} is {value:g} in epoch 0, with the weights that training begins with, so no rate is to "
            "blame: look for an extreme option (a temperature, a noise, the weight of a term) or extreme features"
        )
    last = f"{run.curve[-1].loss:.6g}" if run.curve else "none, this is the first epoch"
    raise TrainingError(
        f"the {what} is {value:g} in epoch {run.position.epoch} (last good mean loss: {last}); "
        f"try a lower --set train.lr (now {run.config.lr:g}) or --set train.clip_norm=1"
    )
