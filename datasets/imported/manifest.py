"""What a folder of an imported graph says of itself, and whether its files are what it says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

from gssl.common.errors import InputError
from gssl.common.files import inside, read_json, write_json
from gssl.datasets.checksums import file_hash
from gssl.datasets.imported.arrays import open_written
from gssl.datasets.imported.streams import ArrayStream
from gssl.datasets.npy_header import check_array_file
from gssl.datasets.store import GRAPH
from gssl.datasets.types import LabelKind

FORMAT = "gssl graph"
VERSION = 1
_PARTS = ("train", "val", "test")
_ROWS = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is in a folder of an imported graph.

    Attributes:
        name: of the dataset.
        num_nodes, num_edges, in_dim: of the graph; edges are directed ones.
        kind: of the labels; None if there are none.
        num_classes: as in :class:`~gssl.datasets.types.Labels`.
        metric, probe: as in :class:`~gssl.datasets.types.Dataset`.
        splits: names of the preset splits.
        vocabulary: name of the meaning of the columns; None if it is not known.
        notes: what was done to the data.
        checksum: of the dataset, that which the same data have when they are loaded into memory.
        files: name to bytes and SHA-256.
    """

    name: str
    num_nodes: int
    num_edges: int
    in_dim: int
    kind: LabelKind | None
    num_classes: int
    metric: str
    probe: str
    splits: tuple[str, ...]
    vocabulary: str | None
    notes: tuple[str, ...]
    checksum: str
    files: Mapping[str, Mapping[str, Any]]

    def write(self, folder: Path) -> None:
        """Into a folder; it is there as a whole or not at all."""
        write_json(folder / GRAPH, {"format": FORMAT, "version": VERSION, **asdict(self)})

    @property
    def arrays(self) -> Mapping[str, tuple[str, tuple[int, ...] | None]]:
        """Name of each file, the dtypes that it may have, and its shape; None where that is not stated."""
        index = "i4 i8"
        found: dict[str, tuple[str, tuple[int, ...] | None]] = {
            "rowptr.npy": (index, (self.num_nodes + 1,)),
            "col.npy": (index, (self.num_edges,)),
            "x.npy": ("f4", (self.num_nodes, self.in_dim)),
        }
        if self.kind == "multiclass":
            found["y.npy"] = ("i8", (self.num_nodes,))
        elif self.kind is not None:
            found["y.npy"] = ("f4", (self.num_nodes, self.num_classes))
        return found | {split_file(i, part): ("i8", None) for i in range(len(self.splits)) for part in _PARTS}


def split_file(number: int, part: str) -> str:
    """Where the items of a part of a split are."""
    return f"split-{number}-{part}.npy"


def read_manifest(folder: Path) -> Manifest:
    """What a folder says of itself; its files are not looked at.

    Raises:
        InputError: damaged, or written by another version.
    """
    file = folder / GRAPH
    found = read_json(file)
    if found.pop("format", None) != FORMAT:
        raise InputError(f"{file} does not describe an imported graph: make it with gssl data import")
    version = found.pop("version", None)
    if version != VERSION:
        raise InputError(
            f"{folder} was imported by a version of gssl that writes form {version!r} of it, this one reads {VERSION}: "
            "import the graph again"
        )
    try:
        manifest = _checked(found)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{file} is damaged ({error}): import the graph again") from None
    for name in manifest.files:
        inside(folder, name, file)
    missing = manifest.arrays.keys() - manifest.files.keys()
    if missing:
        raise InputError(f"{file} is damaged, it lacks {', '.join(sorted(missing))}: import the graph again")
    return manifest


def _checked(found: Mapping[str, Any]) -> Manifest:
    texts = {key: _typed(found[key], str) for key in ("name", "metric", "probe", "checksum")}
    counts = {key: _typed(found[key], int) for key in ("num_nodes", "num_edges", "in_dim", "num_classes")}
    kind, vocabulary = found["kind"], found["vocabulary"]
    if min(counts.values()) < 0 or kind not in (None, *get_args(LabelKind)):
        raise ValueError("a count is negative, or its labels are of no known kind")
    return Manifest(
        **texts,
        **counts,
        kind=cast("LabelKind | None", kind),
        splits=tuple(_typed(name, str) for name in _typed(found["splits"], list)),
        vocabulary=None if vocabulary is None else _typed(vocabulary, str),
        notes=tuple(_typed(note, str) for note in _typed(found["notes"], list)),
        files={
            name: {"bytes": _typed(file["bytes"], int), "sha256": _typed(file["sha256"], str)}
            for name, file in _typed(found["files"], dict).items()
        },
    )


