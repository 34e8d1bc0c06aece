"""Where the nodes of a table of edges stand (no tensor library is imported here)."""

from __future__ import annotations

from pathlib import Path

TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
LISTS = (".edgelist", ".edges", ".txt")


def stem_of(path: Path) -> str:
    """The name of a table or list of edges without its ending.

    Example:
        >>> stem_of(Path("mine/edges.csv.gz"))
        'edges'
    """
    return next((path.name[: -len(end)] for end in (*TABLES, *LISTS) if path.name.lower().endswith(end)), path.stem)


def nodes_beside(path: Path) -> Path | None:
    """The table of nodes that belongs to one of edges: ``g_nodes.csv`` to ``g.csv``, ``nodes.csv`` to ``edges.csv``.

    None for files of other kinds, and where there is none.
    """
    if not path.name.lower().endswith((*TABLES, *LISTS)):
        return None
    stem = stem_of(path)
    wanted = {f"{stem}_nodes", f"{stem}-nodes", f"{stem}.nodes"}
    if stem.lower().endswith("edges"):
        wanted.add(stem[:-5] + "nodes")
    found = [path.with_name(name + end) for name in sorted(wanted) for end in TABLES]
    return next((file for file in found if file.is_file() and file != path), None)
