"""Losses and gradients that training may go on from."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from gssl.common.errors import TrainingError
from gssl.training.state import TrainingRun, Unseen

# A loss this many times larger than that of the first epoch (or than 1) has exploded. Losses that are sums over all
# pairs of a large graph reach 1e8 honestly, so the bound is relative.
EXPLODED = 1e8
# Looking at a number makes the host wait for a device or for other processes, so that those of so many batches are
# looked at together.
TOGETHER = 16


def see(run: TrainingRun, value: Tensor, what: str) -> None:
    """Look at a loss or a norm: at once where nobody is waited for, and otherwise with others.

    That is, by a process alone on the CPU it is looked at here, and else in :func:`settle` at the latest.

    Args:
        run: the training under way; what is called ``loss`` is added to its sum.
        value: scalar, float; of this process.
        what: as messages call it.

    Raises:
        TrainingError: see :func:`settle`.
    """
    run.unseen.append(Unseen(value.detach(), what, run.position.epoch, run.position.batches))
    at_once = value.device.type == "cpu" and run.group.world == 1
    if at_once or len(run.unseen) >= 2 * TOGETHER:
        settle(run)


def settle(run: TrainingRun) -> None:
    """Look at everything that was not looked at yet, in order; all processes do at the same places.

    Raises:
        TrainingError: a number is not finite or, for a loss, exploded.
    """
    if not run.unseen:
        return
    unseen, run.unseen = run.unseen, []
    numbers = run.group.means(torch.stack([one.value.double() for one in unseen]).tolist())
    for one, number in zip(unseen, numbers, strict=True):
        _check(run, number, one)
        if one.what != "loss":
            continue
        if one.epoch == run.position.epoch:
            run.position.loss_sum += number
        else:  # the only batch of an epoch that is over
            run.curve[one.epoch] = replace(run.curve[one.epoch], loss=number)


def _check(run: TrainingRun, value: float, unseen: Unseen) -> None:
    what = unseen.what
    largest = math.inf
    if what == "loss" and run.curve:
        largest = EXPLODED * max(1.0, abs(run.curve[0].loss))
    if math.isfinite(value) and abs(value) <= largest:
        return
    if not unseen.epoch and not unseen.batches:
        raise TrainingError(
            f"the {what} is {value:g} in epoch 0, with the weights that training begins with, so no rate is to "
            "blame: look for an extreme option (a temperature, a noise, the weight of a term) or extreme features"
        )
    last = f"{run.curve[unseen.epoch - 1].loss:.6g}" if unseen.epoch else "none, this is the first epoch"
    raise TrainingError(
        f"the {what} is {value:g} in epoch {unseen.epoch} (last good mean loss: {last}); "
        f"try a lower --set train.lr (now {run.config.lr:g}) or --set train.clip_norm=1"
    )
