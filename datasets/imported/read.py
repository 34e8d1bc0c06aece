"""Imported graphs as datasets: edges, features and labels stay in their files, and are read where they are used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.catalog import DatasetSpec
from gssl.datasets.imported.arrays import open_written
from gssl.datasets.imported.manifest import Manifest, check_content, check_sizes, read_manifest, split_file, state
from gssl.datasets.mapped import mapped_tensor
from gssl.datasets.splits import checked
from gssl.datasets.store import Store
from gssl.datasets.types import Dataset, Labels, Split
from gssl.graph.block import Block
from gssl.graph.sparse import Pattern
from gssl.graph.spec import Vocabulary
from gssl.graph.storage import Graph


def load_imported(folder: Path, store: Store) -> Dataset:
    """The dataset of a folder that ``gssl data import`` made.

    Files are checked as a whole when a folder is first seen, and again whenever one of them has changed; that is kept
    in the data root. At other times their sizes and shapes are looked at.

    Raises:
        InputError: a file is missing, truncated, changed or no part of a graph; another version wrote the folder.
    """
    manifest = read_manifest(folder)
    check_sizes(folder, manifest)
    if not was_checked(folder, manifest, store):
        check_content(folder, manifest)
        remember(folder, manifest, store)
    return mapped_dataset(folder, manifest)


def only_imported(spec: DatasetSpec, store: Store) -> Dataset:
    """A set of the catalogue that no memory is expected to hold; what was imported is found before this is asked.

    Raises:
        InputError: says how to import it.
    """
    raise InputError(
        f"{spec.name} is too large to be processed in memory: download and unpack it, then `gssl data import FOLDER` "
        f"makes files of it below {store.root} that are mapped"
    )


def mapped_dataset(folder: Path, manifest: Manifest) -> Dataset:
    """The dataset, whose files are taken for what the manifest says."""
    pattern = Pattern(_mapped(folder / "rowptr.npy"), _mapped(folder / "col.npy"), manifest.num_nodes)
    graph = Graph(Block(pattern), _mapped(folder / "x.npy"))
    labels = None
    if manifest.kind is not None:
        labels = Labels(_mapped(folder / "y.npy"), manifest.kind, manifest.num_classes)
    return Dataset(
        name=manifest.name,
        level="node",
        graph=graph,
        labels=labels,
        splits=tuple(_split(folder, i, name, manifest.num_nodes) for i, name in enumerate(manifest.splits)),
        metric=manifest.metric,
        probe=manifest.probe,
        notes=manifest.notes,
        checksum=manifest.checksum,
        vocabulary=None if manifest.vocabulary is None else Vocabulary(manifest.vocabulary),
    )


@dataclass(frozen=True, eq=False)
class Range:
    """Some nodes that follow each other, read from the files of an imported graph.

    Attributes:
        nodes: their ids.
        rowptr: offsets of their in-edges in ``col``, shape (n + 1,), int64, from 0.
        col: sources of these edges, shape (num_edges,), int64.
        x: their features, shape (n, in_dim), float32.
    """

    nodes: range
    rowptr: Tensor
    col: Tensor
    x: Tensor


def load_ranges(folder: Path, size: int) -> Iterator[Range]:
    """An imported graph, range by range, for programs of one's own: each is read when it is asked for, into memory.

    Args:
        folder: of the graph; it is not checked.
        size: nodes of a range.
    """
    manifest = read_manifest(folder)
    check_sizes(folder, manifest)
    rowptr, col, x = (open_written(folder / f"{name}.npy") for name in ("rowptr", "col", "x"))
    for start in range(0, manifest.num_nodes, size):
        nodes = range(start, min(start + size, manifest.num_nodes))
        offsets = np.array(rowptr[nodes.start : nodes.stop + 1], np.int64)
        sources = np.array(col[offsets[0] : offsets[-1]], np.int64)
        rows = np.array(x[nodes.start : nodes.stop])
        yield Range(nodes, *map(torch.from_numpy, (offsets - offsets[0], sources, rows)))


def was_checked(folder: Path, manifest: Manifest, store: Store) -> bool:
    """Whether the files were checked as a whole, or written, since one of them last changed."""
    return (store.root / ".checked" / state(folder, manifest)).is_file()


def remember(folder: Path, manifest: Manifest, store: Store) -> None:
    """Keep that the files are what they should be; without a place to write, they are checked each time."""
    place = store.root / ".checked" / state(folder, manifest)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    except OSError:
        return


def _mapped(path: Path) -> Tensor:
    array = open_written(path)
    return mapped_tensor(array) if isinstance(array, np.memmap) else torch.from_numpy(array)


def _split(folder: Path, number: int, name: str, num_items: int) -> Split:
    parts = [torch.from_numpy(np.load(folder / split_file(number, part))) for part in ("train", "val", "test")]
    try:
        return checked(Split(name, *parts), num_items)
    except InputError as error:
        raise InputError(f"{folder}: {error}") from None
