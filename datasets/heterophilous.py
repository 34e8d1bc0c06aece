"""Heterophilous graphs with 10 splits each (Platonov et al., 2023, arXiv:2302.11640)."""

from __future__ import annotations

from gssl.datasets.assemble import Arrays, assemble
from gssl.datasets.catalog import DatasetSpec
from gssl.datasets.prepare import origin_notes, prepared
from gssl.datasets.processed import read_processed
from gssl.datasets.source import PygSource
from gssl.datasets.splits import mask_splits
from gssl.datasets.store import Store
from gssl.datasets.types import Dataset


def load(spec: DatasetSpec, store: Store) -> Dataset:
    """PyG makes the graphs undirected."""
    name = spec.name.lower().replace("-", "_")
    source = PygSource(
        dataset="HeterophilousGraphDataset",
        folder=f"HeterophilousGraphDataset/{name}",
        name=name,
        raw=(f"raw/{name}.npz",),
    )
    data = prepared(source, store, lambda folder: read_processed(folder / source.processed[0])).values
    return assemble(
        spec,
        Arrays(
            edge_index=data["edge_index"],
            x=data["x"],
            y=data["y"],
            splits=mask_splits("preset", data["train_mask"], data["val_mask"], data["test_mask"]),
            notes=origin_notes(source, store),
        ),
    )
