"""``gssl tune`` from end to end: search on validation, then a preset, pictures, and runs on fresh seeds."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial

from gssl.common.files import cannot_write, write_json
from gssl.common.space import Space
from gssl.config.record import RunConfig
from gssl.config.resolve import Request, Subject
from gssl.datasets.types import Dataset
from gssl.experiment.prepare import prepare
from gssl.results.limits import require_storable
from gssl.results.places import runs_root, sqlite_url, store_url
from gssl.results.store import check_store, shown
from gssl.search.algorithms import make_pruner, make_sampler, rungs_of
from gssl.search.final import compare, gains, mean_gain, write_preset
from gssl.search.job import Job, Say, parse_objectives
from gssl.search.outcome import best_trial, pareto, study_data, tally, trial_data
from gssl.search.plots import draw
from gssl.search.space import search_space
from gssl.search.storage import storage_errors
from gssl.search.workers import search
from gssl.settings.problem import Problem, make_problem
from gssl.training.device import resolve_device


@dataclass(frozen=True)
class Order:
    """What the user asked for.

    Attributes:
        base: settings that all trials share; its seed is that of the search, its number of seeds that of the final
            runs.
        data: name or path of the dataset.
        trials: how many.
        workers: local processes.
        space: file with more parameters.
        storage, study, out: where the study is kept, its name, and the folder of what is written; None for defaults.
        timeout: seconds after which no trial begins; None for no limit.
        algorithm, pruner, objective: names.
        device: ``auto``, ``cpu`` or ``cuda``.
        db: URL of the results store; None for the default.
        threads: of one operation, in trials and final runs.
    """

    base: Request
    data: str
    trials: int
    workers: int = 1
    space: Path | None = None
    storage: str | None = None
    study: str | None = None
    out: Path | None = None
    timeout: float | None = None
    algorithm: str = "tpe"
    pruner: str = "halving"
    objective: str = "val"
    device: str = "auto"
    db: str | None = None
    threads: int = 1


def tune(order: Order, say: Say) -> dict[str, Any]:
    """Search, and judge what was found.

    Test labels are hidden from the search. They are read by the runs on fresh seeds, after the configuration was
    chosen and written.

    Raises:
        InputError: something in the order is wrong, or the storage cannot be used.
        TrainingError: no trial was finished, or a final run failed.
    """
    started = time.monotonic()
    seed = order.base.seed or 0
    single = replace(order.base, seed=seed, seeds=1)
    config, dataset = prepare(single, order.data)
    job = make_job(order, single, config, dataset, say)
    folder = _folder(order, job)
    if order.storage is None:
        job = replace(job, storage=sqlite_url(folder / "study.db"))
    fresh = tuple(range(seed + 1, seed + 1 + (order.base.seeds or 1)))
    check_store(store_url(order.db))  # before hours of work
    require_storable(replace(config, seeds=fresh))
    with storage_errors(job.storage):
        study = search(job, order.workers)
        best, searched = best_trial(study), time.monotonic() - started
        tuned = job.config(best.params)
        presets, pictures = _write(job, study, best, folder), draw(job, study, folder)
        runs = compare(
            {"default": config, "tuned": tuned},
            fresh,
            folder=folder / "runs",
            device=job.device,
            db=order.db,
            workers=order.workers,
            threads=order.threads,
            say=say,
        )
        differences = gains(runs["default"], runs["tuned"], job.metric)
        return {
            "method": config.method.name,
            "dataset": config.dataset,
            "encoder": config.encoder.name,
            "probe": config.probe.name,
            "metric": job.metric,
            "objective": list(job.objectives),
            "study": job.study,
            "storage": shown(job.storage),
            "algorithm": job.algorithm,
            "pruner": job.pruner,
            "seed": seed,
            "fresh_seeds": list(fresh),
            "trials": tally(study.get_trials(deepcopy=False)),
            "best": trial_data(best),
            "pareto": [trial_data(trial) for trial in pareto(study)],
            "val_mean": runs["tuned"]["val_mean"],
            "val_std": runs["tuned"]["val_std"],
            "test_mean": runs["tuned"]["test_mean"],
            "test_std": runs["tuned"]["test_std"],
            "default_val_mean": runs["default"]["val_mean"],
            "val_gain": mean_gain(differences),
            "val_gains": differences,
            "runs": runs,
            "preset": str(presets[0]),
            "presets": [str(path) for path in presets],
            "study_file": str(folder / "study.json"),
            "plots": [str(path) for path in pictures],
            "out": str(folder),
            "search_seconds": searched,
            "seconds": time.monotonic() - started,
            "notes": [*_notes(job, config, tuned, dataset, fresh), *_doubts(config, tuned, differences)],
        }


def make_job(order: Order, base: Request, config: RunConfig, dataset: Dataset, say: Say) -> Job:
    """The study that an order describes, with the data sealed.

    Raises:
        InputError: something in the order is wrong.
    """
    objectives = parse_objectives(order.objective)
    subject = Subject.of(dataset, config.data)
    space = search_space(base, subject, order.space, say)
    # The splits are drawn here, from all labels where a protocol stratifies by them; workers get the sealed data.
    problem = make_problem(config, dataset).sealed(config.seeds[0])
    rungs = rungs_of(_longest(config, space)) if len(objectives) == 1 else ()
    _check(problem, config.seeds[0])
    make_sampler(order.algorithm, 0, len(objectives))
    make_pruner(order.pruner, rungs)
    return Job(
        base=base,
        subject=subject,
        space=space,
        problem=problem,
        metric=problem.task.metric,
        objectives=objectives,
        seed=config.seeds[0],
        rungs=rungs if order.pruner.lower() != "none" else (),
        algorithm=order.algorithm.lower(),
        pruner=order.pruner.lower(),
        storage=order.storage or "",
        study=order.study or _usual_name(config),
        trials=order.trials,
        device=resolve_device(order.device),
        deadline=None if order.timeout is None else time.monotonic() + order.timeout,
        say=say,
        threads=order.threads,
    )


def _usual_name(config: RunConfig) -> str:
    """Of a study: method and dataset, and what is judged and how where that is not the usual.

    Another task or setting is another search.
    """
    parts = [config.method.name.rpartition(":")[2], config.dataset]
    parts += [config.task.name] if config.task.name not in ("node", "graph") else []
    parts += [config.setting.name] if config.setting.name not in ("frozen", "supervised") else []
    return "-".join(parts)


def _longest(config: RunConfig, space: Mapping[str, Space]) -> int:
    """Epochs that the training which a trial is scored by has at most."""
    section, train = ("train", config.train) if config.finetune is None else ("finetune", config.finetune)
    return int(getattr(space.get(f"{section}.epochs"), "high", train.epochs))


def _check(problem: Problem, seed: int) -> None:
    """Find parts that do not fit before anything is made."""
    first, *rest = problem.trainings(seed)
    method = first.method()
    first.sampler(method)
    if not first.splits:  # the next one goes on from it and is what trials are scored by
        rest[0].sampler(rest[0].method(method))


def _folder(order: Order, job: Job) -> Path:
    folder = order.out or runs_root() / re.sub(r"[^\w.-]", "_", f"tune-{job.study}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder.absolute()


def _write(job: Job, study: Study, best: FrozenTrial, folder: Path) -> list[Path]:
    """The trials, and a preset of the best one and of each of the Pareto set."""
    write_json(folder / "study.json", study_data(job, study))
    presets = [folder / "preset.yaml"]
    write_preset(job.config(best.params), presets[0], _source(job, best))
    for trial in pareto(study):
        presets.append(folder / f"preset-trial-{trial.number}.yaml")
        write_preset(job.config(trial.params), presets[-1], _source(job, trial))
    return presets


def _source(job: Job, trial: FrozenTrial) -> str:
    return (
        f"gssl tune, study {job.study}, trial {trial.number} of {job.trials} (seed {job.seed}): "
        f"validation {job.metric} {trial.values[0]:.4f}"
    )


def _notes(job: Job, config: RunConfig, tuned: RunConfig, dataset: Dataset, fresh: tuple[int, ...]) -> list[str]:
    notes = []
    if tuned.hash == config.hash:
        notes.append("no trial was better than the defaults, which are therefore the result")
    problem = make_problem(config, dataset)
    share = job.problem.task.overlap([split for seed in fresh for split in problem.splits(seed)])
    if share:
        what = "edges" if problem.task.name == "link" else "items"
        notes.append(
            f"the fresh seeds draw other splits: the search has used {share:.0%} of their test {what} for training and "
            "validation, as is usual with this protocol"
        )
    return notes


def _doubts(config: RunConfig, tuned: RunConfig, differences: list[float] | None) -> list[str]:
    """What the fresh seeds say against the result of a search on one seed."""
    gain = mean_gain(differences)
    if gain is None or gain > 0 or tuned.hash == config.hash:
        return []
    return [
        f"on fresh seeds the result is no better than the defaults on validation items (mean gain {gain:.4f}): its "
        "lead in the search was chance, and more trials or the defaults may be the better choice"
    ]
