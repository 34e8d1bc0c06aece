"""Tables of SMILES, which become molecules; other tables with the same endings hold edges."""

from __future__ import annotations

from pathlib import Path

from gssl.datasets.declared import Declared
from gssl.datasets.formats.edge_table import header, read_table
from gssl.datasets.smiles import load_file
from gssl.datasets.store import Store
from gssl.datasets.types import Dataset


def read(path: Path, store: Store, declared: Declared) -> Dataset:
    """A dataset from a table: of molecules if a column is called smiles or is the only one, else of edges.

    Raises:
        InputError: damaged, or neither.
    """
    if ".smi" in path.name.lower() or _has_smiles(header(path)):
        return load_file(path, store, declared)
    return read_table(path, declared)


def _has_smiles(columns: list[str]) -> bool:
    return len(columns) == 1 or "smiles" in (name.lower() for name in columns)
