"""From a grid of samplers, learning rates and seeds to trainings that are watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from gssl.common.errors import InputError, TrainingError
from gssl.common.seeds import derive_seed
from gssl.config.record import RunConfig
from gssl.config.resolve import Request, Subject, resolve
from gssl.convergence.record import Training, append, read
from gssl.convergence.watch import Plan, Watch
from gssl.datasets.types import Dataset, Split
from gssl.evaluate.base import Probe
from gssl.evaluate.metrics import higher_is_better
from gssl.experiment.build import make_method, make_probe, make_sampler, plugin_digests
from gssl.experiment.embed import embed_dataset
from gssl.experiment.prepare import prepare
from gssl.method import Method
from gssl.methods.supervised import Supervised
from gssl.results.environment import current
from gssl.training.loop import pretrain
from gssl.training.supervised import validation, with_validation

_ENDLESS = 1_000_000  # epochs; the plan says when a training ends


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
class Comparison:
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
    """

    base: Request
    data: str
    samplers: tuple[SamplerChoice, ...]
    batch_sizes: tuple[int, ...]
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    plan: Plan
    gradient_error: bool = False


def trainings(
    comparison: Comparison, out: Path | None, say: Callable[[str], None] = lambda _: None
) -> Iterator[Training]:
    """Every training of the grid; those that ``out`` holds are not repeated, and new ones are added to it.

    Raises:
        InputError: something in the request is wrong, found before the first training.
    """
    done = {} if out is None else {t.key: t for t in read(out)}
    grid = list(product(comparison.samplers, comparison.batch_sizes, comparison.rates))
    requests = [_request(comparison, *cell) for cell in grid]
    first, dataset = prepare(requests[0], comparison.data)
    _check(dataset)
    subject = Subject(first.dataset, first.data, dataset.level, dataset.probe)
    cells = [(choice, resolve(request, subject)) for (choice, _, _), request in zip(grid, requests, strict=True)]
    for seed, (choice, config) in product(comparison.seeds, cells):
        plan = comparison.plan
        known = done.get((config.hash, seed, plan.seconds, plan.steps))
        if known is None:
            known = _train(config, dataset, choice.label, seed, comparison)
            if out is not None:
                append(out, [known])
            say(_line(known))
        yield known


def _request(comparison: Comparison, choice: SamplerChoice, size: int, rate: float) -> Request:
    base = comparison.base
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
    if dataset.labels is None:
        raise InputError(f"{dataset.name} has no labels, so there is no validation score to compare by")


def _train(config: RunConfig, dataset: Dataset, label: str, seed: int, comparison: Comparison) -> Training:
    method, probe = make_method(config, dataset, seed), make_probe(config)
    split = probe.splits(dataset, seed)[0]
    score, items = _judge(method, dataset, probe, split, seed), None
    if isinstance(method, Supervised):
        assert dataset.labels is not None
        split = with_validation(split, dataset.labels, seed)
        method.fit_labels(dataset.labels, split)
        score, items = validation(method, dataset, split, probe.metric(dataset)), split.train
    sampler = make_sampler(config, dataset, seed, method, items)
    full = dataset.graph.full_batch() if comparison.gradient_error else None
    watch, error = Watch(comparison.plan, score, method, full), ""
    try:
        pretrain(method, sampler, config.train, seed=derive_seed(seed, "train"), watch=watch)
    except TrainingError as failure:
        error = str(failure)
    assert config.train.batch_size is not None
    return Training(
        method=config.method.name,
        dataset=dataset.name,
        sampler=label,
        batch_size=config.train.batch_size,
        lr=config.train.lr,
        seed=seed,
        clock=comparison.plan.clock,
        metric=probe.metric(dataset),
        seconds=comparison.plan.seconds,
        steps=comparison.plan.steps,
        points=tuple(watch.points),
        config_hash=config.hash,
        config=config.mapping(),
        environment=current("cpu", plugin_digests(config)).mapping(),
        error=error,
    )


def _judge(method: Method, dataset: Dataset, probe: Probe, split: Split, seed: int) -> Callable[[], float]:
    """Validation score of the probe on one split, higher is better; what it says of the test items is dropped."""
    labels, metric = dataset.labels, probe.metric(dataset)
    assert labels is not None
    sign = 1 if higher_is_better(metric) else -1
    return lambda: sign * probe.score(embed_dataset(method, dataset), labels, split, metric, seed).val


def _line(training: Training) -> str:
    best = training.best(by="seconds")
    steps = training.points[-1].step if training.points else 0
    score = training.error or f"{training.metric} {best:.4f} after {training.seconds:g} s, {steps} steps"
    return f"{training.sampler}, batch {training.batch_size}, lr {training.lr:g}, seed {training.seed}: {score}"
