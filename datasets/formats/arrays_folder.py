"""A folder with ``edge_index.npy``, ``x.npy`` and the rest under the same names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gssl.datasets.array_names import NAMES, is_read
from gssl.datasets.convert import from_arrays
from gssl.datasets.declared import Declared
from gssl.datasets.mapped import open_array
from gssl.datasets.npy_header import check_array_file
from gssl.datasets.own_splits import may_say_split, says_split
from gssl.datasets.types import Dataset


def is_one(folder: Path) -> bool:
    """Whether edges lie in a folder as an array."""
    return any((folder / f"{name}.npy").is_file() for name in ("edge_index", *NAMES["edge_index"]))


def read(folder: Path, declared: Declared) -> Dataset:
    """A dataset from a folder of arrays.

    Raises:
        InputError: an array is damaged or holds Python objects, or they are no graph.
    """
    values, others = load_arrays(folder)
    return from_arrays(values, name=folder.resolve().name, declared=declared, others=others)


def load_arrays(folder: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The arrays of a graph, each in a file ``<key>.npy``, without reading what is in them; and names of other arrays.

    Features in float32 stay in their file, from which batches take their rows, so they may exceed the memory.

    Raises:
        InputError: a file is damaged or holds Python objects.
    """
    files = {path.stem: path for path in sorted(folder.glob("*.npy"))}
    found = {key: open_array(path) for key, path in files.items() if is_read(key) or _is_split(path)}
    return found, tuple(name for name in files if name not in found)


def _is_split(path: Path) -> bool:
    """Whether an array says train, val and test of each item, whatever it is called."""
    if not path.is_file():  # reading a pipe may never end
        return False
    header = check_array_file(path)
    if not may_say_split(header.dtype, header.shape):
        return False
    words = open_array(path)
    return says_split(words, len(words))
