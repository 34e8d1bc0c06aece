"""A small real leaderboard on the two datasets that need no download (``make demo``).

Handwritten digits serve both levels: as one graph of nearest neighbours (``digits``, nodes are images) and as one
pixel grid per image (``digit-graphs``). Every cell is a real ``gssl run``; a second call runs only what is missing.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from html import escape
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gssl.benchmarks.collect import collect
from gssl.benchmarks.rows import HEADER, ResultRow, format_score, markdown_table, table_cells
from gssl.common.errors import TrainingError

NODE_METHODS = ("raw", "untrained", "supervised", "DGI", "GRACE", "BGRL", "GAE", "VGAE", "GraphMAE")
NODE_EPOCHS = 100
# Reference rows take the encoder of the methods: GIN as for MUTAG.
GRAPH_METHODS = {
    "raw": "",
    "untrained": "--encoder GIN",
    "supervised": "--preset MUTAG",
    "GraphCL": "",
    "InfoGraph": "",
}
GRAPH_EPOCHS = 20  # of 15 updates each

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>gssl demo</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }}
table {{ border-collapse: collapse }}
td, th {{ padding: .25rem .75rem; border-bottom: 1px solid #ccc; text-align: left }}
</style>
<h1>Self-supervised learning on digits</h1>
<p>{note}</p>
<table><thead><tr>{head}</tr></thead><tbody>
{body}
</tbody></table></html>
"""


def commands(*, seeds: int, epochs: int | None = None) -> list[str]:
    """One ``gssl run`` command per cell of the leaderboard; ``epochs`` None means what suits each level."""
    node = [f"gssl run {name} digits --epochs {epochs or NODE_EPOCHS}" for name in NODE_METHODS]
    graph = [
        f"gssl run {name} digit-graphs {options} --epochs {epochs or GRAPH_EPOCHS}".replace("  ", " ")
        for name, options in GRAPH_METHODS.items()
    ]
    return [f"{command} --seeds {seeds}" for command in node + graph]


def write_tables(rows: Sequence[ResultRow], folder: Path) -> None:
    """Write ``leaderboard.md`` and ``leaderboard.html``."""
    cells = table_cells(rows)
    note = "Mean ± standard deviation over seeds, in percent. Rows in italics are references, not SSL methods."
    how = "\n".join(row.command for row in rows)
    text = f"# Self-supervised learning on digits\n\n{note}\n\n{markdown_table(HEADER, cells)}\n\n```\n{how}\n```\n"
    (folder / "leaderboard.md").write_text(text, encoding="utf-8")
    head = "".join(f"<th>{escape(name)}</th>" for name in HEADER)
    body = "\n".join("<tr>" + "".join(f"<td>{_html(cell)}</td>" for cell in line) + "</tr>" for line in cells)
    (folder / "leaderboard.html").write_text(_PAGE.format(note=escape(note), head=head, body=body), encoding="utf-8")


def _html(cell: str) -> str:
    return f"<em>{escape(cell.strip('*'))}</em>" if cell.startswith("*") else escape(cell)


def show(rows: Sequence[ResultRow], console: Console) -> None:
    """Print the leaderboard."""
    table = Table(*HEADER[:6], title="Self-supervised learning on digits")
    previous = ""
    for line in table_cells(rows):
        if previous and line[0] != previous:
            table.add_section()
        previous = line[0]
        table.add_row(*line[:6])
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing, write the tables, print them."""
    parser = argparse.ArgumentParser(prog="python -m gssl.benchmarks.demo", description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("build/demo"), help="folder for runs, results and tables")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help=f"default: {NODE_EPOCHS} for nodes, {GRAPH_EPOCHS} for graphs")
    parser.add_argument("--workers", type=int, default=min(4, os.cpu_count() or 1), help="runs at the same time")
    options = parser.parse_args(arguments)
    console, begin = Console(), time.perf_counter()
    try:
        rows = collect(
            commands(seeds=options.seeds, epochs=options.epochs),
            options.out / "results.jsonl",
            folder=options.out / "runs",
            workers=options.workers,
            threads=1,
            report=lambda row: console.print(f"{row.command}: {format_score(row.test_mean, row.test_std, row.metric)}"),
        )
    except TrainingError as error:
        console.print(f"[red]{error}[/red]")
        return 1
    write_tables(rows, options.out)
    show(rows, console)
    console.print(f"{len(rows)} results in {time.perf_counter() - begin:.0f} s: {options.out}/leaderboard.{{md,html}}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
