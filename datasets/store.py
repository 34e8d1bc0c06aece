"""Where data lie: the writable data root and the read-only mirror (no tensor library is imported here)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from gssl.common.errors import InputError

META = "meta.json"
GRAPH = "gssl-graph.json"  # describes a graph that ``gssl data import`` wrote
IMPORTED = "imported"


@dataclass(frozen=True)
class Store:
    """The two places in which raw files are looked for before anything is downloaded.

    Both have the layout ``<family>/<name>/raw/...`` of PyG and OGB roots.

    Attributes:
        root: writable; raw files are copied here and processed sets stay here.
        mirror: never written to; None if there is none.
    """

    root: Path
    mirror: Path | None = None

    @classmethod
    def locate(cls, root: Path | None = None, mirror: Path | None = None) -> Store:
        """The given folders, else ``$GSSL_DATA`` (default: the user's cache folder) and ``$GSSL_MIRROR``.

        Raises:
            InputError: the mirror is not a folder.
        """
        root = root or _folder_variable("GSSL_DATA") or user_cache_path("gssl", appauthor=False)
        mirror = mirror or _folder_variable("GSSL_MIRROR")
        if mirror is not None and not mirror.is_dir():
            raise InputError(f"the mirror {mirror} is not a folder: correct GSSL_MIRROR or unset it")
        return cls(root.expanduser().absolute(), None if mirror is None else mirror.absolute())

    @property
    def places(self) -> tuple[Path, ...]:
        """The root, then the mirror, in order of lookup."""
        return (self.root,) if self.mirror is None else (self.root, self.mirror)

    def ogb_folders(self) -> dict[str, Path]:
        """Sets of the user's own in OGB's layout: name, for example ``ogbn-wordnet``, to the folder found first."""
        found: dict[str, Path] = {}
        for place in self.places:
            for meta in sorted((place / "ogb").glob(f"*/{META}")):
                found.setdefault(meta.parent.name.replace("_", "-"), meta.parent)
        return found

    def imported_folders(self) -> dict[str, Path]:
        """Graphs that ``gssl data import`` wrote below ``imported/``: name to the folder found first."""
        found: dict[str, Path] = {}
        for place in self.places:
            for file in sorted((place / IMPORTED).glob(f"*/{GRAPH}")):
                if not file.parent.name.startswith("."):
                    found.setdefault(file.parent.name, file.parent)
        return found


def _folder_variable(name: str) -> Path | None:
    value = os.environ.get(name)
    return Path(value).expanduser() if value else None
