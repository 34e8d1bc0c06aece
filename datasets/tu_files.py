"""What the text files of a TU set must agree on before PyG reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gssl.common.errors import InputError
from gssl.datasets.raw_text import count_lines

_WHOLE = re.compile(r"[-+]?[0-9]+")
_OF_NODES = ("node_labels", "node_attributes")
_OF_EDGES = ("edge_labels", "edge_attributes")
_OF_GRAPHS = ("graph_labels", "graph_attributes")


@dataclass(frozen=True)
class TuCounts:
    """What the files hold.

    Attributes:
        graphs, nodes: how many.
        edges: different ones without self-loops, which PyG removes.
    """

    graphs: int
    nodes: int
    edges: int


def checked_counts(folder: Path, name: str) -> TuCounts:
    """Count what the files of a set hold.

    Args:
        folder: of the raw files.
        name: of the set, with which the names of its files begin.

    Raises:
        InputError: files of different lengths, ids that do not exist, graphs out of order, or an edge between two
            graphs; the message names the file.
    """
    graph_of = _integers(folder / f"{name}_graph_indicator.txt", 1)[0]
    edges = _integers(folder / f"{name}_A.txt", 2)
    nodes = len(graph_of)
    _check_graphs(graph_of, folder / f"{name}_graph_indicator.txt")
    _check_edges(edges, graph_of, folder / f"{name}_A.txt")
    graphs = int(graph_of[-1])
    for parts, what, count in (
        (_OF_NODES, "nodes", nodes),
        (_OF_EDGES, "edges", edges.shape[1]),
        (_OF_GRAPHS, "graphs", graphs),
    ):
        for path in (folder / f"{name}_{part}.txt" for part in parts):
            if path.is_file() and (lines := count_lines(path)) != count:
                raise InputError(f"{path} has {lines} lines, but there are {count} {what}: it needs one for each")
    _check_classes(folder / f"{name}_graph_labels.txt")
    keys = edges[0] * np.int64(nodes + 1) + edges[1]
    return TuCounts(graphs, nodes, len(np.unique(keys[edges[0] != edges[1]])))


def require_numbers(folder: Path, name: str) -> None:
    """Look for a line of labels or attributes that is no list of numbers as long as that of the first line.

    Args:
        folder: of the raw files.
        name: of the set, with which the names of its files begin.

    Raises:
        InputError: there is one; the message names file and line.
    """
    for part in (*_OF_NODES, *_OF_EDGES, *_OF_GRAPHS):
        path = folder / f"{name}_{part}.txt"
        if not path.is_file():
            continue
        whole = part.endswith("labels")
        lines = path.read_text(encoding="ascii", errors="replace").rstrip().splitlines()
        width = len(lines[0].split(",")) if lines else 0
        for number, line in enumerate(lines, start=1):
            cells = line.split(",")
            if not all(_is_number(cell, whole=whole) for cell in cells):
                kind = "whole numbers" if whole else "numbers"
                raise InputError(f"{path} holds {line[:40]!r} in line {number}, but needs {kind} there")
            if len(cells) != width:
                raise InputError(f"{path} has {len(cells)} numbers in line {number}, but {width} in the first line")


def _is_number(text: str, *, whole: bool) -> bool:
    try:
        int(text) if whole else float(text)
    except ValueError:
        return False
    return True


def _integers(path: Path, columns: int) -> NDArray[np.int64]:
    """Shape (columns, num_lines), int64."""
    try:
        table = pd.read_csv(path, header=None, dtype=np.int64, skipinitialspace=True, encoding="ascii")
    except PermissionError:
        raise
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(f"{path} holds more than whole numbers ({str(error).strip().splitlines()[0]})") from None
    if table.shape[1] != columns:
        raise InputError(f"{path} has {table.shape[1]} numbers in a line, but needs {columns}")
    numbers: NDArray[np.int64] = table.to_numpy().T
    return numbers


def _check_classes(path: Path) -> None:
    if not path.is_file():
        return
    lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip() for cell in line.split(",")]
        wrong = next((cell for cell in cells if not _WHOLE.fullmatch(cell)), None) if line.strip() else None
        if wrong is not None:
            targets = path.name.replace("graph_labels", "graph_attributes")
            raise InputError(
                f"{path} holds {wrong[:40]!r} in line {number}, but classes are whole numbers: real targets belong in "
                f"{targets}, where nan means that a graph has none"
            )


def _check_graphs(graph_of: NDArray[np.int64], path: Path) -> None:
    wrong = np.diff(graph_of, prepend=np.int64(1)) < 0  # also a number below 1
    if wrong.any():
        line = int(np.argmax(wrong))
        raise InputError(
            f"{path} names graph {graph_of[line]} in line {line + 1}: graphs are numbered from 1, and the nodes of one "
            "stand before those of the next"
        )


def _check_edges(edges: NDArray[np.int64], graph_of: NDArray[np.int64], path: Path) -> None:
    outside = ((edges < 1) | (edges > len(graph_of))).any(axis=0)
    if outside.any():
        line = int(np.argmax(outside))
        raise InputError(
            f"{path} joins nodes {edges[0, line]} and {edges[1, line]} in line {line + 1}, but nodes are numbered from "
            f"1 to {len(graph_of)}"
        )
    ends = graph_of[edges - 1]
    across = ends[0] != ends[1]
    if across.any():
        line = int(np.argmax(across))
        raise InputError(
            f"{path} joins node {edges[0, line]} of graph {ends[0, line]} with node {edges[1, line]} of graph "
            f"{ends[1, line]} in line {line + 1}: an edge must stay within a graph"
        )
