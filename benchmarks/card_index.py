"""Writes ``gssl/cards/index.json``, from which the command line tells of what ships without importing it::

python -m gssl.benchmarks.card_index           # write it
python -m gssl.benchmarks.card_index --check   # exit with code 1 if it is not fresh
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from rich.console import Console

from gssl.benchmarks.measured import measured_of
from gssl.benchmarks.publications import entries_of
from gssl.cards.cards import FAMILIES
from gssl.cards.facts import facts_of, modules_of, training_options
from gssl.cards.index import FILE, TRAINING, declarations
from gssl.registry import METHODS


def content() -> str:
    """The file as it should be; installed plug-ins are left out."""
    components: dict[str, dict[str, object]] = {}
    published, measured = {}, {}
    for kind, family in FAMILIES.items():
        if kind == "dataset":  # the catalogue is light
            continue
        for name, path in family.paths.items():
            if not path.startswith("gssl."):
                continue
            found = family.get(name)
            modules = sorted({*modules_of(found), path.partition(":")[0]})
            entry = {"modules": modules, "digest": declarations(modules), "facts": facts_of(kind, name, found)}
            components.setdefault(kind, {})[name] = entry
            if family is METHODS and (entries := entries_of(name)):
                published[name] = entries
            if family is METHODS and (rows := measured_of(name)):
                measured[name] = rows
    training = {"digest": declarations([TRAINING]), "options": training_options()}
    whole = {"components": components, "training": training, "published": published, "measured": measured}
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


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
