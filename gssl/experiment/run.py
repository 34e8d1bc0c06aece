"""One run: for every seed pretrain, embed, judge and store; what is finished already is not repeated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gssl.common.seeds import derive_seed
from gssl.config.record import RunConfig
from gssl.datasets.types import Dataset
from gssl.experiment.filed import filed
from gssl.experiment.plugins import plugin_digests
from gssl.experiment.record import Record
from gssl.experiment.shared import place_of
from gssl.graph.precision import single_precision
from gssl.method import Method
from gssl.models.encoder import edge_attr_note
from gssl.results.environment import current
from gssl.results.folder import RunIdentity, open_run
from gssl.results.limits import require_storable
from gssl.results.places import store_url
from gssl.results.store import Store
from gssl.settings.base import Training
from gssl.settings.problem import Problem, make_problem
from gssl.training.device import resolve_device
from gssl.training.group import ALONE, Group
from gssl.training.loop import pretrain
from gssl.training.progress import Progress

_COPIES = 4  # weights, two moments of the optimizer, and the best weights so far


@single_precision()
def run_experiment(
    config: RunConfig,
    dataset: Dataset,
    *,
    device: str,
    display: Callable[[str], Progress],
    say: Callable[[str], None],
    out: Path | None = None,
    db: str | None = None,
    patience: float = 0.0,
    group: Group = ALONE,
) -> dict[str, Any]:
    """Carry out a run and return its result.

    Args:
        config: the full configuration.
        dataset: its data.
        device: ``auto``, ``cpu`` or ``cuda``.
        display: makes a progress display with a title.
        say: tells the user something while the work goes on.
        out: folder of the run; None for a new or unfinished one in the folder of runs.
        db: URL of the results store; None for the default.
        patience: seconds for which a server of the store is waited for at the start; later it always is.
        group: the processes that train together, of which this is the first; the others :func:`follow`.

    Returns:
        The JSON object of ``gssl run`` (see :func:`gssl.results.summary.summarise`) with its folder.

    Raises:
        InputError: parts do not fit each other or the data, or files cannot be written.
        TrainingError: the training of a seed failed; its row in the store says why.
    """
    device = resolve_device(device)
    require_storable(config)
    problem = make_problem(config, dataset)
    splits = {seed: problem.splits(seed) for seed in config.seeds}
    needed, remarks = _rehearsed(problem)
    plugins = plugin_digests(config) | problem.sources
    kind = {"name": dataset.name, "level": dataset.level, "probe": dataset.probe, "spec": dataset.spec.mapping()}
    run = RunIdentity(config, dataset.checksum, plugins, kind)
    with Store(store_url(db), patience=patience) as store:
        environment = current(device, plugins, tf32=config.train.tf32, world_size=group.world)
        folder, state = open_run(run, out, environment=environment.hash, say=say)
        with folder:
            record = Record(run, folder, store, environment, problem=problem, remarks=remarks, world_size=group.world)
            record.begin(resumed=state != "new")
            if state == "finished":
                say(f"{folder.path} holds the finished result of this run; nothing was done")
                return {**folder.result(), "run_dir": str(folder.path.resolve())}
            folder.require_space(needed)
            for seed in config.seeds:
                if record.has(seed):
                    say(f"seed {seed} is finished")
                    continue
                outcomes, methods = [], dict[Training | None, Method | None]({None: None})
                with record.failures(seed, splits[seed]):
                    for number, part in enumerate(filed(problem, seed, folder)):
                        training = part.training
                        method = training.method(methods[training.source])
                        sampler = training.sampler(method)
                        place_of_part = place_of(part, sampler, environment, beside=folder.path, say=say)
                        with place_of_part as place, group.ordered((seed, number)):
                            trained = pretrain(
                                method,
                                sampler,
                                training.train,
                                seed=derive_seed(seed, "train"),
                                device=device,
                                checkpoint=place.checkpoint,
                                progress=display(training.title),
                                config_key=place.key,
                                validate=training.validate(method),
                                group=group,
                            )
                        outcomes.append(part.close(method, trained, note=place.note))
                        methods[training] = None if part.is_judged else method  # others start from it
                record.keep(seed, outcomes, splits[seed])
            return record.finish()


def _rehearsed(problem: Problem) -> tuple[int, tuple[str, ...]]:
    """About the bytes that the run writes, and what should be said of its parts.

    Building the parts here also finds those that do not fit before anything is made.
    """
    methods, sizes, total = dict[Training, Method](), dict[type, int](), 0
    remarks = list[str | None]()
    for training in problem.trainings(problem.config.seeds[0]):
        if type(training) not in sizes:  # the others of its kind are as large
            method = training.method(None if training.source is None else methods[training.source])
            training.sampler(method)
            methods[training] = method
            remarks.append(edge_attr_note(method.encoder, training.dataset.graph))
            weights = sum(parameter.numel() * parameter.element_size() for parameter in method.parameters())
            rows = training.dataset.num_items * method.embedding_dim * 4
            sizes[type(training)] = rows + _COPIES * weights
        total += sizes[type(training)]
    return total * len(problem.config.seeds), tuple(dict.fromkeys(filter(None, remarks)))
