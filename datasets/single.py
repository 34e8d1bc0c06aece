"""Larger graphs with one preset split: PPI, Reddit (Hamilton et al., 2017, arXiv:1706.02216), Flickr and Yelp
(Zeng et al., 2020, arXiv:1907.04931).
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch

from gssl.datasets.assemble import Arrays, assemble
from gssl.datasets.catalog import DatasetSpec
from gssl.datasets.prepare import origin_notes, prepared
from gssl.datasets.processed import Processed, block_diagonal, read_processed
from gssl.datasets.source import PygSource
from gssl.datasets.splits import mask_splits, preset_split
from gssl.datasets.store import Store
from gssl.datasets.types import Dataset

_SAINT = ("raw/adj_full.npz", "raw/feats.npy", "raw/class_map.json", "raw/role.json")
_RAW = {
    "Reddit": ("raw/reddit_data.npz", "raw/reddit_graph.npz"),
    "Flickr": _SAINT,
    "Yelp": _SAINT,
    "PPI": tuple(
        f"raw/{split}_{part}"
        for split in ("train", "valid", "test")
        for part in ("feats.npy", "graph_id.npy", "graph.json", "labels.npy")
    ),
}
_THREE = ("processed/train.pt", "processed/val.pt", "processed/test.pt")


def load(spec: DatasetSpec, store: Store) -> Dataset:
    """PPI's 24 graphs become one block-diagonal graph whose split keeps whole graphs together."""
    processed = _THREE if spec.name == "PPI" else ("processed/data.pt",)
    source = PygSource(dataset=spec.name, folder=spec.name, raw=_RAW[spec.name], processed=processed)

    def read(folder: Path) -> list[Processed]:
        return [read_processed(folder / name) for name in processed]

    parts = prepared(source, store, read)
    arrays = _one(parts[0], origin_notes(source, store)) if len(parts) == 1 else _inductive(parts, source, store)
    return assemble(spec, arrays)


def _one(stored: Processed, notes: tuple[str, ...]) -> Arrays:
    data = stored.values
    splits = mask_splits("preset", data["train_mask"], data["val_mask"], data["test_mask"])
    return Arrays(edge_index=data["edge_index"], x=data["x"], y=data["y"], splits=splits, notes=notes)


def _inductive(parts: list[Processed], source: PygSource, store: Store) -> Arrays:
    edge_index, starts = block_diagonal(parts)
    items = [torch.arange(a, b) for a, b in pairwise(starts)]
    return Arrays(
        edge_index=edge_index,
        x=torch.cat([part.values["x"] for part in parts]),
        y=torch.cat([part.values["y"] for part in parts]),
        splits=(preset_split("preset", starts[-1], *items),),
        notes=(*origin_notes(source, store), "training, validation and test graphs side by side, without common edges"),
    )
