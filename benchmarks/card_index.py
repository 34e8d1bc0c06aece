"""Writes ``gssl/cards/index.json``, from which the command line tells of what ships without importing it::

python -m gssl.benchmarks.card_index           # write it
python -m gssl.benchmarks.card_index --check   # exit with code 1 if it is not fresh
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from gssl.benchmarks.agreement import numbers_of
from gssl.cards.cards import FAMILIES
from gssl.cards.facts import facts_of, modules_of, training_options
from gssl.cards.index import FILE, TRAINING, declarations
from gssl.common.resolve import Resolver
from gssl.registry import METHODS, PROPAGATIONS, SAMPLERS, SELECTIONS
from gssl.samplers.pair import make_pair


def content() -> str:
    """The file as it should be; installed plug-ins are left out."""
    components: dict[str, dict[str, object]] = {}
    numbers: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for kind, family in FAMILIES.items():
        if kind == "dataset":  # the catalogue is light
            continue
        for name, module in _shipped(family).items():
            found = family.get(name)
            modules = sorted({*modules_of(found), module})
            entry = {"modules": modules, "digest": declarations(modules), "facts": facts_of(kind, name, found)}
            components.setdefault(kind, {})[name] = entry
            if family is METHODS:
                numbers[name] = {kind: rows for kind, rows in numbers_of(name).items() if rows}
    training = {"digest": declarations([TRAINING]), "options": training_options()}
    whole = {"components": components, "training": training, "numbers": numbers}
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _shipped(family: Resolver[Any]) -> dict[str, str]:
    """Name of every component of the project and the module that registers it; of samplers, all pairs of halves too."""
    if family is not SAMPLERS:
        return _own(family)
    pairs = itertools.product(_own(SELECTIONS), _own(PROPAGATIONS))
    return _own(family) | {f"{selection}+{way}": make_pair.__module__ for selection, way in pairs}


def _own(family: Resolver[Any]) -> dict[str, str]:
    modules = {name: path.partition(":")[0] for name, path in family.paths.items()}
    return {name: module for name, module in modules.items() if module.startswith("gssl.")}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the file."""
    parser = argparse.ArgumentParser(prog="python -m gssl.benchmarks.card_index")
    parser.add_argument("--check", action="store_true", help="change nothing; exit with code 1 if it is not fresh")
    options = parser.parse_args(arguments)
    new = content()
    if FILE.is_file() and FILE.read_text(encoding="utf-8") == new:
        return 0
    if options.check:
        Console(stderr=True).print("gssl/cards/index.json is not fresh: run `make docs` and commit the result")
        return 1
    FILE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
