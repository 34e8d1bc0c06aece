"""What one repetition measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from gssl.common.errors import InputError


@dataclass(frozen=True)
class SplitMetrics:
    """Scores on one split; ``val`` is None where the protocol has no validation data.

    ``others`` holds further metrics, name to validation and test value.
    """

    name: str
    hash: str
    val: float | None
    test: float
    chosen: dict[str, float]
    others: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class SeedMetrics:
    """One seed of a run.

    Attributes:
        seed: its number.
        val: mean over the splits, as a fraction; None without validation data or labels.
        test: mean over the splits, as a fraction; None without labels.
        splits: one entry per split.
        split_hash: of the splits together; empty without labels.
        epochs: epochs trained.
        pretrain_seconds: time in epochs, interruptions left out.
        seconds_per_epoch: median.
        probe_seconds: time in the probe.
        peak_memory_mb: largest memory of training in MiB.
        environment: the environment that finished it, with its hash.
        date: when it was finished, ISO 8601 in UTC.
        notes: what should be said about it.
        empty_draws: random draws of targets that came out empty.
        staleness_mean: mean age in steps of the history rows that batches read; None without a history.
        staleness_max: largest age.
    """

    seed: int
    val: float | None
    test: float | None
    splits: tuple[SplitMetrics, ...]
    split_hash: str
    epochs: int
    pretrain_seconds: float
    seconds_per_epoch: float
    probe_seconds: float
    peak_memory_mb: float
    environment: dict[str, Any]
    date: str
    notes: tuple[str, ...] = ()
    empty_draws: int = 0
    staleness_mean: float | None = None
    staleness_max: int | None = None

    def mapping(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, data: Mapping[str, Any], where: str) -> SeedMetrics:
        """From what :meth:`mapping` returned.

        Raises:
            InputError: keys are missing or unknown.
        """
        try:
            splits = tuple(SplitMetrics(**split) for split in data["splits"])
            return cls(**{**data, "splits": splits, "notes": tuple(data["notes"])})
        except (KeyError, TypeError) as error:
            raise InputError(
                f"{where} was written by another version ({error}); delete it to repeat the seed"
            ) from None
