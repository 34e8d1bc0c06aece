"""The objects that a configuration describes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import options_of
from gssl.common.seeds import derive_seed
from gssl.config import components
from gssl.config.record import Component, RunConfig
from gssl.datasets.types import Dataset, Level
from gssl.evaluate.base import Judge
from gssl.graph.spec import GraphSpec
from gssl.method import Method
from gssl.models.encoder import Encoder, encoder_for
from gssl.models.typed import HETERO_DATA
from gssl.registry import METHODS, TASKS
from gssl.samplers.base import Sampler
from gssl.samplers.pair import PairSampler
from gssl.settings.sizes import require_memory
from gssl.tasks.base import Task
from gssl.training.embed import check_embeddable


def make_method(config: RunConfig, dataset: Dataset, seed: int) -> Method:
    """The method with freshly initialised weights, on the CPU; the same seed gives the same weights.

    It has seen the graph of the dataset (:meth:`~gssl.method.Method.prepare`).
    """
    require_memory(lambda: new_method(config, dataset.spec))
    torch.manual_seed(derive_seed(seed, "init"))
    method = new_method(config, dataset.spec)
    method.prepare(dataset.graph, derive_seed(seed, "prepare"))
    return method


def new_method(config: RunConfig, spec: GraphSpec) -> Method:
    """The method for data of a kind, before it has seen any.

    Raises:
        InputError: the method needs types of nodes, which the data have not, or it would ignore that the encoder does.
    """
    method, factory = components.method_class(config.method.name), components.encoder_factory(config.encoder.name)
    if method.needs_types and spec.hetero is None:
        raise InputError(
            f"{config.method.name} trains on several types of nodes and their relations, but these data are one "
            f"graph with one type (as --task link makes of any); {HETERO_DATA}"
        )
    if getattr(factory, "needs_types", False) and not (method.needs_types or method.takes_types):
        fitting = [name for name in METHODS.names() if components.takes_types(name)]
        raise InputError(
            f"the encoder {config.encoder.name} reads relations, which the views of {config.method.name} do not "
            f"change; use --encoder GCN, or one of the methods {', '.join(fitting)}"
        )
    return method(encoder_for(factory, spec, **config.encoder.options), **config.method.options)


def make_sampler(
    config: RunConfig,
    dataset: Dataset,
    seed: int,
    method: Method,
    items: Tensor | None = None,
    *,
    batch_size: int | None = None,
) -> Sampler:
    """The sampler over the dataset.

    Args:
        config: names the sampler, its options and the batch size.
        dataset: what to draw from.
        seed: seed of the repetition.
        method: what will train on the batches.
        items: restricts a sampler that can be restricted to these items, shape (n,), int64; None means all.
        batch_size: in place of that of the configuration's training.

    Raises:
        InputError: the encoder or the method cannot work on the sampler's batches, or the folder of its history holds
            that of another graph or encoder.
    """
    factory = components.sampler_factory(config.sampler.name)
    given = {
        "batch_size": batch_size or config.train.batch_size,
        "items": items,
        "seed": derive_seed(seed, "sampler"),
        "num_layers": method.num_layers,
    }
    accepted = options_of(factory)
    reserved = {name: value for name, value in given.items() if name in accepted}
    sampler = factory(dataset.graph, **config.sampler.options, **reserved)
    method.check_sampler(sampler)
    check_embeddable(method, dataset)
    if not isinstance(sampler, PairSampler) or sampler.store is None:
        return sampler
    if not method.encoder.reads_history:
        raise InputError(
            f"the encoder {config.encoder.name} cannot read a history, which --sampler {config.sampler.name} relies "
            "on; use one of gssl's own encoders or a propagation without history"
        )
    # Labels do not matter, but the dataset's checksum is known without reading the features again.
    sampler.store.sign(f"{dataset.name} {dataset.checksum}, {encoder_signature(method.encoder)}")
    return sampler


def sampled_for(config: RunConfig, level: Level) -> RunConfig:
    """The configuration with a sampler for data of a level, for pretraining on data of another level than its own.

    Nodes of one graph are drawn uniformly (``graphsage``), graphs of a set are shuffled (``graphs``), in batches of the
    same size. A sampler that takes everything at once serves both.
    """
    fitting = {"node": "graphsage", "graph": "graphs"}[level]
    return config if config.sampler.name == "full" else replace(config, sampler=Component(fitting))


def encoder_signature(encoder: Encoder) -> str:
    """Class and dimensions of an encoder: ``GCN 1433x256 256 256x256 256``, the shapes of its parameters in order."""
    shapes = ("x".join(map(str, parameter.shape)) or "1" for parameter in encoder.parameters())
    return " ".join((type(encoder).__name__, *shapes))


def make_probe(config: RunConfig) -> Judge:
    """What judges: a probe of items, of links or of clusters."""
    return components.probe_class(config.probe.name)(**config.probe.options)


def make_task(config: RunConfig, dataset: Dataset) -> Task:
    """What is judged.

    Raises:
        InputError: the task does not fit the data.
    """
    factory: Callable[..., Task] = TASKS.get(config.task.name)
    return factory(dataset, make_probe(config), **config.task.options)
