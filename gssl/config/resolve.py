"""From what the user asked for to the full configuration: defaults < preset < file < flags and ``--set``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gssl.common import yaml_io
from gssl.common.errors import InputError
from gssl.common.options import idle_options, options_of
from gssl.common.resolve import Resolver
from gssl.common.seeds import seed_range
from gssl.config import components, presets
from gssl.config.layer import Layer, Section, from_assignments, from_mapping
from gssl.config.options import component, settled
from gssl.config.record import Component, RunConfig
from gssl.config.refusals import unknown_key
from gssl.datasets.declared import Declared
from gssl.datasets.types import Dataset, Level
from gssl.method import Method
from gssl.registry import ENCODERS, METHODS, PROBES, SAMPLERS, SETTINGS, TASKS
from gssl.training.config import FinetuneConfig, TrainConfig

GRAPHS_PER_BATCH = 128
SEMI_SUPERVISED = "P7"
TASK_RESERVED = ("fixed",)  # a sealed task gives it to itself
NODE_PROBE = "LBFGS"  # of a dataset whose own probe judges something else


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
    task: str | None = None
    setting: str | None = None
    labels: float | int | None = None
    pretrain_on: str | None = None


@dataclass(frozen=True)
class Subject:
    """What a configuration needs to know of its dataset.

    Attributes:
        name: name of the dataset.
        data: what to load: the name again, or a path.
        level: whether its items are nodes or graphs.
        probe: the probe that judges it by default.
        declared: what the user said of data of their own, name to value.
    """

    name: str
    data: str
    level: Level
    probe: str
    declared: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: Dataset, data: str) -> Subject:
        """A loaded dataset, and what was loaded."""
        return cls(dataset.name, data, dataset.level, dataset.probe, dataset.declared)

    @property
    def task(self) -> str:
        """What is judged unless another task is named: links where the dataset's probe judges them, else its items."""
        judged = components.probe_class(self.probe).tasks()
        return self.level if self.level in judged else judged[0]


def resolve(request: Request, subject: Subject) -> RunConfig:
    """The full configuration of a run.

    Raises:
        InputError: an unknown name or option, a wrong value, parts that do not fit together or the dataset.
    """
    name = METHODS.canonical(request.method)
    method = components.method_class(name)
    components.check_level("method", name, method.levels, subject.level, METHODS)
    purposes = _purposes(request, subject)
    preset = presets.choose(name, subject.name, request.preset, purposes=purposes, level=subject.level)
    layers = _layers(request, name, subject, preset)
    task = _task(layers, subject)
    _check_assignments(layers[-1], method, name, layers, subject)
    setting = _setting(method, layers)
    sampler, train = _sampling(layers, subject, method)
    probe = _probe(layers, subject, task.name, setting.name)
    own = component(name, method, _options(layers, "method"), what=f"method {name}")
    encoder = _encoder(method, layers)
    return RunConfig(
        dataset=subject.name,
        data=subject.data,
        method=own,
        encoder=encoder,
        sampler=sampler,
        train=train,
        probe=probe,
        seeds=_seeds(request, layers),
        preset=preset[0] if preset else None,
        task=task,
        setting=setting,
        finetune=_finetune(setting, layers, train),
        notes=(
            *(() if preset is None else _protocol_notes(*preset, probe.name)),
            *_idle(layers[1:] if preset else layers, own, encoder),
        ),
        declared=subject.declared,
    )


def declared_in(request: Request) -> Declared:
    """What a request says of the user's data: in its file, and stronger on the command line.

    Raises:
        InputError: an unknown fact, or a value that it cannot have.
    """
    layers = _own_layers(request)
    return Declared(**settled(Declared, _options(layers, "declared"), what="--data"))


def _own_layers(request: Request) -> list[Layer]:
    file = [] if request.file is None else [from_mapping(yaml_io.read(request.file), str(request.file))]
    return [*file, _command_line(request)]


def _layers(request: Request, method: str, subject: Subject, preset: tuple[str, Layer] | None) -> list[Layer]:
    """Sources of settings, the strongest last; the last one is the command line."""
    layers = [*([preset[1]] if preset else []), *_own_layers(request)]
    for layer in layers:
        _check_identity(layer, method, subject)
    return layers


def _command_line(request: Request) -> Layer:
    layer = from_assignments(request.assignments)
    sections = dict(layer.sections)
    named = ("encoder", "sampler", "probe", "task", "setting")
    for kind in named:
        name = getattr(request, kind)
        if name is not None:
            sections[kind] = replace(layer.section(kind), name=name)
    for key, value in (("labels", request.labels), ("pretrain_on", request.pretrain_on)):
        if value is not None:
            section = sections.get("setting", Section())
            sections["setting"] = replace(section, options={**section.options, key: value})
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
            "task": TASKS.get(_name("task", subject.task, layers, TASKS)),
            "setting": SETTINGS.get(_name("setting", _usual(method), layers, SETTINGS)),
        }
        raise unknown_key(f"method {name}", bare, own, {key: options_of(part) for key, part in parts.items()})


