"""OGB's folders: what they hold, and how ogb's classes process them without a prompt or a network."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from gssl.common.errors import InputError
from gssl.common.files import inside, parse_json
from gssl.datasets.download import download
from gssl.datasets.ogb_files import require_all
from gssl.datasets.ogb_import import without_update_check
from gssl.datasets.pickles import pyg_classes_allowed
from gssl.datasets.processed import read_processed
from gssl.datasets.source import Source, copy_parts
from gssl.datasets.store import META
from gssl.datasets.types import Level
from gssl.datasets.unzip import safe_unzip

_MAX_UNPACKED = 64 << 30
_KEYS = ("version", "task type", "eval metric", "binary", "add_inverse_edge", "split")
_KEYS_OF_LABELS = ("num tasks", "num classes")
WHOLE_SPLIT = "split_dict.pt"  # where the three parts of a split are in one file, as DatasetSaver writes it
_DEFAULTS = {
    "is hetero": "False",
    "has_node_attr": "True",
    "has_edge_attr": "False",
    "additional node files": "None",
    "additional edge files": "None",
    "url": "",
    "download_name": "",
}


Target = Literal["node", "graph", "link"]


@dataclass(frozen=True, kw_only=True)
class OgbSource(Source):
    """One OGB set.

    Attributes:
        name: for example ``"ogbn-arxiv"``.
        target: what is predicted, hence which of ogb's packages reads it.
        meta: a column of ogb's ``master.csv``, or a folder's own ``meta.json``.
        origin: folder of the raw files where they are not in a store.
    """

    name: str
    target: Target
    meta: Mapping[str, Any]
    folder: str
    raw: tuple[str, ...]
    parts: tuple[str, ...]
    origin: Path | None = None
    processed: tuple[str, ...] = ("processed/geometric_data_processed.pt",)

    @classmethod
    def of(
        cls, name: str, target: Target, meta: Mapping[str, Any], folder: str, *, whole_split: bool = False
    ) -> OgbSource:
        """The set that ``meta`` describes; ``whole_split`` if its split is one file."""
        raw = tuple(_raw_files(target, meta, whole_split))
        parts = ("raw", "split", "mapping", META, _release(meta))
        return cls(name=name, target=target, meta=meta, folder=folder, raw=raw, parts=parts)

    @property
    def level(self) -> Level:
        """Whether the items are nodes or graphs; links join nodes."""
        return "graph" if self.target == "graph" else "node"

    def adopt(self, place: Path, into: Path) -> bool:
        folder = self.origin or place / self.folder
        missing = [name for name in self.raw if not (folder / name).is_file()]
        if missing and self.origin is not None:  # a folder of the user's own is nowhere else
            raise InputError(f"the folder {folder} lacks {', '.join(missing)}, which its {META} promises: add them")
        if missing:
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
        make = _ogb_class(self.target)
        with pyg_classes_allowed():
            make(self.name, meta_dict={**self.meta, "dir_path": str(folder)})

    def check(self, folder: Path, skipped: int) -> None:
        require_all(read_processed(folder / self.processed[0]), folder, self.meta, self.target)


def published(name: str) -> OgbSource:
    """A set that OGB lists, described by the installed ogb package."""
    package = importlib.util.find_spec("ogb")
    if package is None or not package.submodule_search_locations:
        raise InputError("OGB sets need the ogb package: pip install ogb")
    master = Path(package.submodule_search_locations[0]) / f"{_target(name)}proppred" / "master.csv"
    with master.open(encoding="utf-8", newline="") as file:
        rows = {row[""]: row[name] for row in csv.DictReader(file)}
    return OgbSource.of(name, _target(name), rows, f"ogb/{name.replace('-', '_')}")


def from_folder(folder: Path, *, in_store: bool) -> OgbSource:
    """A set in OGB's layout that describes itself in ``meta.json``.

    Args:
        folder: where it is.
        in_store: whether it lies below ``ogb/`` of the data root or the mirror.

    Raises:
        InputError: ``meta.json`` is damaged or lacks a key.
    """
    try:
        meta = parse_json((folder / META).read_text(encoding="utf-8"), no_key_twice=True)
    except ValueError as error:
        raise InputError(f"{folder / META} is not JSON: {error}") from None
    name = folder.name.replace("_", "-")
    target = _target_of(folder)
    keys = _KEYS if target == "link" else _KEYS + _KEYS_OF_LABELS
    missing = [key for key in keys if not isinstance(meta, dict) or key not in meta]
    if missing:
        raise InputError(f"{folder / META} lacks {', '.join(map(repr, missing))}: see ogb's meta_dict")
    meta = {key: str(value) if isinstance(value, bool) else value for key, value in meta.items()}  # as ogb has them
    if meta.get("is hetero") == "True":
        raise InputError(f"{folder} holds several kinds of nodes; only graphs with one kind can be read")
    _check_names(folder, meta)
    split = str(meta["split"])
    key = f"ogb/{folder.name}" if in_store else f"ogb-folders/{folder.name}-{_state(folder)}"
    whole = (folder / "split" / split / WHOLE_SPLIT).is_file()
    source = OgbSource.of(name, target, {**_DEFAULTS, **meta}, key, whole_split=whole)
    return replace(source, origin=None if in_store else folder)


def is_saved_without_meta(folder: Path) -> bool:
    """Whether a folder looks like what ogb's ``DatasetSaver`` writes, which keeps its description elsewhere."""
    return (folder / "raw" / "data.npz").is_file() and any(folder.glob("RELEASE_v*.txt"))


