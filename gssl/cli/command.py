"""What every command is: its arguments, its work, and an answer for people and for programs."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows of text under column names; an empty title prints none."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Answer:
    """What a command found out.

    Attributes:
        data: the one object that ``--json`` prints.
        blocks: the same for people, tables and paragraphs from top to bottom.
    """

    data: Mapping[str, object]
    blocks: Sequence[Table | str]


@dataclass(frozen=True)
class Command:
    """One subcommand.

    Attributes:
        name: as typed.
        summary: one line for ``gssl --help``.
        examples: command lines for the end of its own help.
        add_arguments: declares its arguments.
        run: does the work; raises InputError or TrainingError.
    """

    name: str
    summary: str
    examples: Sequence[str]
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], Answer]
