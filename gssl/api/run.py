"""``gssl.run``: what the command does, on data that are in memory too, with a result that can be worked with."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from gssl.api.given import whole
from gssl.common.errors import InputError
from gssl.common.launch import require_one_process
from gssl.common.resolve import load as load_component
from gssl.config.resolve import Request, Subject, declared_in, resolve
from gssl.datasets.convert import as_dataset
from gssl.experiment.prepare import prepare
from gssl.experiment.run import run_experiment
from gssl.training.progress import Quiet
from gssl.training.threads import computing_on

Value = str | int | float | bool | None | list[Any] | tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class RunResult:
    """A finished run.

    Attributes:
        data: the JSON object of ``gssl run --json``.
    """

    data: Mapping[str, Any]

    @property
    def run_dir(self) -> Path:
        """The folder of the run, for :func:`gssl.load`."""
        return Path(self.data["run_dir"])

    @property
    def val(self) -> float | None:
        """Mean validation score over the seeds; None where there are no validation items."""
        return None if self.data["val_mean"] is None else float(self.data["val_mean"])

    @property
    def test(self) -> float | None:
        """Mean test score over the seeds; None for data without labels."""
        return None if self.data["test_mean"] is None else float(self.data["test_mean"])

    @property
    def metrics(self) -> Mapping[str, Mapping[str, float | None]]:
        """Name to mean and deviation on validation and test; choices were made on the first."""
        found: Mapping[str, Mapping[str, float | None]] = self.data["metrics"]
        return found

    @property
    def notes(self) -> tuple[str, ...]:
        """What should be said of the data and the run."""
        return tuple(self.data["notes"])

    @cached_property
    def embeddings(self) -> Tensor:
        """Frozen embeddings of all items by the first seed, shape (num_items, dim), float32."""
        return self.embeddings_of(int(self.data["first_seed"]))

    def embeddings_of(self, seed: int, part: int = 0) -> Tensor:
        """Those of another seed, or of another of several splits that were trained apart.

        Raises:
            InputError: the run has no such seed or part.
        """
        folder = training_folder(self.run_dir, seed, part)
        return torch.from_numpy(np.load(folder / "embeddings.npz")["embeddings"])

    def table(self) -> pd.DataFrame:
        """One row for each seed: its validation and test value of each metric."""
        rows = []
        for seed in self.data["per_seed"]:
            values = {
                f"{part}_{name}": pair[part] for name, pair in seed["metrics"].items() for part in ("val", "test")
            }
            rows.append({"seed": seed["seed"], **values})
        return pd.DataFrame(rows).set_index("seed")


def run(
    method: str | type,
    data: Any,
    *,
    epochs: int | None = None,
    seeds: int = 1,
    seed: int = 0,
    task: str | None = None,
    setting: str | None = None,
    labels: float | int | None = None,
    pretrain_on: str | None = None,
    sampler: str | None = None,
    encoder: str | type | None = None,
    probe: str | None = None,
    preset: str | None = None,
    declared: Mapping[str, Value] | None = None,
    batch_size: int | None = None,
    set: Mapping[str, Value] | None = None,
    device: str = "auto",
    threads: int | None = None,
    out: str | Path | None = None,
    db: str | None = None,
    **options: Value,
) -> RunResult:
    """Pretrain a method, judge its embeddings, keep the result: ``gssl run`` from Python.

    Args:
        method: name, import path, or a class at the top of a module.
        data: name of a dataset, path of the user's own, a PyG ``Data``, ``HeteroData`` or list of ``Data``, a networkx
            graph, or a :class:`~gssl.datasets.types.Dataset`.
        epochs, seeds, seed, batch_size: as on the command line.
        task, setting, labels, pretrain_on, sampler, encoder, probe, preset: as on the command line.
        declared: what is known of data of your own: ``task`` (``multiclass``, ``multilabel`` or ``regression``),
            ``metric``, ``undirected`` and ``normalize``.
        set: other settings, for example ``{"train.lr": 0.01, "encoder.hidden_dim": 64}``.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: of one operation; None leaves the default.
        out: folder of the run; None for a new or unfinished one below ``$GSSL_RUNS`` or ``./runs``.
        db: URL of the results store; None for the default.
        options: of the method.

    Returns:
        Its embeddings, scores and folder.

    Raises:
        InputError: something is wrong with what was given; the message says what to change.
        TrainingError: the training failed.
    """
    require_one_process(os.environ)
    facts = {f"declared.{key}": value for key, value in (declared or {}).items()}
    given = {**options, **(set or {}), **facts}
    request = Request(
        method=_path_of(method),
        sampler=sampler,
        encoder=None if encoder is None else _path_of(encoder),
        probe=probe,
        seeds=whole("seeds", seeds, 1),
        seed=whole("seed", seed, 0),
        epochs=None if epochs is None else whole("epochs", epochs, 0),
        batch_size=None if batch_size is None else whole("batch_size", batch_size, 1),
        assignments=tuple(f"{key}={_text(key, value)}" for key, value in given.items()),
        preset=preset,
        task=task,
        setting=setting,
        labels=labels,
        pretrain_on=pretrain_on,
    )
    if isinstance(data, str | Path):
        config, dataset = prepare(request, str(data))
    else:
        dataset = as_dataset(data, declared=declared_in(request))
        config = resolve(request, Subject.of(dataset, dataset.name))
    with computing_on(None if threads is None else whole("threads", threads, 1)):
        result = run_experiment(
            config,
            dataset,
            device=device,
            display=lambda _: Quiet(),
            say=lambda _: None,
            out=None if out is None else Path(out),
            db=db,
        )
    return RunResult(result)


def training_folder(run_dir: Path, seed: int, part: int = 0) -> Path:
    """Where a training of a seed left its files: a folder of its own, where there is more than one, or the seed's.

    Raises:
        InputError: there is none.
    """
    home = run_dir / f"seed-{seed}"
    folder = home / f"split-{part}"
    if not folder.is_dir() and part == 0:
        folder = home
    if not folder.is_dir():
        raise InputError(f"{run_dir} has no seed {seed}" + (f" with part {part}" if part else ""))
    return folder


def _text(key: str, value: object) -> str:
    """The value as a command line would have it; numbers of numpy and torch are numbers.

    Raises:
        InputError: no file could hold it.
    """
    try:
        return json.dumps(value, default=lambda scalar: scalar.item())
    except (TypeError, ValueError, AttributeError, RuntimeError):
        raise InputError(
            f"option {key!r} is {value!r}: give a text, a number, a truth value, None or a list of them"
        ) from None


def _path_of(component: str | type) -> str:
    if isinstance(component, str):
        return component
    path = f"{component.__module__}:{component.__qualname__}"
    if "." in component.__qualname__ or load_component(path, "component") is not component:
        raise InputError(f"{component.__qualname__} cannot be found again as {path}: define it at the top of a module")
    return path
