"""Completion in the shell by argcomplete, which is imported only when the shell asks.

Turn it on with ``pip install 'gssl[complete]'`` and, in the file that the shell starts with,
``eval "$(register-python-argcomplete gssl)"``.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gssl import registry
from gssl.cli.command import Command
from gssl.cli.listing import FAMILIES
from gssl.cli.parser import build
from gssl.common.resolve import Resolver
from gssl.datasets.catalog import DATASETS

ASKED = "_ARGCOMPLETE"  # what the shell sets when it asks

_PARTS: dict[str, Resolver[Any]] = {
    "method": registry.METHODS,
    "dataset": DATASETS,
    "pretrain_on": DATASETS,
    "encoder": registry.ENCODERS,
    "probe": registry.PROBES,
    "task": registry.TASKS,
    "setting": registry.SETTINGS,
}


def complete(commands: Sequence[Command]) -> None:
    """Answer the shell and leave the program; return at once where argcomplete is not installed."""
    try:
        import argcomplete
    except ModuleNotFoundError:
        return
    argcomplete.autocomplete(parser_with_names(commands))


def parser_with_names(commands: Sequence[Command]) -> ArgumentParser:
    """The parser of the program, whose arguments know the names that they take."""
    parser, subparsers = build(commands)
    for name, subparser in subparsers.items():
        for action in subparser._actions:  # argparse has no public list of them
            names = _names(name, action.dest, action.metavar)
            if names is not None:
                action.completer = names  # type: ignore[attr-defined]  # where argcomplete looks for it
    return parser


def _names(command: str, dest: str, metavar: object) -> Callable[..., Iterable[str]] | None:
    """What gives the names for an argument; None leaves files."""
    if dest in _PARTS:
        return lambda **_: _PARTS[dest].names()
    if dest == "sampler" and command != "converge":
        return lambda **_: registry.SAMPLERS.names()
    if (command, dest) == ("list", "family"):
        return lambda **_: list(FAMILIES)
    if (command, dest) == ("bench", "suite"):
        return lambda **_: [entry["name"] for entry in FAMILIES["suites"]()]
    if (command, dest) == ("show", "name"):
        return lambda **_: [entry["name"] for family in FAMILIES.values() for entry in family()]
    if isinstance(metavar, str) and "|" in metavar and metavar.islower():
        return lambda **_: metavar.split("|")
    return None
