"""What one repetition measured."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from gssl.common.errors import InputError

# Name of a metric to its validation and test value; None for a value that there is not.
Metrics = dict[str, tuple[float | None, float | None]]


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
    others: Metrics = field(default_factory=dict)


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
        pretrain_seconds: wall time in epochs, interruptions left out.
        seconds_per_epoch: median.
        probe_seconds: time in the probe.
        peak_memory_mb: largest memory of training in MiB.
        environment: the environment that finished it, with its hash.
        date: when it was finished, ISO 8601 in UTC.
        notes: what should be said about it.
        empty_draws: random draws of targets that came out empty.
        staleness_mean: mean age in steps of the history rows that batches read; None without a history.
        staleness_max: largest age.
        pretrain_cpu_seconds: time that the process computed for in epochs, all threads together; None in results of an
            earlier version.
        load: processes that computed on the machine meanwhile, on average; None where that is not known.
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
    pretrain_cpu_seconds: float | None = None
    load: float | None = None

    def mapping(self) -> dict[str, Any]:
        return asdict(self)

    def metrics(self, first: str) -> Metrics:
        """Every metric as a mean over the splits, the first one first; None where a split has no value.

        Args:
            first: the name of what ``val`` and ``test`` are.
        """
        names = dict.fromkeys(name for split in self.splits for name in split.others if name != first)
        pairs = {name: [split.others.get(name, (None, None)) for split in self.splits] for name in names}
        further = {
            name: (_mean([val for val, _ in found]), _mean([test for _, test in found]))
            for name, found in pairs.items()
        }
        return {first: (self.val, self.test), **further}

    @classmethod
    def read(cls, data: Mapping[str, Any], where: str) -> SeedMetrics:
        """From what :meth:`mapping` returned.

        Raises:
            InputError: keys are missing or unknown.
        """
        try:
            splits = tuple(_split(split) for split in data["splits"])
            return cls(**{**data, "splits": splits, "notes": tuple(data["notes"])})
        except (KeyError, TypeError) as error:
            raise InputError(
                f"{where} was written by another version ({error}); delete it to repeat the seed"
            ) from None


def _split(data: Mapping[str, Any]) -> SplitMetrics:
    """Of a file, where pairs are lists; one of a version without further metrics has none."""
    return SplitMetrics(**{**data, "others": {name: tuple(pair) for name, pair in data.get("others", {}).items()}})


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known and len(known) == len(values) else None
