"""Writes the generated parts of the documents: lists of components, keys of suites, the tables of committed results.

A generated part stands between two markers, ``<!-- generated: NAME -->`` and ``<!-- end -->``, in the document that
:data:`DOCUMENTS` has it in::

    python -m gssl.benchmarks.readme           # rewrite them
    python -m gssl.benchmarks.readme --check   # exit with code 1 where one is not fresh
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from gssl.benchmarks.agreement import agreement_table
from gssl.benchmarks.bench.schema import schema_tables
from gssl.benchmarks.measured import Measured, measured
from gssl.benchmarks.rows import HEADER, markdown_table, read_rows, table_cells
from gssl.benchmarks.speed import speed_table
from gssl.cards import cards
from gssl.common.errors import InputError, unknown
from gssl.common.resolve import Resolver
from gssl.datasets.catalog import BY_NAME, DATASETS

ROOT = Path(__file__).resolve().parents[1]
_PART = re.compile(r"(<!-- generated: ([\w-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def component_list(resolver: Resolver[Any]) -> str:
    """A table of what ships in one family: name and first line of the docstring. Installed plug-ins are left out."""
    shipped = [name for name, path in resolver.paths.items() if path.startswith("gssl.")]
    return markdown_table(
        ["name", "what it is"], [(f"`{name}`", as_markdown(resolver.summary(name))) for name in shipped]
    )


def as_markdown(text: str) -> str:
    """A docstring line with Markdown's code marks and with papers as links.

    Example:
        >>> as_markdown("Uses ``x`` (Kipf and Welling, 2017, arXiv:1609.02907).")
        'Uses `x` (Kipf and Welling, 2017, [arXiv:1609.02907](https://arxiv.org/abs/1609.02907)).'
    """
    return re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", text.replace("``", "`"))


def dataset_list() -> str:
    """A table of the families of datasets with their names."""
    families: dict[tuple[str, str], list[str]] = {}
    for spec in BY_NAME.values():
        families.setdefault((spec.family, spec.level), []).append(f"`{spec.name}`")
    return markdown_table(
        ["family", "level", "datasets"],
        [(family, level, ", ".join(names)) for (family, level), names in families.items()],
    )


def results_table(folder: Path) -> str:
    """One table per ``.jsonl`` file of committed results, each with its commands.

    Args:
        folder: holds ``NAME.jsonl`` beside ``NAME.txt``, as ``gssl.benchmarks.collect`` leaves them.
    """
    parts = []
    for path in sorted(folder.glob("*.jsonl")):
        rows = read_rows(path)
        parts.append(
            f"**{path.stem}** (`python -m gssl.benchmarks.collect benchmarks/results/{path.stem}.txt`)\n\n"
            + markdown_table(HEADER, table_cells(rows))
        )
    return "\n\n".join(parts) or "No results are committed yet."


def catalogue_table() -> str:
    """One table for each suite of the catalogue whose results are committed."""
    files: dict[str, list[Measured]] = {}
    for row in measured():
        if row.file.startswith("catalogue/"):
            files.setdefault(row.file, []).append(row)
    header = ["dataset", "task", "method", "metric", "test", "probe", "seeds", "epochs", "CPU seconds a seed"]
    parts = []
    for file, rows in files.items():
        cells = [
            (
                row.dataset,
                row.task or "labels",
                row.method if row.preset else f"*{row.method}*",
                row.metric,
                f"{100 * row.mean:.1f}" + ("" if row.std is None else f" ± {100 * row.std:.1f}"),
                row.probe,
                str(row.seeds),
                str(row.epochs),
                "-" if row.cpu_seconds is None else f"{row.cpu_seconds:.1f}",
            )
            for row in sorted(rows, key=lambda row: (row.dataset, row.task, -row.mean))
        ]
        parts.append(f"**{Path(file).stem}**\n\n" + markdown_table(header, cells))
    return "\n\n".join(parts) or "No results of the catalogue's suites are committed yet."


def renew(text: str, parts: Mapping[str, Callable[[], str]]) -> str:
    r"""The document with every generated part written anew.

    Raises:
        InputError: a marker names a part that does not exist, or a part has no place in the document.

    Example:
        >>> print(renew("<!-- generated: a -->\nold\n<!-- end -->", {"a": lambda: "new"}))
        <!-- generated: a -->
        new
        <!-- end -->
    """
    placed = [match[2] for match in _PART.finditer(text)]
    for name in placed:
        if name not in parts:
            raise unknown("generated part", name, parts)
    if missing := sorted(set(parts) - set(placed)):
        raise InputError(
            f"the document has no place for {', '.join(missing)}: add <!-- generated: {missing[0]} --> "
            "and <!-- end --> on lines of their own"
        )
    return _PART.sub(lambda match: f"{match[1]}{parts[match[2]]()}\n{match[4]}", text)


FAMILIES = {f"{kind}s": family for kind, family in cards.FAMILIES.items() if family is not DATASETS}
# Which parts stand in which document.
DOCUMENTS: dict[str, tuple[str, ...]] = {
    "docs/catalogue.md": ("methods", "encoders", "datasets", "probes", "augmenters", "objectives", "parts"),
    "docs/tasks.md": ("tasks", "settings"),
    "docs/samplers.md": ("samplers", "selections", "propagations"),
    "docs/suites.md": ("suite-keys",),
    "docs/measured.md": ("results", "catalogue", "agreement", "speed"),
}


def all_parts() -> dict[str, Callable[[], str]]:
    """What is generated, by marker name."""
    lists: dict[str, Callable[[], str]] = {name: partial(component_list, family) for name, family in FAMILIES.items()}
    return {
        **lists,
        "datasets": dataset_list,
        "suite-keys": schema_tables,
        "results": lambda: results_table(ROOT / "benchmarks" / "results"),
        "catalogue": catalogue_table,
        "agreement": agreement_table,
        "speed": speed_table,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite or check the documents."""
    parser = argparse.ArgumentParser(prog="python -m gssl.benchmarks.readme", description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit with code 1 if a part is not fresh")
    options = parser.parse_args(arguments)
    parts = all_parts()
    stale = []
    for document, names in DOCUMENTS.items():
        path = ROOT / document
        old = path.read_text(encoding="utf-8")
        new = renew(old, {name: parts[name] for name in names})
        if new != old:
            stale.append(document)
            if not options.check:
                path.write_text(new, encoding="utf-8")
    if stale and options.check:
        Console(stderr=True).print(
            f"generated parts of {', '.join(stale)} are not fresh: run `make docs` and commit the result"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
