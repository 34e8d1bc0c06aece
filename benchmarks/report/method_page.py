"""The card of a method, as ``gssl show`` prints it, for its page."""

from __future__ import annotations

from dataclasses import dataclass

from gssl.benchmarks.agreement import numbers_of
from gssl.benchmarks.report.bibtex import entry_of
from gssl.cards.answer import Table
from gssl.cards.cards import cards
from gssl.common.errors import InputError
from gssl.registry import METHODS


@dataclass(frozen=True)
class Card:
    """What is known of a method.

    Attributes:
        summary: one line.
        blocks: tables of its card; none for a method that is not registered here.
        cells: how many results it has.
        bibtex: entry of its paper; empty if it names none.
    """

    summary: str
    blocks: tuple[Table, ...]
    cells: int
    bibtex: str = ""


def card_of(name: str, count: int) -> Card:
    """The card of a registered method.

    A method that the store knows by an import path is not imported: a page must not run code that a row names.
    """
    if name not in METHODS.names():
        return Card("not part of this installation, or known by an import path only", (), count)
    try:
        found = [card for card in cards(name, numbers_of) if card.data.get("kind") == "method"]
    except InputError as error:
        return Card(f"cannot be shown: {error}", (), count)
    tables = [block for card in found for block in card.blocks if isinstance(block, Table)]
    # The first says again in its title what the page has as its heading.
    blocks = tuple(Table("" if n == 0 else block.title, block.columns, block.rows) for n, block in enumerate(tables))
    summary = str(found[0].data["summary"]) if found else ""
    return Card(summary, blocks, count, entry_of(name, summary))
