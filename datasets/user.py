"""The user's own graphs from files and folders of many formats; each has a reader of its own in ``formats``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from gssl.common.errors import InputError
from gssl.datasets.declared import NOTHING, Declared, beside
from gssl.datasets.formats import (
    arrays_folder,
    edge_table,
    mat_file,
    molecule_table,
    network_file,
    npz_file,
    torch_file,
    tu_set,
)
from gssl.datasets.imported.read import load_imported
from gssl.datasets.nodes_beside import LISTS, TABLES
from gssl.datasets.ogb_sets import load_folder
from gssl.datasets.ogb_source import is_saved_without_meta
from gssl.datasets.smiles_table import SUFFIXES as MOLECULES
from gssl.datasets.store import GRAPH, META, Store
from gssl.datasets.types import Dataset

Reader = Callable[[Path, Store, Declared], Dataset]


def _without_store(read: Callable[[Path, Declared], Dataset]) -> Reader:
    return lambda path, store, declared: read(path, declared)


# The first suffix with which a name ends decides.
READERS: dict[str, Reader] = {
    ".npz": _without_store(npz_file.read),
    **dict.fromkeys((".pt", ".pth"), _without_store(torch_file.read)),
    **dict.fromkeys(MOLECULES, molecule_table.read),
    **dict.fromkeys((".tsv", ".tsv.gz"), _without_store(edge_table.read_table)),
    **dict.fromkeys(LISTS, _without_store(edge_table.read_list)),
    **dict.fromkeys((".gml", ".gexf", ".graphml", ".adjlist", ".json"), _without_store(network_file.read)),
    ".mat": _without_store(mat_file.read),
    ".zip": tu_set.read_zip,
}
SUFFIXES = tuple(READERS)
CONVERTING = (
    "for any other kind write a function in my_file.py that returns a graph of networkx or PyG, or "
    "gssl.datasets.convert.from_networkx(graph, x=..., y=...), and give my_file:function in place of the path"
)


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
        told, notes = beside(path)
        facts = said.over(told)
        suffix = next((suffix for suffix in READERS if path.name.lower().endswith(suffix)), None)
        if path.is_dir() or suffix is not None:
            read = _load_folder if path.is_dir() else READERS[str(suffix)]
            found = read(path, store, facts)
            return replace(found, notes=(*notes, *found.notes)) if notes else found
    except PermissionError:
        raise InputError(f"{path} may not be read: change its permissions") from None
    except InputError as error:
        raise error if str(path) in str(error) else InputError(f"{path}: {error}") from None
    raise InputError(f"{path} is of no known kind: known are {', '.join(SUFFIXES)}; {CONVERTING}")


def _load_folder(path: Path, store: Store, facts: Declared) -> Dataset:
    if (path / GRAPH).is_file():
        if facts != NOTHING:
            raise InputError(f"facts are declared when a graph is imported, so leave out {', '.join(facts.mapping())}")
        return load_imported(path, store)
    if (path / META).is_file():
        if facts != NOTHING:
            raise InputError(f"{META} says what the data are, so leave out {', '.join(facts.mapping())}")
        return load_folder(path.absolute(), store, in_store=False)
    if arrays_folder.is_one(path):
        return arrays_folder.read(path, facts)
    if tu_set.name_in(path) is not None:
        return tu_set.read_folder(path, store, facts)
    tables = [path / f"edges{end}" for end in TABLES if (path / f"edges{end}").is_file()]
    if tables:
        return edge_table.read_table(tables[0], facts)
    if is_saved_without_meta(path):
        raise InputError(
            f"the folder {path} is as ogb's DatasetSaver writes it, but has no {META}: write what its get_meta_dict() "
            f"returns there, with json.dump(saver.get_meta_dict(), open('{META}', 'w'))"
        )
    raise InputError(
        f"the folder {path} has neither {META} (OGB's layout) nor edge_index.npy, edges.csv or NAME_A.txt (TU): write "
        "edge_index.npy (2, num_edges) and x.npy (num_nodes, features) with numpy.save"
    )
