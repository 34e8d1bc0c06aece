"""What training reports: one record per epoch and their summary."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochRecord:
    """One epoch.

    Attributes:
        epoch: its number, from 0.
        loss: plain mean of the losses of its batches, each taken before the update that it causes.
        lr: learning rate of its last update.
        seconds: time in batches and updates, without validation and checkpoints.
        val: score on the validation items after the epoch; None where nothing is validated.
    """

    epoch: int
    loss: float
    lr: float
    seconds: float
    val: float | None = None


@dataclass(frozen=True)
class TrainResult:
    """How training went. All times include the parts before an interruption.

    Attributes:
        curve: one record per epoch, in order.
        seconds: sum over the epochs.
        seconds_per_epoch: median over the epochs; 0 without epochs.
        peak_memory_mb: largest memory during training in MiB (2**20 bytes), since the last interruption: resident
            memory of the whole process on the CPU, memory allocated on the device otherwise.
        stopped_early: whether patience ran out.
        best_epoch: epoch whose weights the method has now; None for the last (or initial) ones.
    """

    curve: tuple[EpochRecord, ...]
    seconds: float
    seconds_per_epoch: float
    peak_memory_mb: float
    stopped_early: bool
    best_epoch: int | None

    @property
    def epochs(self) -> int:
        """Epochs run."""
        return len(self.curve)
