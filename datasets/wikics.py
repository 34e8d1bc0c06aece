"""WikiCS with its 20 splits (Mernyei and Cangea, 2020, arXiv:2007.02901)."""

from __future__ import annotations

from gssl.datasets.assemble import Arrays, assemble
from gssl.datasets.catalog import DatasetSpec
from gssl.datasets.prepare import origin_notes, prepared
from gssl.datasets.processed import read_processed
from gssl.datasets.source import PygSource
from gssl.datasets.splits import mask_splits
from gssl.datasets.store import Store
from gssl.datasets.types import Dataset

_SOURCE = PygSource(
    dataset="WikiCS",
    folder="WikiCS",
    raw=("raw/data.json",),
    processed=("processed/data_undirected.pt",),
    options={"is_undirected": True},
)


def load(spec: DatasetSpec, store: Store) -> Dataset:
    """The 20 splits differ in training and validation nodes and share their test nodes."""
    data = prepared(_SOURCE, store, lambda folder: read_processed(folder / _SOURCE.processed[0])).values
    return assemble(
        spec,
        Arrays(
            edge_index=data["edge_index"],
            x=data["x"],
            y=data["y"],
            splits=mask_splits("preset", data["train_mask"], data["val_mask"], data["test_mask"]),
            notes=(*origin_notes(_SOURCE, store), "links made undirected"),
        ),
    )
