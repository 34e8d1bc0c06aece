"""One source of settings (a preset, a file, the command line): what it names and which options it sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gssl.common import yaml_io
from gssl.common.errors import InputError, unknown

SECTIONS = ("method", "encoder", "sampler", "train", "probe", "task", "setting", "finetune", "declared")
_NAMELESS = ("train", "finetune", "declared")
_OTHER_KEYS = ("source", "protocol", "dataset", "seeds")
# What a run notes in its config.yaml; no settings.
RECORDS = ("config_hash", "dataset_checksum", "plugins", "data", "world_size")


@dataclass(frozen=True)
class Section:
    """Settings of one component.

    Attributes:
        name: which component; None leaves the choice as it is.
        options: option name (or ``name.INDEX`` for one item of a list) to value.
    """

    name: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Layer:
    """Settings from one source, for any of the sections.

    Attributes:
        origin: how messages name the source, for example ``preset 'Cora' of GRACE``.
        sections: section name to settings.
        source: where the values were published, if that is known.
        protocol: what the values were made for, where that is not the usual probe of the dataset: a probe, or words.
        dataset: dataset that the settings were recorded for; None if they are not tied to one.
        seeds: seeds that the settings ask for, in order.
    """

    origin: str
    sections: Mapping[str, Section]
    source: str = ""
    protocol: str = ""
    dataset: str | None = None
    seeds: tuple[int, ...] | None = None

    def section(self, name: str) -> Section:
        return self.sections.get(name, Section())


def from_mapping(data: Mapping[str, Any], origin: str) -> Layer:
    """A layer from the layout of presets and of the ``config.yaml`` of a run.

    Raises:
        InputError: an unknown section, or a value of the wrong kind.
    """
    for key in data:
        if key not in SECTIONS + _OTHER_KEYS + RECORDS:
            raise unknown(f"section of {origin}", key, SECTIONS)
    sections = {key: _section(data[key], key, origin) for key in SECTIONS if key in data}
    seeds = data.get("seeds")
    if seeds is not None and not (_is_list_of_seeds(seeds) and seeds):
        raise InputError(f"{origin}: seeds must be a list of different whole numbers (got {seeds!r})")
    return Layer(
        origin,
        sections,
        source=str(data.get("source", "")),
        protocol=str(data.get("protocol", "")),
        dataset=None if data.get("dataset") is None else str(data["dataset"]),
        seeds=None if seeds is None else tuple(seeds),
    )


def from_assignments(assignments: Iterable[str], origin: str = "--set") -> Layer:
    """A layer from ``KEY=VALUE`` texts; a key without a section's name before a dot belongs to the method.

    Raises:
        InputError: a text without ``=``, a key given twice, or a value that is not YAML.
    """
    options: dict[str, dict[str, object]] = {section: {} for section in SECTIONS}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise InputError(f"{origin} {text!r} must look like KEY=VALUE, for example {origin} train.lr=0.001")
        section, option = _address(key.strip())
        if option in options[section]:
            raise InputError(f"{origin} gives {key.strip()!r} twice; keep one")
        try:
            options[section][option] = yaml_io.parse(value)
        except InputError as error:
            raise InputError(f"{origin} {text!r}: the value is {error}") from None
    return Layer(origin, {section: Section(options=values) for section, values in options.items() if values})


def _address(key: str) -> tuple[str, str]:
    head, dot, rest = key.partition(".")
    return (head, rest) if dot and head in SECTIONS else ("method", key)


def _section(data: object, key: str, origin: str) -> Section:
    if data is None:
        return Section()
    if not isinstance(data, dict) or not all(isinstance(name, str) for name in data):
        raise InputError(f"{origin}: {key} must be a mapping of option names to values (got {data!r})")
    name = data.get("name")
    if key in _NAMELESS and name is not None:
        raise InputError(f"{origin}: {key} has no name; remove {name!r}")
    if name is not None and not isinstance(name, str):
        raise InputError(f"{origin}: the name of the {key} must be a text (got {name!r})")
    return Section(name, {option: value for option, value in data.items() if option != "name"})


def _is_list_of_seeds(seeds: object) -> bool:
    return (
        isinstance(seeds, list)
        and all(isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0 for seed in seeds)
        and len(set(seeds)) == len(seeds)
    )
