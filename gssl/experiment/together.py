"""A run by several processes: what they must have in common, and what all but the first of them do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gssl.common.errors import InputError
from gssl.common.seeds import derive_seed
from gssl.config.record import RunConfig
from gssl.datasets.store import Store
from gssl.datasets.types import Dataset
from gssl.experiment.filed import FiledTraining
from gssl.experiment.plugins import plugin_digests
from gssl.graph.precision import single_precision
from gssl.method import Method
from gssl.results.environment import current, program_digest
from gssl.settings.base import Training
from gssl.settings.problem import Problem, make_problem
from gssl.training.group import Group
from gssl.training.loop import pretrain
from gssl.training.parallel import check_devices, depends_on_world, shared_sampler

_MUST_AGREE = ("gssl", "libraries", "plugins")  # of an environment; hosts may differ in the rest


def require_same_mirror(data: str, group: Group) -> None:
    """Whether all processes look for raw files in a mirror, or none does; called by all, before data are loaded.

    Else the ones without it would download, perhaps for hours, what the mirror holds, while the others wait.

    Args:
        data: name of a dataset, or path of the user's own, for which there is no need of a mirror.
        group: the processes.

    Raises:
        InputError: some have a mirror and others have none, or one that is not a folder.
    """
    if group.world == 1:
        return
    place = group.agreed(lambda: None if Path(data).exists() else str(Store.locate().mirror or ""))
    everywhere = group.gathered((group.name, place))
    seeing = [(name, mirror) for name, mirror in everywhere if mirror]
    blind = [name for name, mirror in everywhere if mirror == ""]

    def require() -> None:
        if seeing and blind:
            name, mirror = seeing[0]
            raise InputError(
                f"{blind[0]} has no mirror, and {name} has {mirror}: set GSSL_MIRROR to a mirror for all processes, or "
                "for none and let `gssl run` download once on each host"
            )

    group.agreed(require)


def joined(config: RunConfig, dataset: Dataset, group: Group, *, device: str) -> RunConfig:
    """The configuration as these processes carry it out together, once it is known that they can.

    Args:
        config: of this process.
        dataset: its data.
        group: all processes; each calls this.
        device: ``cpu`` or ``cuda``.

    Raises:
        InputError: the processes differ in code, data or options, or a training of the run cannot be shared.
    """
    if group.world == 1:
        return config
    facts = group.agreed(lambda: _facts(config, dataset, device))
    everywhere = group.gathered((group.name, facts))
    group.agreed(lambda: _require_same(everywhere))
    check_devices(device, group)
    if device == "cuda":
        torch.cuda.set_device(group.launch.local_rank)
    depends = group.agreed(lambda: _rehearsed(make_problem(config, dataset), group))
    return replace(config, world_size=group.world if depends else 1)


@single_precision()
def follow(config: RunConfig, dataset: Dataset, group: Group, *, device: str) -> None:
    """Take part in the trainings that the first process orders, until it has no more.

    Args:
        config: as :func:`joined` gave it.
        dataset: its data.
        group: the processes.
        device: ``cpu`` or ``cuda``.

    Raises:
        InputError: the first process failed. So for TrainingError.
        LostProcessError: another process is gone.
    """
    problem = make_problem(config, dataset)
    trainings, methods = list[Training](), dict[Training | None, Method | None]()
    while (order := group.obey()) is not None:
        seed, number = order
        if number == 0:
            trainings, methods = problem.trainings(seed), {None: None}
        training = trainings[number]
        method = training.method(methods[training.source])
        sampler, validate = training.sampler(method), training.validate(method)
        with group.watched():
            pretrain(
                method,
                sampler,
                training.train,
                seed=derive_seed(seed, "train"),
                device=device,
                validate=validate,
                group=group,
            )
        methods[training] = None if FiledTraining(training, Path()).is_judged else method


def _rehearsed(problem: Problem, group: Group) -> bool:
    """Whether what a step learns depends on the number of processes.

    Raises:
        InputError: a training cannot be shared.
    """
    methods, depends = dict[Training, Method](), False
    for training in problem.trainings(problem.config.seeds[0]):
        method = training.method(None if training.source is None else methods[training.source])
        methods[training] = method
        if not (training.train.epochs and method.trains):
            continue
        sampler = shared_sampler(training.sampler(method), method, group)
        depends = depends or depends_on_world(method, sampler)
    return depends


def _facts(config: RunConfig, dataset: Dataset, device: str) -> dict[str, Any]:
    """What all processes must have in common, by the names that messages give it."""
    problem = make_problem(config, dataset)
    content = {name: value for name, value in config.mapping().items() if name != "dataset"}
    environment = current(device, plugin_digests(config) | problem.sources).content()
    return {
        "the method": config.method.name,
        "the dataset": config.dataset,
        **{f"option {name}": value for name, value in _flat(content)},
        "the data (their checksum)": dataset.checksum,
        "the program (the digest of its files)": program_digest(),
        **{name: value for key in _MUST_AGREE for name, value in _flat({key: environment[key]})},
        "--device": device,
    }


def _flat(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _require_same(everywhere: list[tuple[str, dict[str, Any]]]) -> None:
    (name, first), *others = everywhere
    for other, facts in others:
        for key in first | facts:
            here, there = first.get(key, "nothing"), facts.get(key, "nothing")
            if here != there:
                raise InputError(
                    f"{other} differs from {name} in {key}: {there} and {here}; give all processes the same code, "
                    "data and options"
                )
