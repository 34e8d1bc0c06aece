"""``gssl show``: one card per component, dataset or suite."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from gssl.cards.answer import Answer
from gssl.cli.command import Command
from gssl.cli.parser import add_json

_EXAMPLES = (
    "gssl show GRACE              paper, parts, options with defaults, search space, presets",
    "gssl show Cora               a dataset: level, metric, default probe",
    "gssl show my_graph           a graph that was imported (gssl data import): size, folder, checksum",
    "gssl show GCN                an encoder; probes and samplers too",
    "gssl show link               a task: what is judged, its options; settings too (finetune)",
    "gssl show demo               a suite: its cells by method and dataset; also the file of your own",
    "gssl show my_file:MyMethod   your own",
)


def run(args: Namespace) -> Answer:
    """Show the card of everything that has the name."""
    from gssl.cli.suite_card import is_suite, suite_card

    if is_suite(args.name):
        found = [suite_card(args.name)]
    else:
        from gssl.benchmarks.bench import shipped
        from gssl.cards.cards import cards
        from gssl.cli.data import imported_cards
        from gssl.datasets.catalog import find_spec

        own = imported_cards(args.name)
        found = own if own and find_spec(args.name) is None else [*cards(args.name, _numbers, shipped.names()), *own]
    data = found[0].data if len(found) == 1 else {"cards": [card.data for card in found]}
    return Answer(data, [block for card in found for block in card.blocks])


def _numbers(method: str) -> dict[str, list[dict[str, Any]]]:
    """Committed numbers, for a method that the index of cards does not know as it is now."""
    from gssl.benchmarks.agreement import numbers_of

    return numbers_of(method)


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="NAME", help="name of a method, dataset, encoder, probe, sampler, task, setting or suite"
    )
    add_json(parser)


COMMAND = Command(
    "show",
    "show the card of a method, dataset, encoder, probe, sampler, task or setting",
    _EXAMPLES,
    _arguments,
    run,
    reads_only=True,
)