def _typed(value: Any, kind: type) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{str(value)[:40]!r} is no {kind.__name__}")
    return value


def described(folder: Path, names: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Bytes and SHA-256 of files in a folder, for :attr:`Manifest.files`."""
    return {name: {"bytes": (folder / name).stat().st_size, "sha256": file_hash(folder / name)} for name in names}


def check_sizes(folder: Path, manifest: Manifest) -> None:
    """Whether the files are there, as large as they were, and arrays of the stated shapes.

    Raises:
        InputError: names the file.
    """
    for name, (dtypes, shape) in manifest.arrays.items():
        path = folder / name
        if not path.is_file():
            raise _unlike(path, "is missing")
        size, wanted = path.stat().st_size, manifest.files[name]["bytes"]
        if size != wanted:
            raise _unlike(path, f"has {size} bytes instead of {wanted}")
        header = check_array_file(path)
        fits = header.dtype.str[1:] in dtypes.split() and header.dtype.isnative and not header.by_columns
        if not fits or len(header.shape) != len(shape or (0,)) or header.shape != (shape or header.shape):
            raise _unlike(path, f"holds {header.dtype} of shape {header.shape}")
    if check_array_file(folder / "rowptr.npy").dtype != check_array_file(folder / "col.npy").dtype:
        raise _unlike(folder / "col.npy", "has another dtype than rowptr.npy")


def check_content(folder: Path, manifest: Manifest) -> None:
    """Whether the files are, bit by bit, those that were written, and a graph that can do no harm.

    Everything is read once, piece by piece.

    Raises:
        InputError: names the file.
    """
    check_sizes(folder, manifest)
    for name in manifest.arrays:
        if file_hash(folder / name) != manifest.files[name]["sha256"]:
            raise _unlike(folder / name, "has changed since the import (its SHA-256 is another)")
    # A manifest can be made for any files, and a kernel trusts offsets and columns.
    rowptr = open_written(folder / "rowptr.npy")
    if int(rowptr[0]) != 0 or int(rowptr[-1]) != manifest.num_edges:
        raise _unlike(folder / "rowptr.npy", f"does not rise from 0 to {manifest.num_edges}")
    for start in range(0, len(rowptr), _ROWS):
        if bool((np.diff(rowptr[start : start + _ROWS + 1]) < 0).any()):
            raise _unlike(folder / "rowptr.npy", "falls")
    for ids in ArrayStream(folder / "col.npy").rows():
        if int(ids.min()) < 0 or int(ids.max()) >= manifest.num_nodes:
            raise _unlike(folder / "col.npy", f"holds an id that is none of {manifest.num_nodes} nodes")
    for rows in ArrayStream(folder / "x.npy").rows():
        if not bool(np.isfinite(rows).all()):
            raise _unlike(folder / "x.npy", "holds numbers that are not finite")
    if manifest.kind == "multiclass":
        y = open_written(folder / "y.npy")
        if len(y) and (int(y.min()) < -1 or int(y.max()) >= manifest.num_classes):
            raise _unlike(folder / "y.npy", f"holds a class that is none of {manifest.num_classes}")


def _unlike(path: Path, what: str) -> InputError:
    return InputError(f"{path} {what}: it is not as it was imported; delete {path.parent} and import the graph again")


def state(folder: Path, manifest: Manifest) -> str:
    """Changes whenever a file does, by its size, its times or its place on disk; nothing is read."""
    digest = hashlib.sha256(str(folder.resolve()).encode())
    for name in (GRAPH, *manifest.arrays):
        status = (folder / name).stat()
        facts = [name, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        digest.update(json.dumps(facts).encode())
    return digest.hexdigest()
