"""``gssl list``: what there is to choose from; nothing is imported to say so."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import Any

from gssl.cards.answer import Answer, Table
from gssl.cli.command import Command
from gssl.cli.parser import add_json, choice
from gssl.common.resolve import Resolver

_EXAMPLES = ("gssl list", "gssl list datasets", "gssl list tasks", "gssl list methods --json")


def run(args: Namespace) -> Answer:
    """List one family or all."""
    wanted = [args.family] if args.family else list(FAMILIES)
    found = {family: FAMILIES[family]() for family in wanted}
    return Answer(
        {family: list(entries) for family, entries in found.items()},
        [_table(family, entries) for family, entries in found.items()],
    )


Entry = dict[str, str]


def _components(name: str) -> Callable[[], list[Entry]]:
    def entries() -> list[Entry]:
        from gssl import registry

        family: Resolver[Any] = getattr(registry, name)
        return [{"name": entry, "summary": family.summary(entry)} for entry in family.names()]

    return entries


def _datasets() -> list[Entry]:
    from gssl.datasets.catalog import BY_NAME, DATASETS
    from gssl.datasets.store import Store

    known = [
        {"name": spec.name, "level": spec.level, "family": spec.family, "probe": spec.probe, "summary": spec.summary}
        for spec in BY_NAME.values()
    ]
    rest = {"level": "", "family": "", "probe": ""}
    plugins = [
        {"name": name, **rest, "family": "plug-in", "summary": DATASETS.paths[name]}
        for name in DATASETS.names()
        if name not in BY_NAME
    ]
    own = [
        {"name": name, **rest, "family": "ogb", "summary": f"your own, in {folder}"}
        for name, folder in Store.locate().ogb_folders().items()
        if name not in BY_NAME
    ]
    imported = [
        {"name": name, **rest, "family": "imported", "summary": f"imported, in {folder}"}
        for name, folder in Store.locate().imported_folders().items()
    ]
    return [*known, *plugins, *own, *imported]


def _suites() -> list[Entry]:
    from gssl.benchmarks.bench.shipped import folder, names, summary_of

    return [{"name": name, "summary": summary_of(folder() / f"{name}.yaml")} for name in names()]


FAMILIES: dict[str, Callable[[], list[Entry]]] = {
    "methods": _components("METHODS"),
    "datasets": _datasets,
    "samplers": _components("SAMPLERS"),
    "encoders": _components("ENCODERS"),
    "probes": _components("PROBES"),
    "augmenters": _components("AUGMENTERS"),
    "objectives": _components("OBJECTIVES"),
    "parts": _components("PARTS"),
    "tasks": _components("TASKS"),
    "settings": _components("SETTINGS"),
    "suites": _suites,
}


def _table(family: str, entries: list[Entry]) -> Table | str:
    if not entries:
        return f"{family}: none yet"
    columns = list(entries[0])
    return Table(family, columns, [[entry[column] for column in columns] for entry in entries])


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "family",
        metavar="FAMILY",
        nargs="?",
        type=choice(*FAMILIES),
        help=f"one of {', '.join(FAMILIES)} (default: all)",
    )
    add_json(parser)


COMMAND = Command(
    "list",
    "list methods, datasets, samplers, encoders, probes, tasks, settings and suites",
    _EXAMPLES,
    _arguments,
    run,
    reads_only=True,
)
