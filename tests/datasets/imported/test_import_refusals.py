"""Refusals around an import: names, facts that come too late, and two imports at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gssl.common.errors import InputError
from gssl.datasets.declared import Declared
from gssl.datasets.imported.write import Imported, import_folder
from gssl.datasets.load import load_dataset
from gssl.datasets.store import Store


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A data root of the test's own."""
    monkeypatch.setenv("GSSL_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("GSSL_MIRROR", raising=False)
    return Store.locate()


def take(folder: Path, store: Store, name: str | None = None) -> Imported:
    """Import a small folder of arrays, which is made first."""
    folder = folder / "mine"
    folder.mkdir()
    rng = np.random.default_rng(0)
    np.save(folder / "edge_index.npy", rng.integers(0, 30, (2, 90)))
    np.save(folder / "x.npy", rng.random((30, 2), np.float32))
    return import_folder(folder, store, declared=Declared(undirected=True), memory_mib=8, name=name)


@pytest.mark.parametrize("name", ["../up", "a/b", ".."])
def test_names_that_lead_elsewhere(tmp_path: Path, store: Store, name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name"):
        take(tmp_path, store, name=name)


def test_papers_says_how_to_import_it() -> None:
    with pytest.raises(InputError, match="gssl data import FOLDER"):
        load_dataset("ogbn-papers100M")


def test_facts_are_declared_at_the_import(tmp_path: Path, store: Store) -> None:
    folder = take(tmp_path, store).folder
    for name in ("mine", folder):
        with pytest.raises(InputError, match="facts are declared when a graph is imported"):
            load_dataset(name, declared=Declared(undirected=False))


def test_two_imports_at_once(tmp_path: Path, store: Store) -> None:
    from filelock import FileLock

    (store.root / "imported").mkdir(parents=True)
    with (
        FileLock(store.root / "imported" / ".mine.lock"),
        pytest.raises(InputError, match="another process is importing"),
    ):
        take(tmp_path, store)
