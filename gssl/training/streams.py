"""The random streams that a loss draws from."""

from __future__ import annotations

import torch

from gssl.common.seeds import derive_seed
from gssl.method import Method


def start_streams(method: Method, seed: int, epoch: int, device: torch.device, *more: int | str) -> None:
    """Start the streams of an epoch anew.

    Args:
        method: whose augmentations draw from one of them; dropout and noise draw from the global one.
        seed: of the training.
        epoch: its number.
        device: where numbers are drawn.
        more: what else tells the streams apart.
    """
    method.reseed(derive_seed(seed, "augment", epoch, *more), device)
    _seed_global(derive_seed(seed, "epoch", epoch, *more), device)


def _seed_global(seed: int, device: torch.device) -> None:
    # torch.manual_seed would format a stack trace for each kind of device that is not in use, 0.5 ms in all.
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
