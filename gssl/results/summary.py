"""The result of a run from what its seeds measured."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from gssl.config.record import RunConfig
from gssl.results.seed import Metrics, SeedMetrics


def summarise(
    config: RunConfig,
    seeds: Sequence[SeedMetrics],
    *,
    metric: str,
    probe_version: int,
    notes: Iterable[str],
    world_size: int = 1,
) -> dict[str, Any]:
    """The JSON object of ``gssl run``, without the folder.

    Scores are means over the seeds, each seed being the mean over its splits; ``*_std`` is the sample standard
    deviation over the seeds (divided by n - 1), 0 for one seed. Times and loads are means per seed, None where one of
    the seeds does not know; memory is the largest.
    ``metrics`` holds the same four numbers of every metric, the one that choices are made on first. ``staleness_*`` is
    the age in steps of the history rows that batches read; both are None without a history.

    Args:
        config: the run.
        seeds: one record per seed of the configuration, in order.
        metric: what the scores are, on which choices are made.
        probe_version: version of the probe.
        notes: remarks about the data and the run.
        world_size: processes that trained together.
    """
    measured = [seed.metrics(metric) for seed in seeds]
    metrics = summary_of(measured)
    return {
        "method": config.method.name,
        "dataset": config.dataset,
        "task": config.task.name,
        "setting": config.setting.name,
        "encoder": config.encoder.name,
        "sampler": config.sampler.name,
        "preset": config.preset,
        "probe": config.probe.name,
        "probe_version": probe_version,
        "metric": metric,
        **metrics[metric],
        "metrics": metrics,
        "seeds": len(seeds),
        "first_seed": config.seeds[0],
        "epochs": round(statistics.fmean(seed.epochs for seed in seeds)),
        "pretrain_seconds": statistics.fmean(seed.pretrain_seconds for seed in seeds),
        "pretrain_cpu_seconds": mean_and_std([seed.pretrain_cpu_seconds for seed in seeds])[0],
        "load": mean_and_std([seed.load for seed in seeds])[0],
        "seconds_per_epoch": statistics.fmean(seed.seconds_per_epoch for seed in seeds),
        "probe_seconds": statistics.fmean(seed.probe_seconds for seed in seeds),
        "peak_memory_mb": max(seed.peak_memory_mb for seed in seeds),
        "world_size": world_size,
        "empty_draws": sum(seed.empty_draws for seed in seeds),
        "staleness_mean": mean_and_std([seed.staleness_mean for seed in seeds])[0],
        "staleness_max": max((s.staleness_max for s in seeds if s.staleness_max is not None), default=None),
        "config_hash": config.hash,
        "split_hash": joint_hash([seed.split_hash for seed in seeds]),
        "environment_hash": joint_hash([str(seed.environment["hash"]) for seed in seeds]),
        "notes": list(dict.fromkeys([*notes, *(note for seed in seeds for note in seed.notes)])),
        "per_seed": [
            {
                "seed": seed.seed,
                "val": seed.val,
                "test": seed.test,
                "split_hash": seed.split_hash,
                "metrics": {name: {"val": val, "test": test} for name, (val, test) in found.items()},
            }
            for seed, found in zip(seeds, measured, strict=True)
        ],
    }


def summary_of(seeds: Sequence[Metrics]) -> dict[str, dict[str, float | None]]:
    """Mean and deviation of every metric over seeds; None where a seed has no value.

    Args:
        seeds: what each measured (:meth:`gssl.results.seed.SeedMetrics.metrics`).

    Returns:
        Name to ``val_mean``, ``val_std``, ``test_mean`` and ``test_std``, in the order of the first seed.
    """
    names = dict.fromkeys(name for seed in seeds for name in seed)
    found = {}
    for name in names:
        pairs = [seed.get(name, (None, None)) for seed in seeds]
        (val_mean, val_std), (test_mean, test_std) = (mean_and_std([pair[part] for pair in pairs]) for part in (0, 1))
        found[name] = {"val_mean": val_mean, "val_std": val_std, "test_mean": test_mean, "test_std": test_std}
    return found


def mean_and_std(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation; both None if a value is missing.

    Example:
        >>> mean_and_std([0.5]), mean_and_std([0.25, 0.75]), mean_and_std([0.5, None])
        ((0.5, 0.0), (0.5, 0.3535533905932738), (None, None))
    """
    known = [value for value in values if value is not None]
    if len(known) != len(values) or not known:
        return None, None
    return statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else 0.0


def joint_hash(hashes: Sequence[str]) -> str:
    """One hash for several: the hash itself where they are all the same."""
    if len(set(hashes)) == 1:
        return hashes[0]
    return hashlib.sha256("|".join(hashes).encode()).hexdigest()[:16]
