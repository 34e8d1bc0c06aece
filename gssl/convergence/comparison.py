"""From a grid of samplers, learning rates and seeds to trainings that are watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import torch

from gssl.common.errors import InputError, TrainingError
from gssl.common.options import options_of
from gssl.common.seeds import derive_seed
from gssl.config import components
from gssl.config.components import sampler_factory
from gssl.config.record import RunConfig
from gssl.config.resolve import Request, Subject, resolve
from gssl.convergence.record import Key, Trajectory, append, read
from gssl.convergence.watch import CLOCKS, ObservationPlan, Observer
from gssl.datasets.types import Dataset, Split
from gssl.evaluate.metrics import higher_is_better
from gssl.experiment.plugins import plugin_digests
from gssl.experiment.prepare import prepare
from gssl.graph.precision import single_precision
from gssl.results.environment import current
from gssl.settings.base import Pretraining, Training
from gssl.settings.problem import make_problem
from gssl.training.countdown import Countdown
from gssl.training.device import resolve_device
from gssl.training.loop import pretrain

_ENDLESS = 1_000_000  # epochs; the plan says when a training ends
_FIXED = {
    "lr": "give learning rates with --lr",
    "batch_size": "give batch sizes with --batch-size",
    "epochs": "--seconds and --steps or --epochs say how long a training is",
    "schedule": "rates are constant, because trainings are as long as their time lasts",
    "warmup_epochs": "rates are constant, because trainings are as long as their time lasts",
    "patience": "trainings go on until --seconds and --steps are both reached",
}


@dataclass(frozen=True)
class SamplerChoice:
    """A sampler of the comparison.

    Attributes:
        name: as for ``gssl run --sampler``.
        options: ``KEY=VALUE`` for it.
    """

    name: str
    options: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return " ".join((self.name, *self.options))

    @property
    def assignments(self) -> tuple[str, ...]:
        return tuple(f"sampler.{option}" for option in self.options)


@dataclass(frozen=True)
class SamplerComparison:
    """What to train.

    Attributes:
        base: method, encoder, probe and settings that all trainings share.
        data: dataset.
        samplers: the samplers.
        batch_sizes: expected targets in a batch.
        rates: learning rates.
        seeds: repetitions of each.
        plan: when to observe.
        gradient_error: whether to measure it at every point, which takes a pass over the whole graph.
        probe_items: the most training items, and the most validation items, that a probe takes at a point: a random
            part of the split's, the same at every point and for every sampler. None takes them all.
        only: if given, the cells of the grid to train: label of the sampler, batch size, learning rate.
        epochs: if given, the equal number of passes over the data, in place of the equal number of steps of the plan:
            the steps of each training are those of so many epochs of its sampler.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    base: Request
    data: str
    samplers: tuple[SamplerChoice, ...]
    batch_sizes: tuple[int, ...]
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    plan: ObservationPlan
    gradient_error: bool = False
    probe_items: int | None = None
    only: frozenset[tuple[str, int | None, float]] | None = None
    epochs: int | None = None
    device: str = "cpu"


def trainings(
    comparison: SamplerComparison, out: Path | None, say: Callable[[str], None] = lambda _: None
) -> Iterator[Trajectory]:
    """Every training of the grid; those that ``out`` holds are not repeated, and new ones are added to it.

    Raises:
        InputError: something in the request is wrong, found before the first training.
    """
    comparison = replace(comparison, device=resolve_device(comparison.device))
    done = {} if out is None else {t.key: t for t in read(out)}
    dataset, cells = _cells(comparison)
    if out is not None:
        append(out, [])  # it must be possible before hours of work
    warm = set[str]()
    for seed, (choice, config, plan) in product(comparison.seeds, cells):
        key = Key(
            config_hash=config.hash,
            seed=seed,
            clock=plan.clock,
            seconds=plan.seconds,
            steps=plan.steps,
            observations=plan.points,
            measured=comparison.gradient_error,
            probe_items=comparison.probe_items,
            device=comparison.device,
        )
        known = done.get(key)
        if known is None:
            if choice.label not in warm:
                _warm_up(config, dataset, seed, comparison.device)
                warm.add(choice.label)
            known = _train(config, dataset, choice.label, seed, replace(comparison, plan=plan))
            if out is not None:
                append(out, [known])
            say(_line(known))
        yield known


def _cells(comparison: SamplerComparison) -> tuple[Dataset, list[tuple[SamplerChoice, RunConfig, ObservationPlan]]]:
    """The dataset, and configuration and plan of every sampler with every batch size and learning rate.

    Raises:
        InputError: something in the request is wrong.
    """
    grid = [
        (choice, size, rate)
        for choice in comparison.samplers
        for size, rate in product(_sizes(choice, comparison), comparison.rates)
        if comparison.only is None or (choice.label, size, rate) in comparison.only
    ]
    if not grid:
        raise InputError("no sampler, batch size and learning rate to train; give at least one of each")
    requests = [_request(comparison, *cell) for cell in grid]
    first, dataset = prepare(requests[0], comparison.data)
    _check(dataset)
    if comparison.gradient_error and first.train.precision == "16-mixed":
        raise InputError(
            "--gradient-error cannot be read off gradients of train.precision=16-mixed, which are multiplied by a "
            "factor and may overflow; use bf16-mixed or 32-true"
        )
    subject = Subject.of(dataset, first.data)
    configs = [(choice, resolve(request, subject)) for (choice, _, _), request in zip(grid, requests, strict=True)]
    cells, seen = list[tuple[SamplerChoice, RunConfig, ObservationPlan]](), set[str]()
    for choice, config in configs:
        if config.hash in seen:
            raise InputError(f"{choice.label!r} would be trained twice; name every sampler, batch size and rate once")
        seen.add(config.hash)
        training = _training(config, dataset, comparison.seeds[0], comparison.probe_items)
        batches = training.sampler(training.method()).batches_per_epoch
        steps = comparison.plan.steps if comparison.epochs is None else comparison.epochs * batches
        cells.append((choice, config, replace(comparison.plan, steps=steps)))
    return dataset, cells


