"""One run: for every seed pretrain, embed, judge and store; what is finished already is not repeated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from gssl.common.errors import InputError
from gssl.common.seeds import derive_seed
from gssl.config import components
from gssl.config.record import RunConfig
from gssl.datasets.types import Dataset, Split
from gssl.evaluate.base import Probe
from gssl.experiment.build import make_method, make_probe, make_sampler, plugin_digests
from gssl.experiment.record import Record
from gssl.experiment.trial import Trial
from gssl.results.environment import current
from gssl.results.folder import RunFolder, RunIdentity, open_run
from gssl.results.places import store_url
from gssl.results.store import Store
from gssl.training.device import resolve_device
from gssl.training.loop import pretrain
from gssl.training.progress import Progress
from gssl.training.supervised import with_validation

_COPIES = 4  # weights, two moments of the optimizer, and the best weights so far


def run_experiment(
    config: RunConfig,
    dataset: Dataset,
    *,
    device: str,
    display: Callable[[str], Progress],
    say: Callable[[str], None],
    threads: int | None = None,
    out: Path | None = None,
    db: str | None = None,
) -> dict[str, Any]:
    """Carry out a run and return its result.

    Args:
        config: the full configuration.
        dataset: its data.
        device: ``auto``, ``cpu`` or ``cuda``.
        display: makes a progress display with a title.
        say: tells the user something while the work goes on.
        threads: threads of one operation; None leaves the default.
        out: folder of the run; None for a new or unfinished one in the folder of runs.
        db: URL of the results store; None for the default.

    Returns:
        The JSON object of ``gssl run`` (see :func:`gssl.results.summary.summarise`) with its folder.

    Raises:
        InputError: parts do not fit each other or the data, or files cannot be written.
        TrainingError: the training of a seed failed; its row in the store says why.
    """
    if threads is not None:
        torch.set_num_threads(threads)
        threadpool_limits(threads)
    device = resolve_device(device)
    probe = fitting_probe(config, dataset)
    splits = {seed: tuple(probe.splits(dataset, seed)) if probe else () for seed in config.seeds}
    needed = _bytes_needed(config, dataset, splits)
    plugins = plugin_digests(config)
    run = RunIdentity(config, dataset.checksum, plugins)
    with Store(store_url(db)) as store:
        folder, state = open_run(run, out)
        with folder:
            record = Record(run, folder, store, current(device, plugins), probe=probe, dataset=dataset)
            record.begin(resumed=state != "new")
            if state == "finished":
                say(f"{folder.path} holds the finished result of this run; nothing was done")
                return {**folder.result(), "run_dir": str(folder.path.resolve())}
            folder.require_space(needed)
            for seed in config.seeds:
                if record.has(seed):
                    say(f"seed {seed} is finished")
                    continue
                outcomes = []
                with record.failures(seed, splits[seed]):
                    for trial in trials(config, dataset, probe, seed, folder):
                        method = trial.method()
                        trained = pretrain(
                            method,
                            trial.sampler(method),
                            config.train,
                            seed=derive_seed(seed, "train"),
                            device=device,
                            checkpoint=trial.checkpoint,
                            progress=display(trial.title),
                            config_key=trial.key,
                            validate=trial.validation(method),
                        )
                        outcomes.append(trial.close(method, trained))
                record.keep(seed, outcomes, splits[seed])
            return record.finish()


def fitting_probe(config: RunConfig, dataset: Dataset) -> Probe | None:
    """The probe; None for data without labels.

    Raises:
        InputError: the method needs labels and there are none.
    """
    if dataset.labels is not None:
        return make_probe(config)
    if components.method_class(config.method.name).needs_labels:
        raise InputError(f"{config.method.name} learns from labels, but {dataset.name} has none")
    return None


def trials(config: RunConfig, dataset: Dataset, probe: Probe | None, seed: int, folder: RunFolder) -> list[Trial]:
    """The trainings of a seed: one for a self-supervised method, one per split for a supervised row."""
    home = folder.seed(seed)
    if probe is None or not components.method_class(config.method.name).needs_labels:
        return [Trial(config, dataset, probe, seed, home)]
    splits = probe.splits(dataset, seed)
    homes = [home] if len(splits) == 1 else [folder.part(seed, number) for number in range(len(splits))]
    return [Trial(config, dataset, probe, seed, *own) for own in zip(homes, splits, strict=True)]


def _bytes_needed(config: RunConfig, dataset: Dataset, splits: dict[int, tuple[Split, ...]]) -> int:
    """About what the run writes. Building the parts here also finds those that do not fit before anything is made."""
    first = config.seeds[0]
    method, items = make_method(config, dataset, first), None
    if method.needs_labels and splits[first] and dataset.labels is not None:
        items = with_validation(splits[first][0], dataset.labels, first).train
    make_sampler(config, dataset, first, method, items)
    weights = sum(parameter.numel() * parameter.element_size() for parameter in method.parameters())
    once = dataset.num_items * method.encoder.out_dim * 4 + _COPIES * weights
    trainings = sum(len(own) if method.needs_labels else 1 for own in splits.values())
    return once * trainings
