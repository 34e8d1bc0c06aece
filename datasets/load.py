"""A dataset by name or path."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from gssl.common.errors import InputError, unknown
from gssl.common.resolve import load as load_component
from gssl.datasets.catalog import DATASETS, find_spec
from gssl.datasets.convert import as_dataset
from gssl.datasets.declared import NOTHING, Declared
from gssl.datasets.generators import generate
from gssl.datasets.imported.read import load_imported
from gssl.datasets.ogb_sets import load_folder
from gssl.datasets.store import Store
from gssl.datasets.types import Dataset
from gssl.datasets.user import SUFFIXES, load_path
from gssl.graph.precision import single_precision


@single_precision()
def load_dataset(
    name_or_path: str | os.PathLike[str],
    *,
    declared: Declared = NOTHING,
    root: Path | None = None,
    mirror: Path | None = None,
) -> Dataset:
    """Load a dataset.

    Args:
        name_or_path: a name of the catalog (case does not matter); a generator with options, such as
            ``csbm:nodes=10000,classes=5``; an installed plug-in's name; ``package.module:function`` that returns a
            dataset, or a graph of networkx or PyG; the name of a folder below ``ogb/`` of the data root or mirror that
            has a ``meta.json``; the name of a graph that ``gssl data import`` wrote, which then stands for a set of
            the catalog, too; or the path of a file or folder of a kind that :mod:`gssl.datasets.user` reads.
        declared: what is known of data of the user's own.
        root: data root; None for ``$GSSL_DATA``, whose default is the user's cache folder.
        mirror: read-only folder in which raw files are looked for before they are downloaded; None for
            ``$GSSL_MIRROR``.

    Raises:
        InputError: unknown name, no such file, unusable data, no way to get the raw files, no permission or
            space to write to the data root, or facts declared about data that are known.
    """
    text = os.fspath(name_or_path)
    store = Store.locate(root, mirror)
    head, colon, options = text.partition(":")
    spec = find_spec(head)
    if spec is not None and declared != NOTHING:
        raise InputError(
            f"{spec.name} is known, so {', '.join(declared.mapping())} cannot be declared (--data): that is for "
            "data of your own"
        )
    if spec is not None and spec.family == "generator":
        return generate(spec.name, DATASETS.get(spec.name), options, partial(load_dataset, root=root, mirror=mirror))
    imported = {} if colon else {name.lower(): folder for name, folder in store.imported_folders().items()}
    if (head if spec is None else spec.name).lower() in imported and not _looks_like_path(text):
        if declared != NOTHING:
            raise InputError(
                f"facts are declared when a graph is imported, so leave out {', '.join(declared.mapping())}"
            )
        return load_imported(imported[text.lower()], store)
    if spec is not None and not colon:
        dataset: Dataset = load_component(spec.loader, "dataset")(spec, store)
        return dataset
    if _looks_like_path(text):
        if not Path(text).expanduser().exists() and _is_of_a_family(text):
            raise unknown("dataset", text, DATASETS.names())
        return load_path(Path(text).expanduser(), store, declared)
    if ":" in text or text.lower() in {name.lower() for name in DATASETS.names()}:
        return _plug_in(text, declared)
    folders = {name.lower(): folder for name, folder in store.ogb_folders().items()}
    if text.lower() in folders:
        return load_folder(folders[text.lower()], store, in_store=True)
    if Path(text).exists():
        return load_path(Path(text), store, declared)
    raise unknown("dataset", text, [*DATASETS.names(), *folders, *imported])


def _looks_like_path(text: str) -> bool:
    return os.sep in text or "/" in text or text.startswith("~") or text.lower().endswith(SUFFIXES)


def _is_of_a_family(text: str) -> bool:
    """Whether names of the catalog begin as this one does, up to a slash: ``HeCo/amc``."""
    family = text.lower().partition("/")[0]
    return any(name.lower().startswith(f"{family}/") for name in DATASETS.names())


def _plug_in(name: str, declared: Declared) -> Dataset:
    made = DATASETS.get(name)()
    try:
        return as_dataset(made, name="" if isinstance(made, Dataset) else name.rpartition(":")[2], declared=declared)
    except InputError as error:
        raise InputError(f"dataset {name!r}: {error}") from None
