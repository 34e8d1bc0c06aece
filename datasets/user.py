"""The user's own graphs from files: ``graph.npz``, a saved PyG ``Data``, SMILES, a folder of arrays or of OGB's."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from gssl.common.errors import InputError
from gssl.datasets.array_names import NAMES, is_read
from gssl.datasets.convert import as_dataset, from_arrays
from gssl.datasets.declared import NOTHING, Declared, beside
from gssl.datasets.mapped import open_array
from gssl.datasets.ogb_sets import load_folder
from gssl.datasets.pickles import load_tensors
from gssl.datasets.smiles import load_file
from gssl.datasets.smiles_table import SUFFIXES as TABLE_SUFFIXES
from gssl.datasets.smiles_table import suffix_of
from gssl.datasets.store import META, Store
from gssl.datasets.types import Dataset
from gssl.datasets.unzip import check_fits_memory, is_zip

TENSOR_SUFFIXES = (".pt", ".pth")
SUFFIXES = (".npz", *TENSOR_SUFFIXES, *TABLE_SUFFIXES)


def load_path(path: Path, store: Store, said: Declared = NOTHING) -> Dataset:
    """A dataset from a file or folder of the user's own.

    Args:
        path: where it is.
        store: where what was read of it may be kept.
        said: what is declared of it, stronger than the JSON beside the file (``graph.npz.json``), which is stronger
            than scalars in it.

    Raises:
        InputError: nothing is there, its kind is unknown, or its content is damaged, hostile or no graph.
    """
    if not path.exists():
        raise InputError(f"there is no file or folder {path}: give a dataset's name or the path of a graph")
    try:
        facts = said.over(beside(path))
        if path.is_dir():
            if (path / META).is_file():
                if facts != NOTHING:
                    raise InputError(f"{META} says what the data are, so leave out {', '.join(facts.mapping())}")
                return load_folder(path.absolute(), store, in_store=False)
            values, others = load_arrays(path)
            return from_arrays(values, name=path.resolve().name, declared=facts, others=others)
        if path.suffix.lower() == ".npz":
            values, others = load_npz(path)
            return from_arrays(values, name=path.stem, declared=facts, others=others)
        if suffix_of(path.name) is not None:
            return load_file(path, store, facts)
        if path.suffix.lower() in TENSOR_SUFFIXES:
            return as_dataset(load_tensors(path), name=path.stem, declared=facts)
    except PermissionError:
        raise InputError(f"{path} may not be read: change its permissions") from None
    except InputError as error:
        raise error if str(path) in str(error) else InputError(f"{path}: {error}") from None
    raise InputError(f"{path} is of no known kind: save the graph as {', '.join(SUFFIXES)}")


def load_arrays(folder: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The arrays of a graph, each in a file ``<key>.npy``, without reading what is in them; and names of other arrays.

    Features in float32 stay in their file, from which batches take their rows, so they may exceed the memory.

    Raises:
        InputError: there is no ``edge_index.npy``, or a file is damaged or holds Python objects.
    """
    files = {path.stem: path for path in sorted(folder.glob("*.npy"))}
    if not files.keys() & {"edge_index", *NAMES["edge_index"]}:
        raise InputError(
            f"the folder {folder} has neither {META} (OGB's layout) nor edge_index.npy: write edge_index.npy "
            "(2, num_edges) and x.npy (num_nodes, features) with numpy.save"
        )
    return {key: open_array(path) for key, path in files.items() if is_read(key)}, _not_read(files)


def load_npz(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The arrays of a graph, and the names of other arrays; pickled objects are refused.

    Raises:
        InputError: damaged, larger than the memory, or an array holds Python objects.
    """
    if not is_zip(path):
        raise InputError(f"{path} is not an npz file: write it with numpy.savez(path, edge_index=..., x=..., y=...)")
    try:
        check_fits_memory(path)
    except InputError as error:
        advice = "numpy cannot map arrays inside an npz, so save the graph as a folder with edge_index.npy and x.npy"
        raise InputError(f"{error}; {advice}" if "unpacks to" in str(error) else str(error)) from None
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files if is_read(key)}, _not_read(archive.files)
    except Exception as error:  # a damaged file can fail in any way
        if "allow_pickle" in str(error):
            raise InputError(
                f"{path} holds Python objects (dtype object), which are never loaded: save plain numbers"
            ) from None
        raise InputError(f"{path} is damaged ({type(error).__name__}: {error}): save it again") from None


def _not_read(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if not is_read(name))
