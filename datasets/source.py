"""Where the raw files of one dataset come from, and what turns them into a processed set."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gssl.common.files import inside
from gssl.datasets.pickles import check_pickle
from gssl.datasets.raw_text import one_final_newline

_TEXTS = (".txt", ".csv", ".index")  # kinds of raw files of which PyG reads lines


class Source(ABC):
    """One dataset on disk.

    Every path below is relative to ``folder``, which has the same place below the data root and below a mirror.

    Attributes:
        folder: for example ``"Planetoid/Cora"``.
        raw: files that must be there before processing.
        processed: files that processing makes.
        parts: folders and files that belong to the raw data.
        origin: file or folder of the user's own that holds the raw files, where they are not in a store.
    """

    folder: str
    raw: tuple[str, ...]
    processed: tuple[str, ...]
    parts: tuple[str, ...] = ("raw",)
    origin: Path | None = None

    def adopt(self, place: Path, into: Path) -> bool:
        """Copy the raw files from a data root or mirror; False (and nothing copied) if they are not all there."""
        origin = place / self.folder
        if not all((origin / name).is_file() for name in self.raw):
            return False
        copy_parts(origin, into, self.parts)
        return True

    @abstractmethod
    def download(self, into: Path) -> None:
        """Fetch the raw files; any failure raises."""

    def inspect(self, folder: Path) -> None:  # noqa: B027  most formats cannot hurt
        """Look at raw files before a library reads them; raises InputError if they could do harm."""

    @abstractmethod
    def process(self, folder: Path) -> None:
        """Turn the raw files in ``folder`` into the processed ones."""

    def check(self, folder: Path, skipped: int) -> None:  # noqa: B027  most formats state no counts
        """Compare the processed files with the raw ones, so that no item is lost without a word.

        Args:
            folder: holds both.
            skipped: molecules that RDKit could not read, and that are said to be left out.

        Raises:
            InputError: there are more or fewer items than the raw files hold.
        """


def copy_parts(origin: Path, into: Path, parts: tuple[str, ...]) -> None:
    """Copy the named files and folders, as far as they exist; the copies are writable whatever the originals are.

    Raises:
        InputError: a name leads out of the folder.
    """
    for part in [inside(origin, part, origin) for part in parts]:
        found = part.rglob("*") if part.is_dir() else [part]
        for path in found:
            if path.is_file():
                target = into / path.relative_to(origin)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


@dataclass(frozen=True, kw_only=True)
class PygSource(Source):
    """A dataset that a class of ``torch_geometric.datasets`` downloads and processes.

    Attributes:
        dataset: name of that class.
        name: its argument ``name``, which is then also the last part of ``folder``; None if it takes none.
        pickled: raw files that PyG reads with the pickle module.
        options: further arguments of the class.
    """

    dataset: str
    folder: str
    raw: tuple[str, ...]
    processed: tuple[str, ...] = ("processed/data.pt",)
    name: str | None = None
    pickled: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def download(self, into: Path) -> None:
        import torch_geometric.datasets

        def stop(_: object) -> None:
            raise _Downloaded

        base = getattr(torch_geometric.datasets, self.dataset)
        try:
            self._make(type(self.dataset, (base,), {"process": stop}), into)
        except _Downloaded:
            shutil.rmtree(into / Path(self.processed[0]).parent, ignore_errors=True)

    def inspect(self, folder: Path) -> None:
        for name in self.pickled:
            check_pickle(folder / name)

    def process(self, folder: Path) -> None:
        import torch_geometric.datasets

        texts = [path for path in sorted((folder / "raw").glob("*")) if path.suffix in _TEXTS and path.is_file()]
        with one_final_newline(texts):
            self._make(getattr(torch_geometric.datasets, self.dataset), folder)

    def _make(self, dataset: Any, folder: Path) -> None:
        if self.name is None:
            dataset(str(folder), **self.options)
        else:
            dataset(str(folder.parent), self.name, **self.options)


class _Downloaded(Exception):  # noqa: N818  not an error: PyG's constructor is left after its download
    pass
