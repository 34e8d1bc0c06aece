"""From a suite to its cells. Names are made canonical and checked; nothing heavy is imported for that."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from gssl.benchmarks.bench.cell import USUAL, Cell, assignments, told_apart
from gssl.benchmarks.bench.fingerprint import fingerprint
from gssl.benchmarks.bench.suite import Group, MethodEntry, SamplerEntry, SettingEntry, Suite, seed_list
from gssl.common.errors import InputError, unknown
from gssl.common.options import texts_in
from gssl.common.resolve import Resolver, import_paths
from gssl.config import presets
from gssl.config.layer import SECTIONS, Layer
from gssl.datasets.catalog import DATASETS, find_spec, is_path
from gssl.datasets.store import Store as DataStore
from gssl.registry import ENCODERS, METHODS, OBJECTIVES, PROBES, SAMPLERS, SETTINGS, TASKS

_AUTO = {"default": None, "auto": None}


@dataclass(frozen=True)
class SuitePart:
    """What the command line takes of a suite.

    Attributes:
        methods: names; None for all. One that the suite does not name is a guest, and joins every group that it fits.
        datasets: names; None for all.
        seeds: number of repetitions instead of the suite's.
        epochs: passes over the data instead of the suite's and the presets'.
    """

    methods: tuple[str, ...] | None = None
    datasets: tuple[str, ...] | None = None
    seeds: int | None = None
    epochs: int | None = None


def expand(suite: Suite, selection: SuitePart | None = None, guests: Sequence[tuple[str, int]] = ()) -> list[Cell]:
    """The cells of a suite, the first seed of everything first.

    Args:
        suite: what to expand.
        selection: which part of it.
        guests: methods that the suite does not name, each with the number of a group that it joins.

    Raises:
        InputError: an unknown name, a cell that stands there twice, or a selection that leaves nothing.
    """
    selection = selection or SuitePart()
    names = _Names()
    cells = told_apart(
        [
            cell
            for number, group in enumerate(suite.content.groups)
            for cell in _cells(suite, number, _with_guests(group, number, guests), selection, names)
        ]
    )
    _refuse_duplicates(cells)
    chosen = _chosen(cells, selection, names)
    if not chosen:
        raise InputError(f"no cell of suite {suite.name} is left; change --methods or --datasets")
    return sorted(chosen, key=lambda cell: cell.seed)


def guests_of(suite: Suite, methods: Iterable[str]) -> list[str]:
    """Those of the methods that the suite does not name.

    Raises:
        InputError: an unknown name.
    """
    own = {METHODS.canonical(entry.name) for group in suite.content.groups for entry in group.methods}
    return [name for name in map(METHODS.canonical, methods) if name not in own]


def _with_guests(group: Group, number: int, guests: Sequence[tuple[str, int]]) -> Group:
    joining = [MethodEntry(name=name) for name, home in guests if home == number]
    return group.model_copy(update={"methods": [*group.methods, *joining]})


def _cells(suite: Suite, number: int, group: Group, selection: SuitePart, names: _Names) -> Iterator[Cell]:
    budgets = group.budgets or [suite.content.budget]
    seeds = seed_list(selection.seeds or (suite.content.seeds if group.seeds is None else group.seeds) or 0)
    place = f"{suite.file.name}: groups.{number}"
    for dataset, method, probe, preset, sampler, setting, budget in itertools.product(
        range(len(group.datasets)),
        range(len(group.methods)),
        range(len(group.probes)),
        range(len(group.presets)),
        range(len(group.samplers)),
        range(len(group.axis_of_settings)),
        budgets,
    ):
        entry = group.methods[method]
        with _at(f"{place}.datasets.{dataset}"):
            data = names.dataset(group.datasets[dataset])
        task, how = _task_and_setting(group, setting, place, names)
        with _at(f"{place}.methods.{method}"):
            name = names.of(METHODS, entry.name)
            encoder = names.of(ENCODERS, entry.encoder) if entry.encoder else None
        with _at(f"{place}.probes.{probe}"):
            judge = names.probe(data, _AUTO.get(group.probes[probe], group.probes[probe]), task, how)
        with _at(f"{place}.presets.{preset}" if entry.preset is None else f"{place}.methods.{method}.preset"):
            wanted = entry.preset or group.presets[preset]
            chosen, content = names.preset(name, data, _AUTO.get(wanted, wanted), _purposes(data, task, how, judge))
        with _at(f"{place}.samplers.{sampler}"):
            batches = names.sampler(group.samplers[sampler])
        epochs = selection.epochs if selection.epochs is not None else entry.epochs
        options = _options(group, group.samplers[sampler], how, entry)
        variant = Cell(
            method=name,
            dataset=data,
            seed=0,
            probe=judge,
            encoder=encoder,
            sampler=batches,
            preset=chosen,
            setting=how.name,
            epochs=budget.epochs if epochs is None else epochs,
            batch_size=group.samplers[sampler].batch_size,
            options=options,
            origin=(
                *names.origin(name, encoder, batches, judge, data),
                *names.circumstances(task, how),
                *names.parts_in(options),
                ("preset", content),
            ),
            budget=budget,
            where=f"{place}.methods.{method} with {data}",
            task=task,
            labels=how.labels,
            pretrain_on=how.pretrain_on,
        )
        yield from (replace(variant, seed=seed) for seed in seeds)


def _task_and_setting(group: Group, number: int, place: str, names: _Names) -> tuple[str | None, SettingEntry]:
    with _at(f"{place}.task"):
        task = names.of(TASKS, group.task) if group.task else None
    with _at(f"{place}.settings.{number}" if group.setting is None else f"{place}.setting"):
        return task, names.setting(group.axis_of_settings[number])


def _options(group: Group, sampler: SamplerEntry, setting: SettingEntry, method: MethodEntry) -> tuple[str, ...]:
    parts = (("sampler", sampler.options), ("setting", setting.options))
    addressed = [{f"{section}.{key}": value for key, value in options.items()} for section, options in parts]
    return assignments(group.options, *addressed, method.options)


def _purposes(data: str, task: str | None, setting: SettingEntry, probe: str | None) -> tuple[str, ...]:
    """What a preset may be for beside its dataset, as ``gssl run`` takes it."""
    spec = find_spec(data)
    return presets.purposes(
        probe=(probe, spec.probe if spec else None), setting=(setting.name, USUAL), task=(task, level_of(data))
    )


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Put a place in front of the message of an InputError."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


class _Names:
    """Canonical names, each looked up once."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Any] = {}

    def of(self, family: Resolver[Any], name: str) -> str:
        return str(self._once(("name", family.family, name), lambda: family.canonical(name)))

    def dataset(self, name: str) -> str:
        return str(self._once(("dataset", name), lambda: self._dataset(name)))

    def probe(self, data: str, wanted: str | None, task: str | None, setting: SettingEntry) -> str | None:
        """The probe; None where the program knows which one goes with a task or a setting."""
        if wanted is not None:
            return self.of(PROBES, wanted)
        spec = find_spec(data)
        is_usual = setting.name == USUAL and task in (None, "node", "graph")
        return spec.probe if spec and is_usual else None

    def setting(self, entry: SettingEntry) -> SettingEntry:
        """The same with canonical names."""
        source = None if entry.pretrain_on is None else self.dataset(entry.pretrain_on)
        return entry.model_copy(update={"name": self.of(SETTINGS, entry.name), "pretrain_on": source})

    def circumstances(self, task: str | None, setting: SettingEntry) -> tuple[tuple[str, str], ...]:
        """What task, setting and data to pretrain on stand for, where that can change without the name."""
        parts = ((TASKS, task), (SETTINGS, setting.name))
        found = [(family.family, self._source(family, name)) for family, name in parts if name is not None]
        found.append(("pretraining data", self._data(setting.pretrain_on) if setting.pretrain_on else ""))
        return tuple((kind, digest) for kind, digest in found if digest)

    def sampler(self, entry: SamplerEntry) -> str | None:
        return None if entry.name == "default" else self.of(SAMPLERS, entry.name)  # the preset may name one

    def preset(self, method: str, data: str, wanted: str | None, purposes: tuple[str, ...]) -> tuple[str | None, str]:
        """Name and content of the preset that applies.

        ``none`` and nothing where there is none; no name where only the data say which of several defaults it is.
        """

        def choose() -> tuple[str | None, str]:
            name, level = Path(data).stem if is_path(data) else data, level_of(data)
            found = presets.choose(method, name, wanted, purposes=purposes, level=level)
            if found is None:
                return presets.NONE, ""
            if level is None and wanted is None and found[0].lower() == presets.DEFAULT:
                defaults = [layer for key, layer in presets.presets_of(method).items() if presets.is_default(key)]
                if len(defaults) > 1:
                    return None, _digest("".join(map(_content, defaults)))
            return found[0], _digest(_content(found[1]))

        found: tuple[str | None, str] = self._once(("preset", method, data, wanted, purposes), choose)
        return found

    def origin(
        self, method: str, encoder: str | None, sampler: str | None, probe: str | None, data: str
    ) -> tuple[tuple[str, str], ...]:
        """What the names stand for, where that can change without the name."""
        parts = ((METHODS, method), (ENCODERS, encoder), (SAMPLERS, sampler), (PROBES, probe))
        found = [(family.family, self._source(family, name)) for family, name in parts if name is not None]
        found.append(("data", self._data(data)))
        found.append(("probe version", self._version(probe) if probe else ""))
        return tuple((kind, digest) for kind, digest in found if digest)

    def parts_in(self, options: object) -> tuple[tuple[str, str], ...]:
        """Digests of parts of the user's own (objectives, augmenters) that options name by import path."""
        paths = dict.fromkeys(path for text in texts_in(options) for path in import_paths(text))
        found = []
        for path in paths:
            with suppress(InputError):  # a text that only looks like a path
                found.append((path, self._source(OBJECTIVES, path)))
        return tuple((path, digest) for path, digest in found if digest)

    def _source(self, family: Resolver[Any], name: str) -> str:
        """Digest of the source of a plug-in; nothing for what ships with the project."""
        path = family.paths.get(name, name)
        if path.startswith("gssl.") or ":" not in path:
            return ""
        return str(self._once(("source", path), lambda: _digest_of_module(path.partition(":")[0])))

    def _version(self, probe: str) -> str:
        """The version that a probe's class states, read from its source; nothing where it is the base's."""
        path = PROBES.paths.get(probe, probe)
        return str(self._once(("version", path), lambda: _stated_version(*path.split(":", 1))))

    def _data(self, name: str) -> str:
        return str(self._once(("data", name), lambda: self._origin_of_data(name)))

    def _origin_of_data(self, name: str) -> str:
        """Digest of a file, a folder or a plug-in; nothing for what is published or generated."""
        if is_path(name):
            return fingerprint(Path(name))
        if name in self._folders:
            return fingerprint(self._folders[name])
        if find_spec(name.partition(":")[0]) is None and ":" in name:
            with suppress(InputError):  # a module that is not here: its cells are skipped
                return self._source(DATASETS, name)
        return ""

    def _dataset(self, name: str) -> str:
        spec = find_spec(name)
        if spec is not None:
            return spec.name
        path = Path(name).expanduser()
        if path.exists():
            return str(path.absolute())
        if find_spec(name.partition(":")[0]) is not None or ":" in name:
            return name
        known = {known.lower(): known for known in [*DATASETS.names(), *self._folders]}
        if name.lower() in known:
            return known[name.lower()]
        # A set in OGB's layout may lie on one machine and not on another: its cells are skipped there.
        if name.startswith(("ogbn-", "ogbg-")) and not get_close_matches(name, known.values(), cutoff=0.85):
            return name
        if is_path(name) or (path.suffix and not get_close_matches(name, known.values(), cutoff=0.85)):
            raise InputError(f"there is no file {name}: a suite reads paths from the folder that it is started in")
        raise unknown("dataset", name, known.values())

    @cached_property
    def _folders(self) -> dict[str, Path]:
        store = DataStore.locate()
        # What was imported under a name of the catalogue is the set of that name.
        imported = {name: folder for name, folder in store.imported_folders().items() if find_spec(name) is None}
        return {**imported, **store.ogb_folders()}

    def _once(self, key: tuple[object, ...], make: Any) -> Any:
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]


