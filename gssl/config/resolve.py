"""From what the user asked for to the full configuration: defaults < preset < file < flags and ``--set``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gssl.common import yaml_io
from gssl.common.errors import InputError
from gssl.common.options import options_of
from gssl.common.resolve import Resolver
from gssl.config import components, presets
from gssl.config.layer import Layer, Section, from_assignments, from_mapping
from gssl.config.options import settled
from gssl.config.record import Component, RunConfig
from gssl.datasets.types import Level
from gssl.method import Method
from gssl.registry import ENCODERS, METHODS, PROBES, SAMPLERS
from gssl.training.config import TrainConfig

GRAPHS_PER_BATCH = 128


@dataclass(frozen=True)
class Request:
    """What the user asked for; None where nothing was said."""

    method: str
    sampler: str | None = None
    encoder: str | None = None
    probe: str | None = None
    seeds: int | None = None
    seed: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    assignments: tuple[str, ...] = ()
    file: Path | None = None
    preset: str | None = None


@dataclass(frozen=True)
class Subject:
    """What a configuration needs to know of its dataset.

    Attributes:
        name: name of the dataset.
        data: what to load: the name again, or a path.
        level: whether its items are nodes or graphs.
        probe: the probe that judges it by default.
    """

    name: str
    data: str
    level: Level
    probe: str


def resolve(request: Request, subject: Subject) -> RunConfig:
    """The full configuration of a run.

    Raises:
        InputError: an unknown name or option, a wrong value, parts that do not fit together or the dataset.
    """
    name = METHODS.canonical(request.method)
    method = components.method_class(name)
    components.check_level("method", name, method.levels, subject.level, METHODS)
    preset = presets.choose(name, subject.name, request.preset)
    layers = _layers(request, name, subject, preset)
    _check_assignments(layers[-1], method, name, layers, subject)
    sampler, train = _sampling(layers, subject)
    return RunConfig(
        dataset=subject.name,
        data=subject.data,
        method=Component(name, settled(method, _options(layers, "method"), what=f"method {name}")),
        encoder=_encoder(method, layers),
        sampler=sampler,
        train=train,
        probe=_probe(layers, subject),
        seeds=_seeds(request, layers),
        preset=preset[0] if preset else None,
    )


def _layers(request: Request, method: str, subject: Subject, preset: tuple[str, Layer] | None) -> list[Layer]:
    """Sources of settings, the strongest last; the last one is the command line."""
    layers = [preset[1]] if preset else []
    if request.file is not None:
        layers.append(from_mapping(yaml_io.read(request.file), str(request.file)))
    layers.append(_command_line(request))
    for layer in layers:
        _check_identity(layer, method, subject)
    return layers


def _command_line(request: Request) -> Layer:
    layer = from_assignments(request.assignments)
    sections = dict(layer.sections)
    for kind, name in (("encoder", request.encoder), ("sampler", request.sampler), ("probe", request.probe)):
        if name is not None:
            sections[kind] = replace(layer.section(kind), name=name)
    train = dict(layer.section("train").options)
    for key, flag, value in (
        ("epochs", "--epochs", request.epochs),
        ("batch_size", "--batch-size", request.batch_size),
    ):
        if value is None:
            continue
        if train.setdefault(key, value) != value:
            raise InputError(f"{flag} {value} and --set train.{key}={train[key]} disagree; keep one")
    sections["train"] = Section(options=train)
    return replace(layer, sections=sections)


def _check_identity(layer: Layer, method: str, subject: Subject) -> None:
    """A file that was recorded for one method and dataset must not silently be used for others."""
    named = layer.section("method").name
    if named is not None and METHODS.canonical(named) != method:
        raise InputError(f"{layer.origin} is for method {named}, not {method}; change one, or remove the name")
    if layer.dataset is not None and layer.dataset.lower() not in (subject.name.lower(), subject.data.lower()):
        raise InputError(
            f"{layer.origin} is for dataset {layer.dataset}, not {subject.name}; change one, or remove the line"
        )


def _check_assignments(line: Layer, method: type[Method], name: str, layers: Sequence[Layer], subject: Subject) -> None:
    """Answer ``--set lr=1`` with ``train.lr``: a bare key that belongs to another part."""
    own = options_of(method)
    for key in line.section("method").options:
        bare = key.partition(".")[0]
        if bare in own:
            continue
        parts = {
            "train": TrainConfig,
            "encoder": components.encoder_factory(_name("encoder", method.default_encoder, layers, ENCODERS)),
            "probe": components.probe_class(_name("probe", subject.probe, layers, PROBES)),
        }
        raise components.unknown_key(f"method {name}", bare, own, parts)


def _encoder(method: type[Method], layers: Sequence[Layer]) -> Component:
    name = _name("encoder", method.default_encoder, layers, ENCODERS)
    factory = components.encoder_factory(name)
    options = settled(factory, _options(layers, "encoder", name, ENCODERS), what=f"encoder {name}")
    return Component(name, options)


def _sampling(layers: Sequence[Layer], subject: Subject) -> tuple[Component, TrainConfig]:
    default = "full" if subject.level == "node" else "graphs"
    name = _name("sampler", default, layers, SAMPLERS)
    if name not in ("full", "graphs") and subject.level == "graph" and ":" not in name:
        raise InputError(
            f"the sampler {name!r} draws nodes of one graph, but {subject.name} is a set of graphs; leave out --sampler"
        )
    if name == "graphs" and subject.level == "node":
        raise InputError(
            f"the sampler 'graphs' needs a set of graphs, but {subject.name} is one graph; leave out --sampler"
        )
    sampler = components.sampler_factory(name)
    values = settled(TrainConfig, _options(layers, "train"), what="train")
    values["batch_size"] = _batch_size(values["batch_size"], name, options_of(sampler), subject)
    reserved = components.SAMPLER_RESERVED
    options = settled(sampler, _options(layers, "sampler", name, SAMPLERS), what=f"sampler {name}", reserved=reserved)
    return Component(name, options), TrainConfig(**values)


def _batch_size(given: int | None, sampler: str, options: Mapping[str, Any], subject: Subject) -> int | None:
    if "batch_size" not in options:
        if given is not None:
            raise InputError(
                f"the sampler {sampler!r} has no batch size, it takes all of {subject.name} at once; "
                f"leave out --batch-size (train.batch_size) or choose a sampler that draws batches with --sampler"
            )
        return None
    if given is not None:
        return given
    if subject.level == "graph":
        return GRAPHS_PER_BATCH
    if options["batch_size"].required:
        raise InputError(f"the sampler {sampler!r} needs a batch size: give it with --batch-size")
    default: int | None = options["batch_size"].default
    return default


def _probe(layers: Sequence[Layer], subject: Subject) -> Component:
    name = _name("probe", subject.probe, layers, PROBES)
    probe = components.probe_class(name)
    components.check_level("probe", name, probe.levels, subject.level, PROBES)
    return Component(name, settled(probe, _options(layers, "probe", name, PROBES), what=f"probe {name}"))


def _seeds(request: Request, layers: Sequence[Layer]) -> tuple[int, ...]:
    if request.seed is None and request.seeds is None:
        recorded = [layer.seeds for layer in layers if layer.seeds is not None]
        return recorded[-1] if recorded else (0,)
    first = request.seed or 0
    return tuple(range(first, first + (1 if request.seeds is None else request.seeds)))


def _name(kind: str, default: str, layers: Sequence[Layer], family: Resolver[Any]) -> str:
    """The component that the strongest source names."""
    named = [layer.section(kind).name for layer in layers if layer.section(kind).name is not None]
    return family.canonical(named[-1] if named and named[-1] else default)


def _options(
    layers: Sequence[Layer], kind: str, name: str | None = None, family: Resolver[Any] | None = None
) -> list[Mapping[str, object]]:
    """Option values from weak to strong, without those that a source gave for another component."""
    kept: list[Mapping[str, object]] = []
    for layer in layers:
        section = layer.section(kind)
        if family is not None and section.name is not None and family.canonical(section.name) != name:
            kept = []
            continue
        kept.append(section.options)
    return kept
