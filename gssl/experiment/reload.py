"""A finished run brought back: its data, its trained methods, its embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gssl.common import yaml_io
from gssl.common.errors import InputError
from gssl.config.resolve import Request
from gssl.experiment.filed import FiledTraining, filed
from gssl.experiment.formats import WRITERS
from gssl.experiment.prepare import prepare
from gssl.graph.precision import single_precision
from gssl.method import Method
from gssl.results.folder import RunFolder
from gssl.settings.base import Training
from gssl.settings.problem import make_problem
from gssl.training.device import resolve_device
from gssl.training.embed import embed_dataset


@dataclass(frozen=True)
class Written:
    """Files of embeddings, each of the same shape."""

    files: tuple[Path, ...]
    shape: tuple[int, int]


@single_precision()
def embed_run(folder: Path, kind: str, *, device: str) -> Written:
    """Embed the dataset of a run with each of its trained methods and write the result beside the checkpoint.

    Args:
        folder: of the run.
        kind: file format, a key of ``WRITERS``.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        InputError: the folder holds no trained run, or its data are no longer the same.
    """
    where = resolve_device(device)
    with _existing(folder) as run:
        files, shape = [], (0, 0)
        for part, method in restored_methods(run):
            if not part.is_judged:
                continue
            embeddings = embed_dataset(method.to(where), part.training.dataset, folder=part.folder)
            file = part.folder / f"embeddings.{kind}"
            WRITERS[kind](file, embeddings)
            files.append(file)
            shape = (embeddings.shape[0], embeddings.shape[1])
        return Written(tuple(files), shape)


def restored_methods(run: RunFolder) -> Iterator[tuple[FiledTraining, Method]]:
    """Every finished training of a run with the method that it led to.

    Raises:
        InputError: as :func:`trained`.
    """
    methods = dict[Training | None, Method | None]({None: None})
    for part in trained(run):
        method = part.restored(methods[part.training.source])
        methods[part.training] = None if part.is_judged else method
        yield part, method


def trained(run: RunFolder) -> list[FiledTraining]:
    """The finished trainings of a run, with the dataset that they were made on.

    Raises:
        InputError: nothing is finished, the data changed, or another version of gssl wrote the configuration.
    """
    file = run.path / "config.yaml"
    record = yaml_io.read(file)
    try:
        method, data = str(record["method"]["name"]), str(record["dataset"])
    except (KeyError, TypeError):
        raise InputError(f"{file} is not the configuration of a run") from None
    config, dataset = prepare(Request(method, file=file, preset="none"), data)
    config = replace(config, world_size=int(record.get("world_size", 1)))  # a file does not start processes
    if config.hash != record.get("config_hash"):
        raise InputError(f"{run.path} was made by another version of gssl, whose options differ; use that version")
    problem = make_problem(config, dataset)
    known = record.get("plugins") or {}
    changed = any(known.get(name) != checksum for name, checksum in problem.sources.items())
    if changed or dataset.checksum != record.get("dataset_checksum"):
        raise InputError(f"the data of {config.dataset} are no longer those that {run.path} was trained on")
    finished = [seed for seed in config.seeds if run.finished_seed(seed) is not None]
    if not finished:
        raise InputError(f"no seed of {run.path} is finished; give its `gssl run` command again to resume it")
    return [part for seed in finished for part in filed(problem, seed, run)]


def _existing(folder: Path) -> RunFolder:
    if not (folder / "config.yaml").is_file():
        raise InputError(f"{folder} is not the folder of a run: it has no config.yaml")
    return RunFolder(folder)
