"""MoleculeNet (Wu et al., 2018, arXiv:1703.00564): molecules from SMILES through PyG and RDKit."""

from __future__ import annotations

import csv
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from gssl.common.errors import InputError
from gssl.datasets import categories
from gssl.datasets.assemble import Arrays, assemble
from gssl.datasets.catalog import DatasetSpec
from gssl.datasets.prepare import origin_notes, prepared
from gssl.datasets.processed import read_processed
from gssl.datasets.raw_text import require_equal
from gssl.datasets.source import PygSource
from gssl.datasets.store import Store
from gssl.datasets.types import Dataset

_FILES = {
    "ESOL": "delaney-processed",
    "FreeSolv": "SAMPL",
    "Lipo": "Lipophilicity",
    "HIV": "HIV",
    "BACE": "bace",
    "BBBP": "BBBP",
    "Tox21": "tox21",
    "ToxCast": "toxcast_data",
    "SIDER": "sider",
    "ClinTox": "clintox",
}


@dataclass(frozen=True, kw_only=True)
class SmilesSource(PygSource):
    """A set that PyG reads with RDKit."""

    def process(self, folder: Path) -> None:
        if importlib.util.find_spec("rdkit") is None:
            raise InputError(f"{self.name} is read with RDKit, which is not installed: pip install 'gssl[chem]'")
        super().process(folder)

    def check(self, folder: Path, skipped: int) -> None:
        with (folder / self.raw[0]).open(encoding="utf-8", errors="replace", newline="") as file:
            lines = sum(any(row) for row in csv.reader(file)) - 1  # without the header
        read = read_processed(folder / self.processed[0]).num_graphs
        require_equal({"molecules": read + skipped}, {"molecules": lines}, folder / self.raw[0])


def load(spec: DatasetSpec, store: Store) -> Dataset:
    """Atom and bond categories become one-hot columns; labels that are missing stay NaN."""
    name = spec.name.lower()
    source = SmilesSource(
        dataset="MoleculeNet", folder=f"MoleculeNet/{name}", name=name, raw=(f"raw/{_FILES[spec.name]}.csv",)
    )
    stored = prepared(source, store, lambda folder: read_processed(folder / source.processed[0]))
    return assemble(
        spec,
        Arrays(
            edge_index=stored.edge_index,
            x=categories.atoms(stored.values["x"], categories.PYG),
            y=stored.get("y"),
            edge_attr=categories.bonds(stored.values["edge_attr"], categories.PYG),
            ptr=stored.ptr,
            notes=(*origin_notes(source, store), categories.NOTE),
            vocabulary=categories.PYG,
            smiles=tuple(stored.values.get("smiles", ())),
        ),
    )
