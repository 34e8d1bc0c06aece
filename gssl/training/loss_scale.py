"""The factor that 16-bit training puts on its loss, for whoever looks at gradients before the optimizer does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gssl.common.errors import InputError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from gssl.samplers.base import Sampler


@dataclass(frozen=True)
class LossScale:
    """The scaler of a precision, or none.

    Attributes:
        scaler: of ``16-mixed``; None where gradients are those of the loss itself.
    """

    scaler: torch.amp.GradScaler | None = None

    @classmethod
    def of(cls, fabric: Fabric) -> LossScale:
        """That of a fabric's precision."""
        return cls(getattr(fabric.strategy.precision, "scaler", None))

    def taken_off(self, values: Tensor) -> Tensor:
        """What is proportional to gradients, without the factor; float32, on its device, without waiting for it."""
        if self.scaler is None:
            return values
        factor: Tensor = self.scaler.scale(torch.ones((), device=values.device))
        return values / factor

    def known(self, norms: Tensor) -> bool:
        """Whether norms say something: gradients that overflowed in 16 bits do not, and the step is skipped.

        Without a scaler they always do, for there NaN means that training diverged, which is an error.
        """
        return self.scaler is None or bool(norms.isfinite().all())

    def check(self, sampler: Sampler) -> None:
        """Refuse to keep gradients from one batch to the next.

        Raises:
            InputError: the sampler does, and gradients carry a factor that changes.
        """
        if self.scaler is not None and sampler.stores_gradients:
            raise InputError(
                "train.precision=16-mixed multiplies gradients by a factor that changes, and they may overflow, so "
                "they cannot be stored, as the propagations adjoint and lmc do; use bf16-mixed, or another propagation"
            )
