"""Planetoid: Cora, CiteSeer and PubMed with the public split (Yang et al., 2016, arXiv:1603.08861)."""

from __future__ import annotations

from gssl.datasets.assemble import Arrays, assemble
from gssl.datasets.catalog import DatasetSpec
from gssl.datasets.prepare import origin_notes, prepared
from gssl.datasets.processed import read_processed
from gssl.datasets.source import PygSource
from gssl.datasets.splits import mask_splits
from gssl.datasets.store import Store
from gssl.datasets.types import Dataset

_PARTS = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")


def load(spec: DatasetSpec, store: Store) -> Dataset:
    """Features are stored as in the files; the catalog has them divided by their row sums."""
    files = tuple(f"raw/ind.{spec.name.lower()}.{part}" for part in _PARTS)
    source = PygSource(
        dataset="Planetoid",
        folder=f"Planetoid/{spec.name}",
        name=spec.name,
        raw=files,
        pickled=tuple(file for file in files if not file.endswith("index")),
    )
    data = prepared(source, store, lambda folder: read_processed(folder / source.processed[0])).values
    splits = mask_splits("public", data["train_mask"], data["val_mask"], data["test_mask"])
    return assemble(
        spec,
        Arrays(
            edge_index=data["edge_index"],
            x=data["x"],
            y=data["y"],
            splits=splits,
            notes=origin_notes(source, store),
        ),
    )
