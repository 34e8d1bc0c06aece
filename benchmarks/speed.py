"""The committed result of ``gssl perf methods`` as a table for the documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gssl.benchmarks.measured import FOLDER
from gssl.benchmarks.rows import markdown_table

_FILE = FOLDER / "perf-methods.json"
_HEADER = ["method", "step here (ms)", "peer", "times as fast", "its memory over ours"]


def speed_table(file: Path = _FILE) -> str:
    """How many times as fast a training step is as that of every peer, as Markdown.

    Args:
        file: what ``gssl perf methods --json`` wrote.
    """
    if not file.is_file():
        return "`gssl perf methods` has no committed result yet."
    table: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    slower = ", ".join(table["slower"]) or "none"
    absent = [f"{result['name']} against {peer}" for result in table["results"] for peer in result["absent"]]
    rows = [
        (
            result["name"],
            f"{1e3 * result['ours']:.1f}",
            peer["name"],
            f"{peer['ratio']:.1f}",
            f"{peer['memory_ratio']:.1f}",
        )
        for result in table["results"]
        for peer in result["peers"]
    ]
    return (
        f"{table['compared']} peers in {len(table['results'])} cases, medians of {table['config']['repeats']} steps on "
        f"{table['config']['threads']} thread, both sides in turn; slower than a peer: {slower}; "
        f"not to be run here: {', '.join(absent) or 'none'}.\n\n" + markdown_table(_HEADER, rows)
    )
