"""TU graph classification sets (Morris et al., 2020, arXiv:2007.08663)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.assemble import Arrays, assemble
from gssl.datasets.catalog import DatasetSpec
from gssl.datasets.checksums import verify
from gssl.datasets.download import download
from gssl.datasets.prepare import origin_notes, prepared
from gssl.datasets.processed import Processed, read_processed
from gssl.datasets.raw_text import require_equal
from gssl.datasets.source import PygSource, copy_parts
from gssl.datasets.store import Store
from gssl.datasets.tu_files import TuCounts, checked_counts, require_numbers
from gssl.datasets.types import Dataset
from gssl.datasets.unzip import unpack_texts

_URL = "https://www.chrsmrrs.com/graphkerneldatasets"


@dataclass(frozen=True, kw_only=True)
class TuSource(PygSource):
    """A TU set: raw text files, or the zip that holds them, ``TUDataset/<NAME>.zip``.

    Attributes:
        origin: folder or zip of the raw files where they are not in a store.
        depth: folders in the zip around its files.
        without: raw files of ``origin`` that are left where they are.
    """

    origin: Path | None = None
    depth: int = 1
    without: tuple[str, ...] = ()

    def adopt(self, place: Path, into: Path) -> bool:
        if self.origin is not None:
            return self._take(self.origin, into / "raw")
        if super().adopt(place, into):
            return True
        archive = f"{self.folder}.zip"
        if not (place / archive).is_file():
            return False
        verify(archive, place / archive, place / archive)
        unpack_texts(place / archive, into / "raw")
        return all((into / name).is_file() for name in self.raw)

    def _take(self, origin: Path, raw: Path) -> bool:
        if origin.is_file():
            unpack_texts(origin, raw, strip=self.depth)
        else:
            copy_parts(origin, raw, tuple(path.name for path in origin.glob(f"{self.name}_*.txt")))
        for name in self.without:
            (raw.parent / name).unlink(missing_ok=True)
        if not all((raw.parent / name).is_file() for name in self.raw):
            raise InputError(f"{origin} lacks one of {', '.join(Path(name).name for name in self.raw)}: provide it")
        return True

    def download(self, into: Path) -> None:
        archive = into.with_suffix(".zip")
        download(f"{_URL}/{self.name}.zip", archive)
        verify(f"{self.folder}.zip", archive, archive)
        unpack_texts(archive, into / "raw")

    def process(self, folder: Path) -> None:
        raw, name = folder / "raw", Path(self.folder).name
        try:
            held = checked_counts(raw, name)
            try:
                super().process(folder)
            except ValueError:  # PyG names neither file nor line
                require_numbers(raw, name)
                raise
            stored = read_processed(folder / self.processed[0])
            found = TuCounts(stored.num_graphs, stored.num_nodes, stored.edge_index.shape[1])
            require_equal(vars(found), vars(held), raw)
        except InputError as error:
            if self.origin is None:
                raise
            raise InputError(str(error).replace(str(raw), str(self.origin))) from None  # not of the copy


def load(spec: DatasetSpec, store: Store) -> Dataset:
    """Node and bond labels become one-hot columns; continuous attributes serve only where there are no labels.

    PyG's default leaves them out in both cases.
    """
    targets = "graph_attributes" if spec.kind == "regression" else "graph_labels"
    source = TuSource(
        dataset="TUDataset", folder=f"TUDataset/{spec.name}", name=spec.name, raw=raw_files(spec.name, targets)
    )
    return assemble(spec, read_arrays(source, store))


def raw_files(name: str, *more: str) -> tuple[str, ...]:
    """The files that a set needs."""
    return tuple(f"raw/{name}_{part}.txt" for part in ("A", "graph_indicator", *more))


def read_arrays(source: TuSource, store: Store) -> Arrays:
    """The graphs of a set, with what should be said of them."""
    stored = prepared(source, store, lambda folder: read_processed(folder / source.processed[0]))
    x, node_notes = _labels_first(stored, "x", "node")
    edge_attr, edge_notes = _labels_first(stored, "edge_attr", "edge")
    return Arrays(
        edge_index=stored.edge_index,
        x=x,
        y=stored.get("y"),
        num_nodes=stored.num_nodes,
        edge_attr=edge_attr,
        ptr=stored.ptr,
        notes=(*origin_notes(source, store), *node_notes, *edge_notes),
    )


def _labels_first(stored: Processed, name: str, kind: str) -> tuple[Tensor | None, tuple[str, ...]]:
    """Columns that serve as features, or None; and what should be said about them."""
    values, attributes = stored.get(name), stored.sizes.get(f"num_{kind}_attributes", 0)
    if values is None or attributes == 0:
        return values, ()
    if values.shape[1] == attributes:
        return values, (f"continuous {kind} attributes serve as features: there are no {kind} labels",)
    return values[:, attributes:], (f"continuous {kind} attributes left out, {kind} labels kept",)