def level_of(dataset: str) -> str | None:
    """``node`` or ``graph``, as far as the name alone tells."""
    spec = find_spec(dataset.partition(":")[0])
    if spec is not None:
        return spec.level
    return {"ogbn-": "node", "ogbg-": "graph"}.get(dataset[:5])


def _chosen(cells: Sequence[Cell], selection: SuitePart, names: _Names) -> list[Cell]:
    methods = None if selection.methods is None else {names.of(METHODS, name) for name in selection.methods}
    datasets = None if selection.datasets is None else {names.dataset(name) for name in selection.datasets}
    for asked, there, kind in (
        (methods, {cell.method for cell in cells}, "method"),
        (datasets, {cell.dataset for cell in cells}, "dataset"),
    ):
        for name in sorted((asked or set()) - there):
            raise unknown(f"{kind} of this suite", name, there)
    return [
        cell
        for cell in cells
        if (methods is None or cell.method in methods) and (datasets is None or cell.dataset in datasets)
    ]


def _refuse_duplicates(cells: Sequence[Cell]) -> None:
    seen: dict[str, Cell] = {}
    for cell in cells:
        other = seen.setdefault(cell.key, cell)
        if other is not cell:
            raise InputError(f"{cell.where}: {cell.title} stands in the suite already, at {other.where}; remove one")


def _content(layer: Layer) -> str:
    sections = {kind: [section.name, section.options] for kind in SECTIONS if (section := layer.sections.get(kind))}
    return json.dumps(sections, sort_keys=True, default=str)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _digest_of_module(module: str) -> str:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as the resolver does
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        raise InputError(f"there is no module {module!r}")
    if spec.origin is None or not Path(spec.origin).is_file():
        raise InputError(f"the module {module!r} has no file of its own, so nothing of it can be a part of a suite")
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()[:16]


def _stated_version(module: str, name: str) -> str:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            for line in node.body:
                if isinstance(line, ast.AnnAssign) and ast.unparse(line.target) == "version" and line.value:
                    return ast.unparse(line.value)
    return ""