def _check_names(folder: Path, meta: Mapping[str, Any]) -> None:
    """Refuse what is no text or number, and names of files and folders that lead elsewhere."""
    file = folder / META
    for key in (*_KEYS, *_KEYS_OF_LABELS, *_DEFAULTS):
        if not isinstance(meta.get(key, ""), str | int | float):
            raise InputError(f"{file} has {meta[key]!r} for {key!r}: give a text or a number, as in ogb's meta_dict")
    inside(folder / "split", str(meta["split"]), file)
    inside(folder, _release(meta), file)
    for kind in ("node", "edge"):
        names = meta.get(f"additional {kind} files", "None")
        for name in [] if names == "None" else str(names).split(","):
            inside(folder / "raw", name, file)


def _target(name: str) -> Target:
    return "graph" if name.startswith("ogbg") else "link" if name.startswith("ogbl") else "node"


def _target_of(folder: Path) -> Target:
    """What is predicted of a folder's own set: its labels tell, and its name where there are none."""
    found: list[Target] = [
        target
        for target in ("node", "graph")
        if any((folder / "raw" / f"{target}-label{ending}").is_file() for ending in (".npz", ".csv.gz"))
    ]
    return found[0] if len(found) == 1 else _target(folder.name)


def _release(meta: Mapping[str, Any]) -> str:
    return f"RELEASE_v{meta['version']}.txt"


def _raw_files(target: Target, meta: Mapping[str, Any], whole_split: bool) -> list[str]:
    labels = [] if target == "link" else [f"{target}-label"]
    if meta["binary"] == "True":
        files = [f"raw/{name}.npz" for name in ("data", *labels)]
    else:
        names = ["edge", "num-node-list", "num-edge-list", *labels]
        names += [f"{part}-feat" for part in ("node", "edge") if meta[f"has_{part}_attr"] == "True"]
        files = [f"raw/{name}.csv.gz" for name in names]
    ending = "pt" if target == "link" else "csv.gz"
    parts = [WHOLE_SPLIT] if whole_split else [f"{part}.{ending}" for part in ("train", "valid", "test")]
    return files + [f"split/{meta['split']}/{part}" for part in parts]


def _state(folder: Path) -> str:
    """Changes whenever a file of the folder does."""
    digest = hashlib.sha256(str(folder.resolve()).encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "processed" not in path.parts:
            status = path.stat()
            digest.update(f"{path.relative_to(folder)}|{status.st_size}|{status.st_mtime_ns}".encode())
    return digest.hexdigest()[:12]


def _ogb_class(target: Target) -> Any:
    with without_update_check():
        from ogb.graphproppred import PygGraphPropPredDataset
        from ogb.linkproppred import PygLinkPropPredDataset
        from ogb.nodeproppred import PygNodePropPredDataset
    return {"node": PygNodePropPredDataset, "graph": PygGraphPropPredDataset, "link": PygLinkPropPredDataset}[target]
