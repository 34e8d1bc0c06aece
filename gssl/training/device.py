"""Where training runs and in which precision, through lightning-fabric."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import torch

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from gssl.method import Player
    from gssl.training.config import TrainConfig


def resolve_device(name: str) -> Literal["cpu", "cuda"]:
    """The device that ``auto``, ``cpu`` or ``cuda`` stands for here.

    Raises:
        InputError: another name, or CUDA where there is none.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"unknown device {name!r}; use auto, cpu or cuda")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError(
            f"device 'cuda' was asked for but PyTorch finds no CUDA device: {_why_none()}; or use --device cpu or auto"
        )
    return "cuda" if available and name != "cpu" else "cpu"


def _why_none() -> str:
    """What keeps PyTorch from a CUDA device, and what to do about it."""
    if not torch.backends.cuda.is_built():
        return "this PyTorch was built without CUDA, install one with it (pytorch.org says how)"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and hidden.strip() in ("", "-1"):
        return f"CUDA_VISIBLE_DEVICES={hidden} hides them, unset it"
    return "see whether nvidia-smi shows one, and whether its driver is new enough for this PyTorch"


def build_fabric(device: str, precision: str, *, tf32: bool = False) -> Fabric:
    """One device, one process.

    Raises:
        InputError: the device does not exist, or cannot compute in this precision.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment

    accelerator = fit_device(device, precision, tf32=tf32)
    # Without an explicit environment Fabric reads that of a cluster scheduler and wants to be one of its ranks.
    return Fabric(accelerator=accelerator, devices=1, precision=precision, plugins=[LightningEnvironment()])  # type: ignore[arg-type]  # precision is checked by TrainConfig


def fit_device(device: str, precision: str, *, tf32: bool) -> Literal["cpu", "cuda"]:
    """The device that is meant, which can compute so.

    Raises:
        InputError: it does not exist, or cannot.
    """
    accelerator = resolve_device(device)
    if accelerator == "cpu" and precision == "16-mixed":  # Fabric would quietly take another
        raise InputError("train.precision '16-mixed' needs a CUDA device; use 'bf16-mixed' on the CPU")
    if accelerator == "cpu" and tf32:
        raise InputError("train.tf32 needs a CUDA device; leave it out on the CPU, whose products are float32")
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces the precision otherwise
    return accelerator


@contextmanager
def float32_products(device: torch.device, *, tf32: bool) -> Iterator[None]:
    """Within it, products of float32 matrices on CUDA may round their factors if ``tf32``; what was set comes back."""
    if device.type != "cuda" or not tf32:
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class Mover:
    """Moves batches to a device and remembers the last one, so that a full graph travels once."""

    def __init__(self) -> None:
        self._last: tuple[MiniBatch, MiniBatch] | None = None

    def __call__(self, batch: MiniBatch, device: torch.device) -> MiniBatch:
        if batch.device == device:
            return batch
        if self._last is None or self._last[0] is not batch or self._last[1].device != device:
            # Pinned batches travel while the CPU goes on; others are copied before the call returns.
            self._last = (batch, batch.to(device, non_blocking=device.type == "cuda"))
        return self._last[1]


def make_optimizer(player: Player, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimizer that the configuration names, with a group for each that the player has.

    A group has the key ``rate``, what its learning rate must be multiplied with whenever it is set.
    """
    # The fused kernels are several times faster on the CPU too. They unscale 16-bit gradients by themselves, which
    # excludes clipping, so float16 goes without.
    fused = config.precision != "16-mixed"
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "sgd": torch.optim.SGD,
    }
    apart = {id(parameter) for group in player.groups for parameter in group.parameters}
    groups: list[dict[str, Any]] = [{"params": [p for p in player.parameters if id(p) not in apart]}]
    for group in player.groups:
        decay = config.weight_decay if group.weight_decay is None else group.weight_decay
        groups.append({"params": list(group.parameters), "weight_decay": decay, "rate": group.rate})
    return kinds[config.optimizer](groups, lr=config.lr, weight_decay=config.weight_decay, fused=fused)
