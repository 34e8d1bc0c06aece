"""From raw files to a folder of an imported graph: whole or absent, with bounded memory and checked disk."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from gssl.common.errors import InputError, StorageError
from gssl.common.files import read_json, write_json
from gssl.datasets.assemble import default_metric
from gssl.datasets.checksums import checksum_of_files
from gssl.datasets.declared import NOTHING, Declared
from gssl.datasets.imported.arrays import ArrayWriter
from gssl.datasets.imported.arrays_raw import read_arrays
from gssl.datasets.imported.edges import EdgeCounts, EdgePlan, sort_edges
from gssl.datasets.imported.manifest import Manifest, described, read_manifest, split_file
from gssl.datasets.imported.ogb_raw import is_raw, read_raw
from gssl.datasets.imported.raw import RawGraph
from gssl.datasets.imported.read import remember
from gssl.datasets.store import GRAPH, IMPORTED, Store

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_STEPS = "steps.json"
_MARGIN = 64 << 20  # bytes of disk for labels of few columns, splits and the manifest
_LEAST_MIB = 8

Say = Callable[[str], None]


@dataclass(frozen=True)
class Imported:
    """What an import led to.

    Attributes:
        folder: of the graph.
        manifest: what is in it.
        new: whether it was made now.
    """

    folder: Path
    manifest: Manifest
    new: bool


def import_folder(
    source: Path,
    store: Store,
    *,
    name: str | None = None,
    into: Path | None = None,
    declared: Declared = NOTHING,
    memory_mib: int = 1024,
    say: Say = lambda _: None,
) -> Imported:
    """Import a graph.

    Args:
        source: an unpacked download of OGB's, or a folder with ``edge_index.npy`` and ``x.npy``.
        store: the data root, below which it goes.
        name: of the dataset; None for that of the source.
        into: folder of the graph in place of one in the data root; it must not be there.
        declared: what is known of data of the user's own, and ``undirected`` of any.
        memory_mib: that sorting may take, in MiB.
        say: tells the user what is being done.

    Raises:
        InputError: the source cannot be imported, something else is in the way, or the disk is too small.
    """
    if not source.is_dir():
        raise InputError(f"there is no folder {source}: give the folder that OGB's download was unpacked into")
    if memory_mib < _LEAST_MIB:
        raise InputError(f"--memory must be at least {_LEAST_MIB} MiB (got {memory_mib})")
    raw = _raw(source, name, declared)
    folder = into if into is not None else store.root / IMPORTED / _usable(raw.name)
    return import_raw(raw, folder, store, memory_mib=memory_mib, say=say)


def _raw(source: Path, name: str | None, declared: Declared) -> RawGraph:
    if not is_raw(source):
        return read_arrays(source, declared, name)
    others = [key for key in declared.mapping() if key != "undirected"]
    if others:
        raise InputError(f"OGB says what its sets are, so leave out {', '.join(others)}")
    raw = read_raw(source, name)
    return raw if declared.undirected is None else replace(raw, undirected=declared.undirected)


def _usable(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} cannot be the name of a dataset: give --name with letters, digits, '.', '_', '-'")
    return name


def import_raw(raw: RawGraph, folder: Path, store: Store, *, memory_mib: int, say: Say) -> Imported:
    """Import what was found; see :func:`import_folder`."""
    plan = EdgePlan(
        num_nodes=raw.num_nodes,
        num_edges=raw.num_edges,
        inverse=raw.inverse,
        undirected=raw.undirected and not raw.inverse,
        budget=memory_mib << 20,
    )
    if not raw.num_nodes:
        raise InputError("there are no nodes: give x one row for each node")
    recipe = {"source": raw.state(), "plan": {**asdict(plan), "budget": 0}}
    partial = folder.with_name(f".{folder.name}.partial")
    with _explained(folder), _exclusive(folder):
        if folder.exists():
            return _there(folder, recipe, store)
        steps = _begin(partial, recipe)
        _require_space(partial, raw, plan, steps)
        counts = _edges(raw, plan, partial, steps, say)
        _features(raw, partial, steps, say)
        manifest = _finish(raw, counts, partial, recipe, say)
        partial.replace(folder)
        remember(folder, manifest, store)
    return Imported(folder, manifest, new=True)


def _there(folder: Path, recipe: dict[str, Any], store: Store) -> Imported:
    """A folder that is there already, if the same import made it."""
    if (folder / GRAPH).is_file() and (folder / _STEPS).is_file():
        manifest = read_manifest(folder)
        if read_json(folder / _STEPS).get("recipe") == recipe:
            return Imported(folder, manifest, new=False)
    raise InputError(f"{folder} is there already, made of something else: delete it, or give another --name or --to")


def _begin(partial: Path, recipe: dict[str, Any]) -> dict[str, Any]:
    """The steps that an import of the same source finished before it was stopped."""
    if (partial / _STEPS).is_file():
        try:
            steps = read_json(partial / _STEPS)
        except InputError:
            steps = {}
        if steps.get("recipe") == recipe:
            return steps
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    return {"recipe": recipe}


def _require_space(partial: Path, raw: RawGraph, plan: EdgePlan, steps: dict[str, Any]) -> None:
    """Refuse what will not fit before anything is written."""
    features = 4 * raw.num_nodes * raw.in_dim
    sorting = 0 if "edges" in steps else plan.scratch_bytes
    edges = 0 if "edges" in steps else plan.result_bytes
    rest = 0 if "features" in steps else features
    needed = edges + max(sorting, rest) + 8 * raw.num_nodes + _MARGIN
    free = shutil.disk_usage(partial).free
    if needed > free:
        raise StorageError(
            f"importing {raw.name} takes up to {needed / 1e9:.2f} GB of disk ({features / 1e9:.2f} of them for "
            f"features), but {free / 1e9:.2f} GB are free at {partial.parent}: free some, or give --to a folder on a "
            "larger disk"
        )


def _edges(raw: RawGraph, plan: EdgePlan, partial: Path, steps: dict[str, Any], say: Say) -> EdgeCounts:
    if "edges" not in steps:
        say(f"sorting {raw.num_edges:,} edges")
        steps["edges"] = asdict(sort_edges(raw.edges(), plan, partial))
        write_json(partial / _STEPS, steps)
    return EdgeCounts(**steps["edges"])


def _features(raw: RawGraph, partial: Path, steps: dict[str, Any], say: Say) -> None:
    if "features" in steps:
        return
    say(f"writing {raw.num_nodes:,} rows of {raw.in_dim} features")
    with ArrayWriter(partial / "x.npy", np.float32, raw.in_dim) as writer:
        for piece in raw.features():
            if piece.shape[1:] != (raw.in_dim,) or writer.length + len(piece) > raw.num_nodes:
                raise _unequal(raw, "more")
            writer.append(_single(piece, writer.length))
        if writer.length < raw.num_nodes:
            raise _unequal(raw, "fewer")
    steps["features"] = True
    write_json(partial / _STEPS, steps)


def _unequal(raw: RawGraph, how: str) -> InputError:
    return InputError(
        f"{raw.name} has {raw.num_nodes} nodes, but {how} rows of {raw.in_dim} features: its files do not fit "
        "together, so provide them again"
    )


def _single(rows: np.ndarray, before: int) -> np.ndarray:
    with np.errstate(over="ignore"):
        found = rows.astype(np.float32)
    if not np.isfinite(found).all():
        row, column = (int(i[0]) for i in np.nonzero(~np.isfinite(found)))
        raise InputError(
            f"x has a value that is NaN, infinite or too large for float32 in row {before + row}, column {column}: "
            "replace it"
        )
    return found


def _finish(raw: RawGraph, counts: EdgeCounts, partial: Path, recipe: dict[str, Any], say: Say) -> Manifest:
    say("reading labels and splits, making checksums")
    labels, read = raw.labels()
    if labels is not None:
        np.save(partial / "y.npy", labels.y.numpy())
    splits, left = raw.splits(labels)
    for number, split in enumerate(splits):
        for part in ("train", "val", "test"):
            np.save(partial / split_file(number, part), getattr(split, part).numpy())
    manifest = Manifest(
        name=raw.name,
        num_nodes=raw.num_nodes,
        num_edges=counts.kept,
        in_dim=raw.in_dim,
        kind=None if labels is None else labels.kind,
        num_classes=0 if labels is None else labels.num_classes,
        metric=raw.metric or default_metric(labels),
        probe=raw.probe,
        splits=tuple(split.name for split in splits),
        vocabulary=raw.vocabulary,
        notes=(*raw.notes, *read, *left, *counts.notes(), "features and edges are read from the files of an import"),
        checksum="",
        files={},
    )
    manifest = replace(manifest, files=described(partial, manifest.arrays))
    rowptr, col, x, y = (partial / f"{name}.npy" for name in ("rowptr", "col", "x", "y"))
    checksum = checksum_of_files(rowptr, col, x, None if labels is None else y)
    manifest = replace(manifest, checksum=checksum)
    write_json(partial / _STEPS, {"recipe": recipe})
    manifest.write(partial)
    return manifest


@contextlib.contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder.with_name(f".{folder.name}.lock"), timeout=0):
            yield
    except Timeout:
        raise InputError(f"another process is importing into {folder}: wait for it, or stop it") from None


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"no space is left for {folder}: free some and give the same command again, or give --to a folder on a "
                "larger disk"
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            told = f"{error.filename or folder}: {os.strerror(error.errno)}"
            raise StorageError(f"{told}; change its permissions, or give another --to") from None
        raise
    except MemoryError:
        raise InputError("not enough memory: give less with --memory") from None
