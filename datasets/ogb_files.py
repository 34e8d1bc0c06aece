"""What the raw files of an OGB set must agree on, counted without loading features."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gssl.datasets.processed import Processed
from gssl.datasets.raw_text import count_lines, require_equal
from gssl.datasets.unzip import array_headers

_ROWS = {"edge": "edges", "edge-feat": "edges", "node-feat": "nodes"}


def require_all(stored: Processed, folder: Path, meta: Mapping[str, Any], target: str) -> None:
    """Refuse what ogb has read if it is not all that the files hold.

    ogb cuts the rows of all graphs by two lists of their sizes. Rows that the lists do not cover, and graphs that only
    one list knows, are lost there without a word.

    Args:
        stored: what ogb has read.
        folder: holds ``raw/``.
        meta: of the set.
        target: ``node``, ``graph`` or ``link``.

    Raises:
        InputError: names what was lost.
    """
    directions = 2 if meta["add_inverse_edge"] == "True" else 1
    found = {
        "graphs": stored.num_graphs,
        "nodes": stored.num_nodes,
        "edges": stored.edge_index.shape[1] // directions,
        "labels": stored.num_graphs if target == "graph" else stored.num_nodes,
    }
    for held in (_binary if meta["binary"] == "True" else _tables)(folder / "raw", target):
        require_equal(found, held, folder / "raw")


def _tables(raw: Path, target: str) -> list[Mapping[str, int]]:
    held: list[Mapping[str, int]] = [
        {what: count_lines(raw / f"{name}.csv.gz")} for name, what in _ROWS.items() if _there(raw, name)
    ]
    held += [{"graphs": count_lines(raw / f"num-{kind}-list.csv.gz")} for kind in ("node", "edge")]
    labels = f"{target}-label"
    if _there(raw, labels):
        held.append({"labels": count_lines(raw / f"{labels}.csv.gz")})
    return held


def _there(raw: Path, name: str) -> bool:
    return (raw / f"{name}.csv.gz").is_file()


def _binary(raw: Path, target: str) -> list[Mapping[str, int]]:
    held: list[Mapping[str, int]] = []
    for name, header in array_headers(raw / "data.npz").items():
        rows = header.shape[0] if header.shape else 0
        if name == "edge_index":
            held.append({"edges": header.shape[-1]})
        elif name in ("num_nodes_list", "num_edges_list"):
            held.append({"graphs": rows})
        else:
            held.append({"nodes" if name.startswith("node_") else "edges": rows})
    labels = raw / f"{target}-label.npz"
    if labels.is_file():
        held += [{"labels": header.shape[0]} for header in array_headers(labels).values() if header.shape]
    return held
