"""Writing to the terminal: tables and paragraphs for people, one JSON line for programs."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout

from gssl.cards.answer import Answer, Table


def say(message: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"gssl: {message}\n")
    sys.stderr.flush()


def show(answer: Answer) -> None:
    """Print an answer for people: rich tables on a terminal, plain text elsewhere."""
    for number, block in enumerate(answer.blocks):
        if number:
            sys.stdout.write("\n")
        if isinstance(block, str):
            sys.stdout.write(block + "\n")
        elif sys.stdout.isatty():
            _rich(block)
        else:
            sys.stdout.write(plain(block))
    sys.stdout.flush()


def plain(table: Table) -> str:
    """A table in aligned columns, without markup or line breaks inside a row."""
    lines = [list(table.columns), *map(list, table.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.columns))]
    head = [table.title] if table.title else []
    shown = lines if any(table.columns) else lines[1:]
    return "".join(f"{line}\n" for line in head + [_aligned(line, widths) for line in shown])


@contextmanager
def reserved_stdout() -> Iterator[Callable[[Mapping[str, object]], None]]:
    """Keep standard output for one JSON object; what anything else prints goes to standard error.

    The descriptor itself is redirected, so that native libraries and child processes are covered too.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)

    def write(data: Mapping[str, object]) -> None:
        line = (json.dumps(data, allow_nan=False) + "\n").encode()
        while line:
            line = line[os.write(kept, line) :]

    try:
        with redirect_stdout(sys.stderr):
            yield write
    finally:
        sys.stdout.flush()
        ctypes.CDLL(None).fflush(None)  # what C code printed waits in its own buffer and would follow the JSON
        os.dup2(kept, 1)
        os.close(kept)


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _rich(table: Table) -> None:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(title=table.title or None, title_justify="left", show_header=any(table.columns))
    for column in table.columns:
        drawn.add_column(column)
    for row in table.rows:
        drawn.add_row(*map(Text, row))
    Console().print(drawn)
