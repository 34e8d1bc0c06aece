"""Molecules from tables of SMILES: files of the user's own, and MOSES."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from gssl.common.errors import InputError
from gssl.datasets import categories
from gssl.datasets.array_names import refuse_splits
from gssl.datasets.assemble import default_metric
from gssl.datasets.catalog import DatasetSpec
from gssl.datasets.checksums import dataset_checksum, file_hash
from gssl.datasets.declared import NOTHING, Declared
from gssl.datasets.download import download
from gssl.datasets.labels import OwnLabels, labelled_only, own_labels
from gssl.datasets.molecule_codes import Molecules, read_molecules, require_rdkit
from gssl.datasets.own_splits import own_splits
from gssl.datasets.prepare import origin_notes, prepared
from gssl.datasets.smiles_table import read_table, suffix_of
from gssl.datasets.source import Source, copy_parts
from gssl.datasets.splits import mask_splits
from gssl.datasets.store import Store
from gssl.datasets.types import Dataset, Split
from gssl.graph.block import Block
from gssl.graph.sparse import Pattern, index_dtype
from gssl.graph.storage import Graph

_MOSES = "https://github.com/molecularsets/moses/raw/master/moses/dataset/data/train.csv.gz"
_MOSES_ROWS = 250_000
_PROCESSED = "processed/molecules-2.npz"  # another number for other contents
_ARRAYS = ("sizes", "atoms", "degrees", "neighbors", "bonds")
_PARTS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class MoleculeFile(Source):
    """A table of SMILES.

    Attributes:
        origin: folder of the table where it is not in a store.
        address: where a table can be fetched whose first column, cut to ``rows`` rows, it is; empty if nowhere.
        rows: see ``address``.
    """

    folder: str
    raw: tuple[str, ...]
    parts: tuple[str, ...]
    origin: Path | None = None
    address: str = ""
    rows: int = 0
    processed: tuple[str, ...] = (_PROCESSED,)

    def adopt(self, place: Path, into: Path) -> bool:
        folder = self.origin or place / self.folder
        if not (folder / self.raw[0]).is_file():
            return False
        copy_parts(folder, into, self.parts)
        return True

    def download(self, into: Path) -> None:
        whole, table = into / "whole.csv.gz", into / self.raw[0]
        download(self.address, whole)
        table.parent.mkdir(parents=True, exist_ok=True)
        pd.read_csv(whole, nrows=self.rows).iloc[:, :1].to_csv(table, index=False)
        whole.unlink()

    def process(self, folder: Path) -> None:
        require_rdkit(Path(self.raw[0]).name)
        table = read_table(folder / self.raw[0])
        molecules = read_molecules(table.smiles)
        if len(molecules.sizes) == 0:
            raise InputError(
                f"none of its {len(table.smiles)} molecules can be used ({'; '.join(_left_out(molecules))})"
            )
        splits, read = own_splits(table.splits, len(table.smiles))
        refuse_splits(sorted(set(table.splits) - set(read)))
        part = np.zeros(len(table.smiles), dtype=np.uint8)
        for split in splits:
            for number, name in enumerate(_PARTS, start=1):
                part[getattr(split, name).numpy()] = number
        notes = (f"the split is read from {', '.join(dict.fromkeys(read))}",) if read else ()
        (folder / _PROCESSED).parent.mkdir()
        np.savez(
            folder / _PROCESSED,
            **{name: getattr(molecules, name) for name in _ARRAYS},
            smiles=np.frombuffer("\n".join(table.smiles[i] for i in molecules.kept).encode(), dtype=np.uint8),
            labels=np.array([column[molecules.kept] for column in table.columns.values()], dtype=np.float64),
            classes=np.array([table.classes[i] for i in molecules.kept] if table.classes else [], dtype=str),
            label=np.array(table.label),
            part=part[molecules.kept] if splits else part[:0],
            notes=np.array([*_left_out(molecules), *table.notes, *notes], dtype=str),
        )


def load(spec: DatasetSpec, store: Store) -> Dataset:
    """MOSES (Polykovskiy et al., 2020, arXiv:1811.12823): the first 250,000 molecules of its training set."""
    raw = ("raw/smiles.csv.gz",)
    source = MoleculeFile(folder="MOSES", raw=raw, parts=raw, address=_MOSES, rows=_MOSES_ROWS)
    return _load(source, store, spec.name)


def load_file(path: Path, store: Store, declared: Declared = NOTHING) -> Dataset:
    """A table of the user's own.

    What was read of it is kept in the data root, and serves any file with the same name and content. Of what can be
    declared, the kind of its labels and their metric matter.

    Raises:
        InputError: no column of SMILES, no molecule that can be used, damage, or labels that are none.
    """
    name = path.name[: -len(suffix_of(path.name) or "")]
    folder, raw = f"molecule-files/{name}-{file_hash(path)[:16]}", (path.name,)
    return _load(MoleculeFile(folder=folder, raw=raw, parts=raw, origin=path.absolute().parent), store, name, declared)


def _load(source: MoleculeFile, store: Store, name: str, declared: Declared = NOTHING) -> Dataset:
    for fact in ("undirected", "normalize", "target_type", "meta_paths"):
        if getattr(declared, fact) is not None:
            raise InputError(f"{fact} has no meaning for molecules: leave it out")
    arrays = prepared(source, store, _read)
    graph = _graph(arrays)
    values = arrays["classes"].tolist() or list(arrays["labels"].T)
    found = (
        OwnLabels(None)
        if len(values) == 0
        else own_labels(values, graph.num_graphs, kind=declared.task, what=arrays["label"].item())
    )
    splits, without = labelled_only(_splits(arrays["part"]), found.labels, refuse=found.by_minus_one)
    return Dataset(
        name=name,
        level="graph",
        graph=graph,
        labels=found.labels,
        splits=splits,
        metric=declared.metric or default_metric(found.labels),
        notes=(*origin_notes(source, store), *arrays["notes"].tolist(), categories.NOTE, *found.notes, *without),
        checksum=dataset_checksum(graph, found.labels),
        vocabulary=categories.PYG,
        smiles=tuple(arrays["smiles"].tobytes().decode().split("\n")),
        declared=declared.mapping(),
    )


def _read(folder: Path) -> dict[str, np.ndarray]:
    path = folder / _PROCESSED
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in (*_ARRAYS, "smiles", "labels", "classes", "label", "part", "notes")}
    except PermissionError:
        raise
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(f"{path} is damaged ({type(error).__name__}: {error}): delete its folder") from None


def _graph(arrays: dict[str, np.ndarray]) -> Graph:
    """The molecules side by side; what is read was made here, so nothing of it needs to be checked or sorted."""
    sizes, degrees = torch.from_numpy(arrays["sizes"]), torch.from_numpy(arrays["degrees"])
    ptr, rowptr = (torch.cat([torch.zeros(1, dtype=torch.int64), x.cumsum(0)]) for x in (sizes, degrees))
    num_nodes, num_edges = int(ptr[-1]), int(rowptr[-1])
    dtype = index_dtype(num_nodes, num_edges)
    bonds_of_graph = rowptr[ptr].diff()
    first = ptr[:-1].to(dtype).repeat_interleave(bonds_of_graph, output_size=num_edges)
    pattern = Pattern(rowptr.to(dtype), torch.from_numpy(arrays["neighbors"]).to(dtype) + first, num_nodes)
    bonds = categories.small_bonds(torch.from_numpy(arrays["bonds"]), categories.PYG)
    return Graph(
        Block(pattern, edge_attr=bonds), categories.atoms(torch.from_numpy(arrays["atoms"]), categories.PYG), ptr
    )


def _splits(part: np.ndarray) -> tuple[Split, ...]:
    """The split of the file's own, from the number of each molecule's part; 0 is none."""
    if len(part) == 0:
        return ()
    own = torch.from_numpy(part)
    return mask_splits("preset", *(own == number for number in range(1, len(_PARTS) + 1)))


def _left_out(molecules: Molecules) -> list[str]:
    said = {
        "that RDKit cannot read": molecules.unreadable,
        "with atoms or bonds that the vocabulary does not know": molecules.foreign,
    }
    return [f"{count} molecules left out {why}" for why, count in said.items() if count]
