"""ZINC: the 12,000 molecules and the split of Dwivedi et al. (2020, arXiv:2003.00982)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

import torch

from gssl.datasets import categories
from gssl.datasets.assemble import Arrays, assemble
from gssl.datasets.catalog import DatasetSpec
from gssl.datasets.prepare import origin_notes, prepared
from gssl.datasets.processed import Processed, block_diagonal, read_processed
from gssl.datasets.raw_text import require_equal
from gssl.datasets.source import PygSource
from gssl.datasets.splits import preset_split
from gssl.datasets.store import Store
from gssl.datasets.types import Dataset

_PICKLES = ("raw/train.pickle", "raw/val.pickle", "raw/test.pickle")


@dataclass(frozen=True, kw_only=True)
class _Zinc(PygSource):
    def check(self, folder: Path, skipped: int) -> None:
        for part, stored in zip(("train", "val", "test"), _read(folder), strict=True):
            index = folder / f"raw/{part}.index"
            wanted = [int(number) for number in index.read_text(encoding="ascii").split(",")]
            require_equal({"molecules": stored.num_graphs}, {"molecules": len(wanted)}, index)


_SOURCE = _Zinc(
    dataset="ZINC",
    folder="ZINC",
    raw=(*_PICKLES, "raw/train.index", "raw/val.index", "raw/test.index"),
    processed=("subset/processed/train.pt", "subset/processed/val.pt", "subset/processed/test.pt"),
    pickled=_PICKLES,
    options={"subset": True},
)


def load(spec: DatasetSpec, store: Store) -> Dataset:
    """Atom and bond types become one-hot columns."""
    parts = prepared(_SOURCE, store, _read)
    edge_index, starts = block_diagonal(parts)
    ptrs = [part.ptr[:-1] + start for part, start in zip(parts, starts[:-1], strict=True)]
    sizes = [0, *accumulate(len(ptr) for ptr in ptrs)]
    items = [torch.arange(a, b) for a, b in pairwise(sizes)]
    bond_types = torch.cat([part.values["edge_attr"] for part in parts]).reshape(-1, 1)
    return assemble(
        spec,
        Arrays(
            edge_index=edge_index,
            x=categories.atoms(torch.cat([part.values["x"] for part in parts]), categories.ZINC),
            y=torch.cat([part.values["y"] for part in parts]),
            edge_attr=categories.bonds(bond_types, categories.ZINC),
            ptr=torch.cat([*ptrs, torch.tensor([starts[-1]])]),
            splits=(preset_split("preset", sizes[-1], *items),),
            notes=(*origin_notes(_SOURCE, store), categories.NOTE),
            vocabulary=categories.ZINC,
        ),
    )


def _read(folder: Path) -> list[Processed]:
    return [read_processed(folder / name) for name in _SOURCE.processed]
