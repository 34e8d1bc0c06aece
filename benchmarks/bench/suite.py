"""Suites: grids of methods, datasets and everything else that a cell is made of, in YAML.

::

    # Two methods on Cora.              the first comment is the summary in `gssl list suites`
    seeds: 3                            or a list of numbers
    budget: {epochs: 200, seconds: 600, memory_mb: 4096}
    groups:
      - methods: [GRACE, {name: untrained, encoder: GIN}]
        datasets: [Cora]
        samplers: [default, {name: labor, batch_size: 512}]
      - methods: [GraphCL, JOAO]
        datasets: [NCI1]
        settings: [{name: finetune, labels: 0.1}, {name: finetune, labels: 0.01}]
      - {methods: [GAE], datasets: [Cora], task: link, options: {task.test: 0.2}}

Within a group every method meets every dataset, so all of them work on one level; a second level is a second group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from gssl.benchmarks.bench.shipped import folder, names, summary_of
from gssl.common import yaml_io
from gssl.common.errors import InputError, unknown
from gssl.common.options import Amount
from gssl.common.seeds import seed_range


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Budget(_Model):
    """What a cell may use.

    Attributes:
        epochs: passes over the data; None for those of the preset.
        seconds: wall time, after which the cell is stopped; None for no limit.
        memory_mb: resident memory in MiB, above which the cell is stopped; None for no limit.
        cpus: what a cell asks a Ray cluster for.
        gpus: GPUs of a cell; 0 is one where it computes on CUDA, and a part of 1 lets so many share one.
    """

    epochs: NonNegativeInt | None = None
    seconds: PositiveFloat | None = None
    memory_mb: PositiveFloat | None = None
    cpus: PositiveFloat = 1.0
    gpus: Annotated[float, Field(ge=0)] = 0.0


class MethodEntry(_Model):
    """A method, or one variant of it.

    Attributes:
        name: registered name or import path.
        encoder: name or import path; None for the preset's.
        preset: name, ``auto`` for that of the dataset, ``none`` for none; None for the presets of the group.
        epochs: passes over the data instead of the budget's.
        options: settings as ``--set`` takes them, for example ``temperature`` or ``train.lr``.
    """

    name: str
    encoder: str | None = None
    preset: str | None = None
    epochs: NonNegativeInt | None = None
    options: dict[str, JsonValue] = {}


class SamplerEntry(_Model):
    """A sampler.

    Attributes:
        name: name or pair; ``default`` for the whole graph, or batches of graphs.
        batch_size: items in a batch; None for that of the sampler or preset.
        options: its options, without ``sampler.``.
    """

    name: str
    batch_size: PositiveInt | None = None
    options: dict[str, JsonValue] = {}


class SettingEntry(_Model):
    """A setting: how a method is put to the task.

    Attributes:
        name: ``frozen`` keeps the pretrained encoder as it is; or ``finetune``, ``auxiliary``.
        labels: share of the training labels (real) or a number for each class; None for all.
        pretrain_on: another dataset that the encoder is pretrained on; None for the dataset itself.
        options: its options, without ``setting.``.
    """

    name: str
    labels: Amount | None = None
    pretrain_on: str | None = None
    options: dict[str, JsonValue] = {}


def _entry(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


Methods = Annotated[MethodEntry, BeforeValidator(_entry)]
Samplers = Annotated[SamplerEntry, BeforeValidator(_entry)]
Settings = Annotated[SettingEntry, BeforeValidator(_entry)]
Names = Annotated[list[str], Field(min_length=1)]


def _seeds(value: object) -> object:
    """The value, where its type says what is meant."""
    if isinstance(value, list) and not all(type(seed) is int and seed >= 0 for seed in value):
        raise ValueError("every seed must be a whole number of at least 0")
    return value


Seeds = Annotated[int | list[NonNegativeInt], Field(union_mode="left_to_right"), BeforeValidator(_seeds)]


class Group(_Model):
    """One grid. Every axis is crossed with every other one.

    Attributes:
        methods: names, or entries with options.
        datasets: names or paths; every method meets every one of them.
        probes: names; ``default`` is that of the dataset.
        presets: names; ``auto`` is that of the dataset, ``none`` is none.
        samplers: names, or entries with options.
        task: what is judged; None for the labels of the data.
        setting: the only setting of the group, instead of ``settings``.
        settings: names, or entries with options.
        budgets: what a cell may use; None for the suite's budget.
        seeds: a number of repetitions, or their seeds; None for the suite's.
        options: settings of every cell, as ``--set`` takes them.
    """

    methods: Annotated[list[Methods], Field(min_length=1)]
    datasets: Names
    probes: Names = ["default"]
    presets: Names = ["auto"]
    samplers: Annotated[list[Samplers], Field(min_length=1)] = [SamplerEntry(name="default")]
    task: str | None = None
    setting: Settings | None = None
    settings: Annotated[list[Settings], Field(min_length=1)] = [SettingEntry(name="frozen")]
    budgets: Annotated[list[Budget], Field(min_length=1)] | None = None
    seeds: Seeds | None = None
    options: dict[str, JsonValue] = {}

    @model_validator(mode="after")
    def _one_way_of_saying(self) -> Self:
        if self.setting is not None and "settings" in self.model_fields_set:
            raise ValueError("setting and settings say the same; keep one")
        return self

    @property
    def axis_of_settings(self) -> list[SettingEntry]:
        """The settings, whichever way they were given."""
        return self.settings if self.setting is None else [self.setting]


class SuiteFile(_Model):
    """The content of a suite file (see the module).

    Attributes:
        seeds: a number of repetitions, or their seeds; None where every group says its own.
        budget: what a cell may use.
        groups: grids, each of methods and datasets of one level.
    """

    seeds: Seeds | None = None
    budget: Budget = Budget()
    groups: Annotated[list[Group], Field(min_length=1)]


@dataclass(frozen=True)
class Suite:
    """A suite.

    Attributes:
        name: stem of its file.
        file: where it stands.
        summary: its first comment line.
        content: what it holds.
    """

    name: str
    file: Path
    summary: str
    content: SuiteFile


def load_suite(name: str) -> Suite:
    """A suite by name, or by the path of a file.

    Raises:
        InputError: no such suite, or the file is wrong; the message names the key.
    """
    file = _file(name)
    data = yaml_io.read(file)
    try:
        content = SuiteFile.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{file.name}: {_first(error)}") from None
    _check_seeds(content, file.name)
    return Suite(file.stem, file, summary_of(file), content)


def seed_list(seeds: int | Sequence[int]) -> list[int]:
    """Seeds from their number or from a list.

    Example:
        >>> seed_list(3), seed_list([5, 7])
        ([0, 1, 2], [5, 7])
    """
    return list(seed_range(0, seeds)) if isinstance(seeds, int) else list(seeds)


def _file(name: str) -> Path:
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.parent != Path():
        if not path.is_file():
            raise InputError(f"there is no suite file {name}")
        return path
    by_lower = {known.lower(): known for known in names()}
    if name.lower() not in by_lower:
        raise unknown("suite", name, by_lower.values())
    return folder() / f"{by_lower[name.lower()]}.yaml"


def _check_seeds(content: SuiteFile, file: str) -> None:
    for number, group in enumerate(content.groups):
        seeds = content.seeds if group.seeds is None else group.seeds
        where = "seeds" if group.seeds is None else f"groups.{number}.seeds"
        if seeds is None or (isinstance(seeds, int) and seeds < 1) or seeds == []:
            raise InputError(f"{file}: {where}: there are no seeds; say for example `seeds: 3` or `seeds: [0, 1, 2]`")
        if isinstance(seeds, list) and len(set(seeds)) < len(seeds):
            raise InputError(f"{file}: {where}: a seed stands there twice: {seeds}")


def _first(error: ValidationError) -> str:
    """The first fault as ``key: what is wrong``."""
    fault = error.errors()[0]
    location = [str(part) for part in fault["loc"]]
    key = ".".join(location) or "the file"
    if fault["type"] == "extra_forbidden":
        return str(unknown("key", key, [".".join([*location[:-1], field]) for field in _fields(location)]))
    if fault["type"] == "missing":
        return f"{key}: this key is missing"
    return f"{key}: {fault['msg']} (got {fault['input']!r})"


def _fields(location: Sequence[str]) -> list[str]:
    """Keys that are valid where an unknown one stands."""
    models: dict[str, type[BaseModel]] = {
        "groups": Group,
        "methods": MethodEntry,
        "samplers": SamplerEntry,
        "setting": SettingEntry,
        "settings": SettingEntry,
        "budget": Budget,
        "budgets": Budget,
    }
    inside = [part for part in location[:-1] if part in models]
    return list((models[inside[-1]] if inside else SuiteFile).model_fields)