def _encoder(method: type[Method], layers: Sequence[Layer]) -> Component:
    name = _name("encoder", method.default_encoder, layers, ENCODERS)
    factory = components.encoder_factory(name)
    return component(name, factory, _options(layers, "encoder", name, ENCODERS), what=f"encoder {name}")


def _usual(method: type[Method]) -> str:
    """The setting that a method is put to unless another is named."""
    return "supervised" if method.needs_labels else "frozen"


def _purposes(request: Request, subject: Subject) -> tuple[str, ...]:
    """What a preset may be for beside its dataset: a task, a setting or a probe other than the usual one."""
    probe = None if request.probe is None else PROBES.canonical(request.probe)
    return presets.purposes(
        probe=(probe, subject.probe), setting=(request.setting, "frozen"), task=(request.task, subject.task)
    )


def _protocol_notes(preset: str, layer: Layer, probe: str) -> tuple[str, ...]:
    if layer.protocol in ("", probe) or presets.is_default(preset):  # a default is made for no data in particular
        return ()
    return (f"the values of preset {preset} were made for {layer.protocol}, this run is judged by {probe}",)


def _idle(layers: Sequence[Layer], method: Component, encoder: Component) -> tuple[str, ...]:
    """Which options that the user chose change nothing, because of others."""
    told: list[str] = []
    for kind, part, factory in (
        ("method", method, METHODS.get(method.name)),
        ("encoder", encoder, components.encoder_factory(encoder.name)),
    ):
        given = [key.partition(".")[0] for layer in layers for key in layer.section(kind).options]
        told += [f"{kind} {part.name}: {note}" for note in idle_options(factory, part.options, given)]
    return tuple(told)


def _task(layers: Sequence[Layer], subject: Subject) -> Component:
    name = _name("task", subject.task, layers, TASKS)
    if name in ("node", "graph") and name != subject.level:
        raise InputError(
            f"--task {name} judges {name}s, but {subject.name} is {subject.level}-level data; leave out --task"
        )
    factory = TASKS.get(name)
    return component(name, factory, _options(layers, "task", name, TASKS), what=f"task {name}", reserved=TASK_RESERVED)


def _setting(method: type[Method], layers: Sequence[Layer]) -> Component:
    usual = _usual(method)
    name = _name("setting", usual, layers, SETTINGS)
    if method.needs_labels and name == "frozen":
        name = usual
    if (name == "supervised") != method.needs_labels:
        raise InputError(
            f"--setting {name} does not fit the method: supervised and M3S learn from labels, and only in the setting "
            "supervised; leave out --setting, or choose a self-supervised method"
        )
    options = _options(layers, "setting", name, SETTINGS)
    own = options_of(SETTINGS.get(name))
    for key in ("labels", "pretrain_on"):
        if key not in own and any(key in source for source in options):
            raise InputError(
                f"--{key.replace('_', '-')} does not go with --setting {name}: "
                + ("no label is trained on; use --setting finetune or auxiliary" if key == "labels" else "leave it out")
            )
    return component(name, SETTINGS.get(name), options, what=f"setting {name}")


def _finetune(setting: Component, layers: Sequence[Layer], train: TrainConfig) -> TrainConfig | None:
    """Options of the second training, where there is one; its batches are as large as those of the first."""
    given = _options(layers, "finetune")
    if not SETTINGS.get(setting.name).has_finetuning:
        if any(given):
            raise InputError(f"--set finetune.X does not go with --setting {setting.name}, which has one training")
        return None
    values = settled(FinetuneConfig, [{"batch_size": train.batch_size}, *given], what="finetune")
    return TrainConfig(**values)


def _sampling(layers: Sequence[Layer], subject: Subject, method: type[Method]) -> tuple[Component, TrainConfig]:
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
    if name not in ("full", "graphs"):
        method.refuse_batches(f"leave out --sampler {name}")
    sampler = components.sampler_factory(name)
    values = settled(TrainConfig, _options(layers, "train"), what="train")
    values["batch_size"] = _batch_size(values["batch_size"], name, options_of(sampler), subject)
    reserved = components.SAMPLER_RESERVED
    given = _options(layers, "sampler", name, SAMPLERS)
    return component(name, sampler, given, what=f"sampler {name}", reserved=reserved), TrainConfig(**values)


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


def _probe(layers: Sequence[Layer], subject: Subject, task: str, setting: str) -> Component:
    usual = subject.probe if task == subject.task else TASKS.get(task).default_judge or NODE_PROBE
    if setting in ("finetune", "auxiliary") and usual.startswith("P5"):
        usual = SEMI_SUPERVISED  # folds with validation items, which choose the epoch
    name = _name("probe", usual, layers, PROBES)
    probe = components.probe_class(name)
    components.check_task(name, task)
    return component(name, probe, _options(layers, "probe", name, PROBES), what=f"probe {name}")


def _seeds(request: Request, layers: Sequence[Layer]) -> tuple[int, ...]:
    if request.seed is None and request.seeds is None:
        recorded = [layer.seeds for layer in layers if layer.seeds is not None]
        return recorded[-1] if recorded else (0,)
    first = request.seed or 0
    return seed_range(first, 1 if request.seeds is None else request.seeds)


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
