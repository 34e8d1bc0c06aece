"""What every command is: its arguments, its work, and its answer."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gssl.cards.answer import Answer


@dataclass(frozen=True)
class Command:
    """One subcommand.

    Attributes:
        name: as typed.
        summary: one line for ``gssl --help``.
        examples: command lines for the end of its own help.
        add_arguments: declares its arguments.
        run: does the work; raises InputError or TrainingError.
        reads_only: whether it neither trains nor writes, so that it does not matter how often it is started.
        parallel: whether several processes of a launcher do it together.
        trains: whether it takes a method and a dataset, of which names can be told to be wrong before anything else.
    """

    name: str
    summary: str
    examples: Sequence[str]
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], Answer]
    reads_only: bool = False
    trains: bool = False
    parallel: bool = False
