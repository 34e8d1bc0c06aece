"""OGB's folders: what they hold, and how ogb's classes process them without a prompt or a network."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gssl.common.errors import InputError
from gssl.datasets.download import download
from gssl.datasets.ogb_import import without_update_check
from gssl.datasets.pickles import pyg_classes_allowed
from gssl.datasets.source import Source, copy_parts
from gssl.datasets.store import META
from gssl.datasets.types import Level
from gssl.datasets.unzip import safe_unzip

_MAX_UNPACKED = 64 << 30
_KEYS = ("version", "num tasks", "task type", "eval metric", "num classes", "binary", "add_inverse_edge", "split")
_DEFAULTS = {
    "is hetero": "False",
    "has_node_attr": "True",
    "has_edge_attr": "False",
    "additional node files": "None",
    "additional edge files": "None",
    "url": "",
    "download_name": "",
}


@dataclass(frozen=True, kw_only=True)
class OgbSource(Source):
    """One OGB set.

    Attributes:
        name: for example ``"ogbn-arxiv"``.
        level: which of ogb's classes reads it.
        meta: a column of ogb's ``master.csv``, or a folder's own ``meta.json``.
        origin: folder of the raw files where they are not in a store.
    """

    name: str
    level: Level
    meta: Mapping[str, Any]
    folder: str
    raw: tuple[str, ...]
    parts: tuple[str, ...]
    origin: Path | None = None
    processed: tuple[str, ...] = ("processed/geometric_data_processed.pt",)

    @classmethod
    def of(cls, name: str, level: Level, meta: Mapping[str, Any], folder: str, origin: Path | None = None) -> OgbSource:
        """The set that ``meta`` describes."""
        raw = tuple(_raw_files(level, meta))
        parts = ("raw", "split", "mapping", META, _release(meta))
        return cls(name=name, level=level, meta=meta, folder=folder, raw=raw, parts=parts, origin=origin)

    def adopt(self, place: Path, into: Path) -> bool:
        folder = self.origin or place / self.folder
        if not all((folder / name).is_file() for name in self.raw):
            return False
        if not (folder / _release(self.meta)).is_file():
            raise InputError(
                f"{folder} has no {_release(self.meta)}, so it is another release of {self.name}: replace it, or, if "
                "it is this one, make that empty file"
            )
        copy_parts(folder, into, self.parts)
        return True

    def download(self, into: Path) -> None:
        archive = into.with_suffix(".zip")
        download(str(self.meta["url"]).replace("http://", "https://", 1), archive)
        safe_unzip(archive, into, strip=1, max_bytes=_MAX_UNPACKED)
        archive.unlink()
        if not (into / _release(self.meta)).is_file():
            raise InputError(f"the download of {self.name} has no {_release(self.meta)}: it is another release")

    def process(self, folder: Path) -> None:
        make = _ogb_class(self.level)
        with pyg_classes_allowed():
            make(self.name, meta_dict={**self.meta, "dir_path": str(folder)})


def published(name: str, level: Level) -> OgbSource:
    """A set that OGB lists, described by the installed ogb package."""
    package = importlib.util.find_spec("ogb")
    if package is None or not package.submodule_search_locations:
        raise InputError("OGB sets need the ogb package: pip install ogb")
    master = Path(package.submodule_search_locations[0]) / f"{level}proppred" / "master.csv"
    with master.open(encoding="utf-8", newline="") as file:
        rows = {row[""]: row[name] for row in csv.DictReader(file)}
    return OgbSource.of(name, level, rows, f"ogb/{name.replace('-', '_')}")


def from_folder(folder: Path, *, in_store: bool) -> OgbSource:
    """A set in OGB's layout that describes itself in ``meta.json``.

    Args:
        folder: where it is.
        in_store: whether it lies below ``ogb/`` of the data root or the mirror.

    Raises:
        InputError: ``meta.json`` is damaged or lacks a key.
    """
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{folder / META} is not JSON: {error}") from None
    missing = [key for key in _KEYS if not isinstance(meta, dict) or key not in meta]
    if missing:
        raise InputError(f"{folder / META} lacks {', '.join(map(repr, missing))}: see ogb's meta_dict")
    if meta.get("is hetero") == "True":
        raise InputError(f"{folder} holds several kinds of nodes; only graphs with one kind can be read")
    split = str(meta["split"])
    if Path(split).name != split:
        raise InputError(f"{folder / META} names the split {split!r}, which is no folder below split/")
    name = folder.name.replace("_", "-")
    key = f"ogb/{folder.name}" if in_store else f"ogb-folders/{folder.name}-{_state(folder)}"
    level: Level = "graph" if name.startswith("ogbg") else "node"
    return OgbSource.of(name, level, {**_DEFAULTS, **meta}, key, None if in_store else folder)


def _release(meta: Mapping[str, Any]) -> str:
    return f"RELEASE_v{meta['version']}.txt"


def _raw_files(level: Level, meta: Mapping[str, Any]) -> list[str]:
    if meta["binary"] == "True":
        files = ["raw/data.npz", f"raw/{level}-label.npz"]
    else:
        names = ["edge", "num-node-list", "num-edge-list", f"{level}-label"]
        names += [f"{part}-feat" for part in ("node", "edge") if meta[f"has_{part}_attr"] == "True"]
        files = [f"raw/{name}.csv.gz" for name in names]
    return files + [f"split/{meta['split']}/{part}.csv.gz" for part in ("train", "valid", "test")]


def _state(folder: Path) -> str:
    """Changes whenever a file of the folder does."""
    digest = hashlib.sha256(str(folder.resolve()).encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "processed" not in path.parts:
            status = path.stat()
            digest.update(f"{path.relative_to(folder)}|{status.st_size}|{status.st_mtime_ns}".encode())
    return digest.hexdigest()[:12]


def _ogb_class(level: Level) -> Any:
    with without_update_check():
        from ogb.graphproppred import PygGraphPropPredDataset
        from ogb.nodeproppred import PygNodePropPredDataset
    return PygNodePropPredDataset if level == "node" else PygGraphPropPredDataset
