"""How a method is trained: one typed, frozen record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from gssl.common.options import Neutral, NonNegative, NonNegativeInt, Positive, PositiveInt


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Options of the training loop (``--set train.NAME=VALUE``).

    Attributes:
        epochs: passes over the sampler; 0 keeps the initial weights.
        lr: peak learning rate.
        weight_decay: L2 penalty (``adam``, ``sgd``) or decoupled decay (``adamw``).
        optimizer: which one.
        schedule: learning rate after the warm-up; it changes with every batch, and the cosine ends at 0.
        warmup_epochs: epochs over which the rate rises linearly from 0.
        clip_norm: largest gradient norm; None leaves gradients alone.
        patience: stop when the epoch's mean SSL loss has not improved for this many epochs, and return to the
            weights of the best epoch; None trains to the end and keeps the last weights. For a supervised row the
            score on validation items counts, and the best weights are kept in any case.
        batch_size: items in a batch; None means the whole graph (node level) or 128 graphs (graph level).
        precision: as lightning-fabric calls it.
        tf32: whether products of float32 matrices on a CUDA device round their factors to 10 bits, which is several
            times faster; needs such a device.
        checkpoint_seconds: seconds between resumable checkpoints.
    """

    epochs: NonNegativeInt = 200
    lr: Positive = 1e-3
    weight_decay: NonNegative = 0.0
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_epochs: NonNegativeInt = 0
    clip_norm: Positive | None = None
    patience: PositiveInt | None = None
    batch_size: PositiveInt | None = None
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    tf32: Annotated[bool, Neutral(False)] = False
    checkpoint_seconds: Positive = 30.0


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(TrainConfig):
    """Options of a second training, on labels (``--set finetune.NAME=VALUE``)."""

    epochs: NonNegativeInt = 100
