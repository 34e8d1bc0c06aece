"""Edges in any order and of any number to compressed rows, sorted on disk with bounded memory.

An edge is one number: its target in the upper half, its source below, and one bit for a reverse that was added. Pieces
of the input are spread over files by ranges of that number; a file is then sorted in memory, or, where it is larger
than the budget, spread over narrower ranges first, so that neither a hub nor a million copies of one edge can take more
memory than was given.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from gssl.common.errors import InputError
from gssl.datasets.imported.arrays import ArrayWriter
from gssl.graph.sparse import index_dtype

MOST_NODES = 2**31 - 1  # a target, a source and one bit are one number of 64 bits
_RECORD = 8  # bytes
_SPREAD = 16  # narrower ranges that a file is spread over
_WORK = 6  # times the bytes of a file that sorting it takes


@dataclass
class EdgeCounts:
    """What was found among the edges; counts are of directed edges.

    Attributes:
        loops: self-loops, which are removed.
        merged: copies of edges that were there already.
        added: reverses that were added.
        kept: edges of the graph.
    """

    loops: int = 0
    merged: int = 0
    added: int = 0
    kept: int = 0

    def notes(self) -> tuple[str, ...]:
        """What should be said, in the words of :func:`gssl.datasets.clean.clean_graph`."""
        notes = [f"{self.loops} self-loops removed"] if self.loops else []
        notes += [f"{self.merged} duplicate edges merged"] if self.merged else []
        notes += [f"made undirected: {self.added} reverse edges added"] if self.added else []
        return (*notes, *(() if self.kept else ("the graph has no edges",)))


@dataclass(frozen=True, kw_only=True)
class EdgePlan:
    """How edges are taken.

    Attributes:
        num_nodes: ids are below it.
        num_edges: of the input, as far as it says so; an upper bound decides the dtype.
        inverse: whether the data mean each edge in both directions (OGB's ``add_inverse_edge``).
        undirected: whether the reverse of every edge is added.
        budget: bytes of memory for sorting.
    """

    num_nodes: int
    num_edges: int
    inverse: bool = False
    undirected: bool = False
    budget: int = 1 << 30

    @property
    def records(self) -> int:
        """Numbers that are sorted."""
        return self.num_edges * (2 if self.inverse or self.undirected else 1)

    @property
    def dtype(self) -> np.dtype:
        """Of offsets and columns: int32 where all of them fit, as in memory."""
        wide = index_dtype(self.num_nodes, self.records) == torch.int64
        return np.dtype(np.int64 if wide else np.int32)

    @property
    def scratch_bytes(self) -> int:
        """Disk that sorting needs besides its result: files of ranges, one of which may be spread anew."""
        return self.records * _RECORD + self.budget // _WORK + 4 * self.num_nodes

    @property
    def result_bytes(self) -> int:
        """Disk that the result takes at most."""
        return self.dtype.itemsize * (self.records + self.num_nodes + 1)


def sort_edges(edges: Iterator[np.ndarray], plan: EdgePlan, folder: Path, *, what: str = "edge_index") -> EdgeCounts:
    """Write ``rowptr.npy`` and ``col.npy``: rows are targets, sources rise within a row, no loop and no edge twice.

    Args:
        edges: pieces of shape (2, n), sources in row 0, integers.
        plan: how they are taken.
        folder: where the two files go, and scratch files meanwhile.
        what: how messages name the edges.

    Raises:
        InputError: an id out of range, too many nodes, or another number of edges than the plan says.
    """
    if plan.num_nodes > MOST_NODES:
        raise InputError(f"{what} joins {plan.num_nodes} nodes, more than the {MOST_NODES} that can be imported")
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    counts = EdgeCounts()
    room = max(1, plan.budget // _WORK // _RECORD)  # records of a file that is sorted in memory
    files = _Ranges(scratch, 0, plan.num_nodes << 32, min(1024, -(-plan.records // room)))
    for numbers in _encoded(edges, plan, counts, what):
        files.spread(numbers)
    degree = np.memmap(scratch / "degree", np.uint32, "w+", shape=(plan.num_nodes + 1,))
    with ArrayWriter(folder / "col.npy", plan.dtype) as col:
        for pairs in _merged(files, room, counts):
            target = (pairs >> np.uint64(31)).astype(np.int64)
            first = int(target[0])
            found = np.bincount(target - first)
            degree[first : first + len(found)] += found.astype(np.uint32)
            col.append((pairs & np.uint64(0x7FFFFFFF)).astype(plan.dtype))
            counts.kept += len(pairs)
    _write_offsets(degree[:-1], plan.dtype, folder / "rowptr.npy")
    del degree
    shutil.rmtree(scratch)
    return counts


def _encoded(edges: Iterator[np.ndarray], plan: EdgePlan, counts: EdgeCounts, what: str) -> Iterator[np.ndarray]:
    """Edges and their reverses as numbers, shape (n,), uint64."""
    seen = 0
    for piece in edges:
        _check_ids(piece, plan.num_nodes, seen, what)
        seen += piece.shape[1]
        source, target = (ids.astype(np.uint64) for ids in piece)
        proper = source != target
        counts.loops += int((~proper).sum()) * (2 if plan.inverse else 1)
        source, target = source[proper], target[proper]
        yield target << np.uint64(32) | source << np.uint64(1)
        if plan.inverse or plan.undirected:
            bit = np.uint64(0 if plan.inverse else 1)
            yield source << np.uint64(32) | target << np.uint64(1) | bit
    if seen != plan.num_edges:
        raise InputError(f"{what} holds {seen} edges, but {plan.num_edges} are stated: provide it again")


def _check_ids(piece: np.ndarray, num_nodes: int, before: int, what: str) -> None:
    if piece.size and (int(piece.min()) < 0 or int(piece.max()) >= num_nodes):
        row, column = (int(i[0]) for i in np.nonzero((piece < 0) | (piece >= num_nodes)))
        raise InputError(
            f"{what} holds node {int(piece[row, column])} at edge {before + column}, but there are {num_nodes} nodes "
            f"(0 to {num_nodes - 1}): correct the ids, or add rows to the features"
        )


class _Ranges:
    """Files, each of which holds the numbers of one range in any order; together they go from ``low`` to ``high``."""

    def __init__(self, folder: Path, low: int, high: int, count: int, name: str = "r") -> None:
        step = max(2, -(-(high - low) // max(1, count)))
        step += step % 2  # an edge and its added reverse differ in the last bit
        self.bounds = [*range(low, high, step), max(high, low)]
        self.paths = [folder / f"{name}.{index}" for index in range(len(self.bounds) - 1)]

    def spread(self, numbers: np.ndarray) -> None:
        """Put each number into the file of its range."""
        numbers = np.sort(numbers)
        places = np.searchsorted(numbers, np.array(self.bounds, np.uint64))
        for path, start, stop in zip(self.paths, places[:-1], places[1:], strict=True):
            if start < stop:
                with path.open("ab") as file:
                    numbers[start:stop].tofile(file)


def _merged(files: _Ranges, room: int, counts: EdgeCounts) -> Iterator[np.ndarray]:
    """Distinct pairs ``target << 31 | source``, rising, in pieces that are not empty; the files are used up."""
    for index, path in enumerate(files.paths):
        if not path.exists():
            continue
        low, high = files.bounds[index], files.bounds[index + 1]
        size = path.stat().st_size // _RECORD
        if size <= room:
            yield _distinct(np.sort(np.fromfile(path, np.uint64)), counts)
        elif high - low <= 2:
            yield _of_one_edge(path, room, counts)
        else:
            narrower = _Ranges(path.parent, low, high, _SPREAD, path.name)
            for numbers in _read(path, room):
                narrower.spread(numbers)
            path.unlink()
            yield from _merged(narrower, room, counts)
        path.unlink(missing_ok=True)


def _read(path: Path, room: int) -> Iterator[np.ndarray]:
    with path.open("rb") as file:
        while len(numbers := np.fromfile(file, np.uint64, room)):
            yield numbers


def _distinct(numbers: np.ndarray, counts: EdgeCounts) -> np.ndarray:
    pairs = numbers >> np.uint64(1)
    first = np.ones(len(pairs), bool)
    np.not_equal(pairs[1:], pairs[:-1], out=first[1:])
    _count(numbers, pairs[first], int((numbers[first] & np.uint64(1)).sum()), counts)
    return pairs[first]


def _of_one_edge(path: Path, room: int, counts: EdgeCounts) -> np.ndarray:
    """So many copies of one edge that they do not fit the budget."""
    originals, pair = 0, np.empty(0, np.uint64)
    for numbers in _read(path, room):
        originals += int((numbers & np.uint64(1) == 0).sum())
        pair = numbers[:1] >> np.uint64(1)
    counts.merged += max(0, originals - 1)
    counts.added += int(not originals)
    return pair


def _count(numbers: np.ndarray, distinct: np.ndarray, added: int, counts: EdgeCounts) -> None:
    """An edge that was in the data sorts before its added twin, so the first of equals tells whether it was added."""
    originals = int((numbers & np.uint64(1) == 0).sum())
    counts.merged += originals - (len(distinct) - added)
    counts.added += added


def _write_offsets(degree: np.ndarray, dtype: np.dtype, path: Path) -> None:
    total = 0
    with ArrayWriter(path, dtype) as writer:
        writer.append(np.zeros(1, dtype))
        for start in range(0, len(degree), 1 << 20):
            offsets = np.cumsum(degree[start : start + (1 << 20)], dtype=np.int64) + total
            writer.append(offsets.astype(dtype))
            total = int(offsets[-1])
