"""Answers: the same for people, as tables, and for programs, as one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        failure: why the work as a whole failed although there is an answer; empty if it did not.
        silent: whether another process gives the answer.
    """

    data: Mapping[str, object]
    blocks: Sequence[Table | str]
    failure: str = ""
    silent: bool = False
