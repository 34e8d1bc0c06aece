"""TU graph classification sets (Morris et al., 2020, arXiv:2007.08663)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from gssl.datasets.assemble import Arrays, assemble
from gssl.datasets.catalog import DatasetSpec
from gssl.datasets.checksums import verify
from gssl.datasets.download import download
from gssl.datasets.prepare import origin_notes, prepared
from gssl.datasets.processed import Processed, read_processed
from gssl.datasets.source import PygSource
from gssl.datasets.store import Store
from gssl.datasets.types import Dataset
from gssl.datasets.unzip import safe_unzip

_URL = "https://www.chrsmrrs.com/graphkerneldatasets"


@dataclass(frozen=True, kw_only=True)
class TuSource(PygSource):
    """A TU set: raw text files, or the zip that holds them, ``TUDataset/<NAME>.zip``."""

    def adopt(self, place: Path, into: Path) -> bool:
        if super().adopt(place, into):
            return True
        archive = f"{self.folder}.zip"
        if not (place / archive).is_file():
            return False
        verify(archive, place / archive, place / archive)
        safe_unzip(place / archive, into / "raw", strip=1)
        return all((into / name).is_file() for name in self.raw)

    def download(self, into: Path) -> None:
        archive = into.with_suffix(".zip")
        download(f"{_URL}/{self.name}.zip", archive)
        verify(f"{self.folder}.zip", archive, archive)
        safe_unzip(archive, into / "raw", strip=1)


def load(spec: DatasetSpec, store: Store) -> Dataset:
    """Node and bond labels become one-hot columns; continuous attributes are left out, as in PyG's default."""
    source = TuSource(
        dataset="TUDataset",
        folder=f"TUDataset/{spec.name}",
        name=spec.name,
        raw=tuple(f"raw/{spec.name}_{part}.txt" for part in ("A", "graph_indicator", "graph_labels")),
    )
    stored = prepared(source, store, lambda folder: read_processed(folder / source.processed[0]))
    x = _labels_only(stored, "x", "num_node_attributes")
    notes = origin_notes(source, store)
    if stored.sizes.get("num_node_attributes", 0):
        notes += ("continuous node attributes left out, node labels kept",)
    return assemble(
        spec,
        Arrays(
            edge_index=stored.edge_index,
            x=x,
            y=stored.get("y"),
            num_nodes=stored.num_nodes,
            edge_attr=_labels_only(stored, "edge_attr", "num_edge_attributes"),
            ptr=stored.ptr,
            notes=notes,
        ),
    )


def _labels_only(stored: Processed, name: str, attributes: str) -> Tensor | None:
    values = stored.get(name)
    if values is None:
        return None
    values = values[:, stored.sizes.get(attributes, 0) :]
    return values if values.shape[1] else None