def _sizes(choice: SamplerChoice, comparison: SamplerComparison) -> tuple[int | None, ...]:
    """Batch sizes for a sampler; one that takes everything at once has none."""
    return comparison.batch_sizes if "batch_size" in options_of(sampler_factory(choice.name)) else (None,)


def _request(comparison: SamplerComparison, choice: SamplerChoice, size: int | None, rate: float) -> Request:
    base = comparison.base
    for text in base.assignments:
        key = text.partition("=")[0].strip().removeprefix("train.")
        if text.strip().startswith("train.") and key in _FIXED:
            raise InputError(f"--set {text} does not go with a comparison: {_FIXED[key]}")
    fixed = (f"train.lr={rate}", "train.schedule=constant", "train.warmup_epochs=0", "train.patience=null")
    return replace(
        base,
        sampler=choice.name,
        batch_size=size,
        epochs=_ENDLESS,
        assignments=(*base.assignments, *choice.assignments, *fixed),
    )


def _check(dataset: Dataset) -> None:
    if dataset.level != "node":
        raise InputError(f"samplers draw nodes of one graph, but {dataset.name} is a set of graphs")


def _require_validation(config: RunConfig, dataset: Dataset) -> None:
    if config.task.name == "cluster":
        raise InputError(
            "--task cluster sees no label before the score, so there is no validation score to compare by; compare "
            "with --task node or link"
        )
    if dataset.labels is None and config.task.name != "link":
        raise InputError(f"{dataset.name} has no labels, so there is no validation score to compare by")


def _training(config: RunConfig, dataset: Dataset, seed: int, probe_items: int | None = None) -> Training:
    """What is trained, judged on the first split alone.

    Raises:
        InputError: there is nothing to train, nothing to compare by, more than one training, or no probe of nodes to
            give fewer items.
    """
    if not components.method_class(config.method.name).trains:
        raise InputError(f"{config.method.name} is a reference row that does not train; choose another method")
    _require_validation(config, dataset)
    training = make_problem(config, dataset).only_training(seed)
    if probe_items is None:
        return training
    split = training.splits[0]
    if not isinstance(training, Pretraining) or not isinstance(split, Split):
        raise InputError(
            f"--probe-items {probe_items} is for a probe of frozen embeddings of nodes, which neither --task link nor "
            "a training on labels has; leave it out"
        )
    return replace(training, splits=(_part(split, probe_items, seed),))


def _part(split: Split, most: int, seed: int) -> Split:
    """At most so many random training and validation items of a split."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "probe items"))
    train, val = (ids[torch.randperm(len(ids), generator=generator)[:most]] for ids in (split.train, split.val))
    return replace(split, name=f"{split.name}-{most}", train=train, val=val)


@single_precision()
def _warm_up(config: RunConfig, dataset: Dataset, seed: int, device: str) -> None:
    """One update that is thrown away, so that the first training does not pay for imports and compilation."""
    training = _training(config, dataset, seed)
    method = training.method()
    with suppress(TrainingError):  # the training itself will say so
        stop, own = Countdown(1), derive_seed(seed, "train")
        pretrain(method, training.sampler(method), config.train, seed=own, device=device, watch=stop)


@single_precision()
def _train(config: RunConfig, dataset: Dataset, label: str, seed: int, comparison: SamplerComparison) -> Trajectory:
    training, plan, error = _training(config, dataset, seed, comparison.probe_items), comparison.plan, ""
    full = training.dataset.graph.full_batch() if comparison.gradient_error else None
    method, metric = training.method(), training.task.metric
    sampler, sign = training.sampler(method), 1 if higher_is_better(metric) else -1
    start = CLOCKS[plan.clock]()
    sampler.prepare()
    preparation = CLOCKS[plan.clock]() - start
    watch = Observer(plan, lambda: sign * training.val(method), method, full)
    try:
        own = derive_seed(seed, "train")
        pretrain(method, sampler, config.train, seed=own, device=comparison.device, watch=watch)
    except TrainingError as failure:
        error = str(failure)
    size = config.train.batch_size
    return Trajectory(
        method=config.method.name,
        dataset=dataset.name,
        task=config.task.name,
        setting=config.setting.name,
        sampler=label,
        batch_size=dataset.graph.num_nodes if size is None else size,
        lr=config.train.lr,
        seed=seed,
        clock=plan.clock,
        metric=metric,
        seconds=plan.seconds,
        steps=plan.steps,
        observations=plan.points,
        measured=comparison.gradient_error,
        probe_items=comparison.probe_items,
        preparation=preparation,
        points=tuple(watch.points),
        config_hash=config.hash,
        config=config.mapping(),
        environment=current(comparison.device, plugin_digests(config), tf32=config.train.tf32).mapping(),
        device=comparison.device,
        error=error,
    )


def _line(training: Trajectory) -> str:
    steps = training.points[-1].step if training.points else 0
    best = training.best(by="seconds")
    score = "no score" if best is None else f"{training.metric} {best:.4f}"
    end = f"; ended early: {training.error}" if training.error else ""
    return (
        f"{training.sampler}, batch {training.batch_size}, lr {training.lr:g}, seed {training.seed}: "
        f"{score} within {training.seconds:g} s, {steps} steps in all{end}"
    )
