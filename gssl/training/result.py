"""What training reports: one record per epoch and their summary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from gssl.graph.staleness import Staleness, overall


@dataclass(frozen=True)
class EpochRecord:
    """One epoch.

    Attributes:
        epoch: its number, from 0.
        loss: plain mean of the losses of its batches, each taken before the update that it causes.
        lr: learning rate of its last update.
        seconds: wall time in batches and updates, without validation and checkpoints.
        val: score on the validation items after the epoch; None where nothing is validated.
        history: age of the history rows that its batches read, a record a layer; empty where there is no history.
        empty_draws: random draws of targets that came out empty and were skipped.
        cpu_seconds: time that the process computed for meanwhile, all threads together; None where an earlier version
            trained the epoch.
        load: processes that computed on the machine, the average of the last minute; None where that is not known.
    """

    epoch: int
    loss: float
    lr: float
    seconds: float
    val: float | None = None
    history: tuple[Staleness, ...] = ()
    empty_draws: int = 0
    cpu_seconds: float | None = None
    load: float | None = None

    def plain(self) -> tuple[Any, ...]:
        """Numbers, strings and tuples alone, for a checkpoint."""
        return astuple(self)

    @classmethod
    def from_plain(cls, values: Sequence[Any]) -> EpochRecord:
        """From what :meth:`plain` gave."""
        epoch, loss, lr, seconds, val, history, *rest = values
        return cls(epoch, loss, lr, seconds, val, tuple(Staleness(*record) for record in history), *rest)


def total_or_none(values: Iterable[float | None]) -> float | None:
    """The sum; None where one of the values is.

    Example:
        >>> total_or_none([1.0, 2.0]), total_or_none([1.0, None]), total_or_none([])
        (3.0, None, 0)
    """
    known = list(values)
    return None if None in known else sum(value for value in known if value is not None)


def mean_or_none(values: Iterable[float | None]) -> float | None:
    """The mean; None where one of the values is, and of no values.

    Example:
        >>> mean_or_none([1.0, 2.0]), mean_or_none([1.0, None]), mean_or_none([])
        (1.5, None, None)
    """
    known = list(values)
    total = total_or_none(known)
    return None if total is None or not known else total / len(known)


@dataclass(frozen=True)
class TrainResult:
    """How training went. All times include the parts before an interruption.

    Attributes:
        curve: one record per epoch, in order.
        seconds: sum over the epochs, or of what stands in their place (``Method.solved_in``).
        seconds_per_epoch: median over the epochs; 0 without epochs.
        peak_memory_mb: largest memory during training in MiB (2**20 bytes), since the last interruption: resident
            memory of the whole process on the CPU, memory allocated on the device otherwise.
        stopped_early: whether patience ran out.
        best_epoch: epoch whose weights the method has now; None for the last (or initial) ones.
        cpu_seconds: sum over the epochs; None where one does not know.
        load: mean over the epochs; None where one does not know, and without epochs.
        notes: what the sampler says of how batches were made.
    """

    curve: tuple[EpochRecord, ...]
    seconds: float
    seconds_per_epoch: float
    peak_memory_mb: float
    stopped_early: bool
    best_epoch: int | None
    cpu_seconds: float | None = 0.0
    load: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def epochs(self) -> int:
        """Epochs run."""
        return len(self.curve)

    @property
    def empty_draws(self) -> int:
        """Random draws of targets that came out empty, in all epochs."""
        return sum(record.empty_draws for record in self.curve)

    @property
    def staleness(self) -> tuple[float | None, int | None]:
        """Mean and largest age in steps of the history rows that batches read; None without a history."""
        return overall(row for record in self.curve for row in record.history)
