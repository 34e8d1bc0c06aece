"""After the search: the found configuration as a preset, and its run beside that of the defaults on fresh seeds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from joblib import Parallel, delayed

from gssl.common import yaml_io
from gssl.common.files import write_text
from gssl.config.record import RunConfig
from gssl.datasets.declared import Declared
from gssl.datasets.load import load_dataset
from gssl.evaluate.metrics import higher_is_better
from gssl.experiment.run import run_experiment
from gssl.results.folder import BusyError, folder_name
from gssl.search.job import Say
from gssl.training.progress import Quiet
from gssl.training.threads import computing_on

_LOOK = 2.0  # seconds between looks at a run of another command
_KEPT = (
    "val_mean",
    "val_std",
    "test_mean",
    "test_std",
    "seeds",
    "epochs",
    "pretrain_seconds",
    "config_hash",
    "split_hash",
    "run_dir",
    "per_seed",
)


def write_preset(config: RunConfig, path: Path, source: str) -> None:
    """Write a configuration for ``gssl run --config``; it fixes every option and no seed."""
    content = {key: value for key, value in config.mapping().items() if key != "seeds"}
    write_text(path, yaml_io.dump({"source": source, **content}))


def compare(
    configs: Mapping[str, RunConfig],
    seeds: tuple[int, ...],
    *,
    folder: Path,
    device: str,
    db: str | None,
    workers: int,
    threads: int = 1,
    say: Say,
) -> dict[str, dict[str, Any]]:
    """Run each configuration as ``gssl run`` does; runs that are finished already are taken as they are.

    Args:
        configs: name to configuration; equal ones run once.
        seeds: that the search has not used.
        folder: run folders go below it.
        device: ``auto``, ``cpu`` or ``cuda``.
        db: URL of the results store; None for the default.
        workers: processes.
        threads: of one operation in each.
        say: told what goes on.

    Returns:
        For each name what its run measured.

    Raises:
        TrainingError: a training failed.
    """
    distinct = {config.hash: replace(config, seeds=seeds) for config in configs.values()}
    done = Parallel(n_jobs=min(workers, len(distinct)))(
        delayed(_run)(config, folder / f"{folder_name(config)}-seeds-{seeds[0]}-{seeds[-1]}", device, db, say, threads)
        for config in distinct.values()
    )
    results = dict(zip(distinct, done, strict=True))
    return {name: {key: results[config.hash][key] for key in _KEPT} for name, config in configs.items()}


def gains(default: Mapping[str, Any], tuned: Mapping[str, Any], metric: str) -> list[float] | None:
    """By how much the tuned configuration is better on validation, seed by seed; None without validation scores."""
    sign = 1 if higher_is_better(metric) else -1
    pairs = [(a["val"], b["val"]) for a, b in zip(default["per_seed"], tuned["per_seed"], strict=True)]
    if any(value is None for pair in pairs for value in pair):
        return None
    return [sign * (after - before) for before, after in pairs]


def mean_gain(differences: list[float] | None) -> float | None:
    """Their mean."""
    return None if differences is None else fmean(differences)


def _run(config: RunConfig, out: Path, device: str, db: str | None, say: Say, threads: int) -> dict[str, Any]:
    dataset, told = load_dataset(config.data, declared=Declared(**config.declared)), False
    while True:
        try:
            with computing_on(threads):
                return run_experiment(
                    config, dataset, device=device, display=lambda _: Quiet(), say=say, out=out, db=db
                )
        except BusyError:  # another command on the same study; what it finishes is taken over
            if not told:
                say(f"waiting for another command that runs {out.name}")
                told = True
            time.sleep(_LOOK)
