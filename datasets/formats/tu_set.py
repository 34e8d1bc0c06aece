"""A TU set by path: its zip, or the folder of its text files."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path, PurePosixPath

from gssl.common.errors import InputError
from gssl.common.files import inside
from gssl.datasets.checksums import file_hash
from gssl.datasets.declared import Declared
from gssl.datasets.own import own_dataset
from gssl.datasets.store import Store
from gssl.datasets.tu import TuSource, raw_files, read_arrays
from gssl.datasets.types import Dataset
from gssl.datasets.unzip import names_in

_EDGES = "_A.txt"
_CLASSES, _REALS = "graph_labels", "graph_attributes"


def name_in(folder: Path) -> str | None:
    """The name of the TU set whose files lie in a folder or in its ``raw``; None if there is none."""
    found = _edge_files(folder)
    return found[0].name.removesuffix(_EDGES) if found else None


def read_folder(folder: Path, store: Store, declared: Declared) -> Dataset:
    """A set of graphs from ``NAME_A.txt``, ``NAME_graph_indicator.txt`` and what else there is of the set.

    Raises:
        InputError: several sets, a file is missing, or files do not fit together.
    """
    found = _edge_files(folder)
    if len(found) > 1:
        raise InputError(
            f"{folder} holds {len(found)} sets ({', '.join(path.name for path in found)}): give one a folder"
        )
    raw, name = found[0].parent, found[0].name.removesuffix(_EDGES)
    digest = hashlib.sha256()
    files = sorted(raw.glob(f"{name}_*.txt"))
    for path in files:
        digest.update(f"{path.name}|{file_hash(path)}|".encode())
    held = {path.name for path in files}
    return _load(name, digest.hexdigest(), raw.absolute(), 0, held, store, declared)


def read_zip(path: Path, store: Store, declared: Declared) -> Dataset:
    """A set of graphs from a zip that holds such a folder.

    Raises:
        InputError: damaged, hostile, or no TU set.
    """
    names = [PurePosixPath(name) for name in names_in(path)]
    found = [name for name in names if name.name.endswith(_EDGES) and not name.name.startswith("._")]
    if len(found) != 1:
        raise InputError(
            f"{path} holds {len(found) or 'no'} files NAME_A.txt, but the zip of a TU set has one: unpack it and give "
            "the path of the graph in it"
        )
    name = inside(Path(), found[0].name, path).name.removesuffix(_EDGES)
    held = {other.name for other in names if other.parent == found[0].parent}
    return _load(name, file_hash(path), path.absolute(), len(found[0].parts) - 1, held, store, declared)


def _load(
    name: str, content: str, origin: Path, depth: int, held: set[str], store: Store, declared: Declared
) -> Dataset:
    targets, left = _targets(name, held, declared)
    source = TuSource(
        dataset="TUDataset",
        folder=f"tu-files/{name}-{content[:16]}{'-classes' if left and targets == _CLASSES else ''}/{name}",
        name=name,
        raw=raw_files(name),
        origin=origin,
        depth=depth,
        without=raw_files(name, left)[2:] if left else (),
    )
    arrays = read_arrays(source, store)
    if left:
        task = "regression" if targets == _CLASSES else "multiclass"
        note = f"{name}_{targets}.txt is read as labels and {name}_{left}.txt is not: --data task={task} reads that one"
        arrays = replace(arrays, notes=(*arrays.notes, note))
    return own_dataset(arrays, arrays.y, declared, name=name, level="graph", what=targets)


def _targets(name: str, held: set[str], declared: Declared) -> tuple[str, str | None]:
    """The file that holds the labels of graphs, and the other one that could and is left out."""
    there = [part for part in (_REALS, _CLASSES) if f"{name}_{part}.txt" in held]
    if len(there) < 2:
        return (there or [_CLASSES])[0], None
    return (_CLASSES, _REALS) if declared.task == "multiclass" else (_REALS, _CLASSES)


def _edge_files(folder: Path) -> list[Path]:
    here = sorted(folder.glob(f"*{_EDGES}"))
    return here or sorted((folder / "raw").glob(f"*{_EDGES}"))
