"""The shortest command line that repeats a stored configuration: its preset, and what differs from it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from gssl.benchmarks.report.command import seeds_flags
from gssl.common import yaml_io
from gssl.common.errors import InputError
from gssl.config import presets
from gssl.config.record import RunConfig
from gssl.config.resolve import Request, Subject, resolve
from gssl.datasets.catalog import find_spec
from gssl.datasets.types import Level
from gssl.registry import ENCODERS, METHODS, PROBES, SAMPLERS, SETTINGS, TASKS
from gssl.results.store import RunRow

_FAMILIES = {"task": TASKS, "setting": SETTINGS, "encoder": ENCODERS, "sampler": SAMPLERS, "probe": PROBES}
_FLAGS = {
    ("setting", "labels"): "--labels",
    ("setting", "pretrain_on"): "--pretrain-on",
    ("train", "epochs"): "--epochs",
}
_SECTIONS = ("method", "encoder", "sampler", "train", "probe", "task", "setting", "finetune")
_CARRIED_OUT = ("checkpoint_seconds",)  # says nothing of the result


def short_commands(row: RunRow, config: Mapping[str, Any], seeds: Iterable[int]) -> list[str]:
    """``gssl run`` with the preset and what differs from it, one command for each run of consecutive seeds.

    Args:
        row: of the cell.
        config: its configuration, in the layout of ``config.yaml``.
        seeds: of the cell.

    Returns:
        Commands for a POSIX shell, each of which resolves to the hash of the row; none where there is no such command,
        or where a part is known by an import path: what a row names is not imported.
    """
    if not all(isinstance(config.get(part), dict) for part in (*_FAMILIES, "method", "train")):
        return []  # written by something else
    subject = _subject(row, config)
    if subject is None:
        return []
    found = []
    for preset in dict.fromkeys((None, row.preset or presets.NONE)):
        try:
            words = _words(row, config, subject, preset)
        except InputError:  # written by another version
            continue
        if words is not None:
            found.append(words)
    if not found:
        return []
    best = min(found, key=lambda words: len(shlex.join(words)))
    return [shlex.join(["gssl", "run", *best, *flags]) for flags in seeds_flags(seeds)]


def _subject(row: RunRow, config: Mapping[str, Any]) -> Subject | None:
    """The dataset without loading it; None where that, or a part of the configuration, is not known here."""
    names = {kind: config[kind].get("name") for kind in _FAMILIES}
    if row.method not in METHODS.names() or "declared" in config or not isinstance(config.get("dataset"), str):
        return None
    for kind, name in names.items():
        if not isinstance(name, str) or ":" in name:
            return None
        try:
            _FAMILIES[kind].canonical(name)
        except InputError:
            return None
    spec = find_spec(row.dataset)
    if spec is not None and config["dataset"].lower() == spec.name.lower():
        return Subject(spec.name, spec.name, spec.level, spec.probe)
    level: Level = "graph" if names["task"] == "graph" or names["sampler"] == "graphs" else "node"
    return Subject(row.dataset, config["dataset"], level, str(names["probe"]))


def _words(row: RunRow, config: Mapping[str, Any], subject: Subject, preset: str | None) -> list[str] | None:
    """Words after ``gssl run``, without seeds; None if they do not lead to the hash of the row."""
    request, named = Request(row.method, preset=preset), dict[str, str]()
    for kinds in (
        ("task", "setting"),
        ("encoder", "sampler", "probe"),
    ):  # the former decide what is usual of the latter
        usual = _resolved(request, subject).mapping()
        names = {kind: str(config[kind]["name"]) for kind in kinds}
        named |= {kind: name for kind, name in names.items() if name != usual[kind]["name"]}
        size = config["train"].get("batch_size") if "sampler" in named else None
        request = replace(request, **named, batch_size=size)  # type: ignore[arg-type]  # fields by name
    if find_spec(row.dataset) is None:
        named["probe"] = config["probe"]["name"]  # of the user's own data the page does not know the usual one
        request = replace(request, probe=named["probe"])
    words = [row.method, config["dataset"], *(["--preset", preset] if preset is not None else [])]
    words += [word for kind, name in named.items() for word in (f"--{kind}", name)]
    words += ["--batch-size", str(size)] if size is not None else []
    changes = list(_changes(config, _resolved(request, subject)))
    for section, key, value in changes:
        flag = _FLAGS.get((section, key)) if value is not None else None
        prefix = "" if section == "method" else f"{section}."
        words += [flag, _text(value)] if flag else ["--set", f"{prefix}{key}={_text(value)}"]
    assignments = tuple(f"{'' if s == 'method' else f'{s}.'}{key}={_text(value)}" for s, key, value in changes)
    again = _resolved(replace(request, assignments=assignments), subject)
    return words if again.hash == row.config_hash else None


def _resolved(request: Request, subject: Subject) -> RunConfig:
    return _cached(request, subject.name, subject.data, subject.level, subject.probe)


@lru_cache(maxsize=1024)
def _cached(request: Request, name: str, data: str, level: Level, probe: str) -> RunConfig:
    return resolve(request, Subject(name, data, level, probe))


def _changes(config: Mapping[str, Any], base: RunConfig) -> Iterator[tuple[str, str, Any]]:
    """Section, option and value of everything that is stored and differs."""
    usual = base.mapping()
    for section in _SECTIONS:
        before = usual.get(section, {})
        for key, value in config.get(section, {}).items():
            if key not in ("name", *_CARRIED_OUT) and (key not in before or before[key] != value):
                yield section, key, value


def _text(value: Any) -> str:
    """A value as YAML reads it back, without quotes where it needs none."""
    if isinstance(value, str):
        try:
            return value if yaml_io.parse(value) == value and value.strip() == value else json.dumps(value)
        except InputError:
            return json.dumps(value, separators=(",", ": "))
    return json.dumps(value, separators=(",", ": "))
