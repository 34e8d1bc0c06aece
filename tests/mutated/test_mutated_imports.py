"""Imports of files that were damaged at random, and imported graphs whose files were: data, or one error.

As in ``test_mutated_files``, an input is made from its number alone.
"""

from __future__ import annotations

import gzip
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gssl.datasets.imported.write import import_folder
from gssl.datasets.load import load_dataset
from gssl.datasets.store import Store
from gssl.testing.damage import damaged_file, must_answer, numbers

USUAL = 10  # inputs of a kind
META = {
    "version": 1, "num tasks": 1, "task type": "multiclass classification", "eval metric": "acc", "num classes": 2,
    "add_inverse_edge": "True", "split": "random",
}  # fmt: skip
EDGES, X, Y = np.array([[0, 1, 2], [1, 2, 0]]), np.eye(3, dtype=np.float32), np.array([0, 1, 1])


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def _described(folder: Path, binary: str) -> Path:
    for part, ids in (("train", "0\n"), ("valid", "1\n"), ("test", "2\n")):
        _write(folder / "split" / "random" / f"{part}.csv.gz", ids)
    (folder / "meta.json").write_text(json.dumps({**META, "binary": binary}))
    return folder


def _tables(folder: Path) -> Path:
    texts = {"edge": "0,1\n1,2\n2,0\n", "node-feat": "1,0\n0,1\n1,1\n", "node-label": "0\n1\n1\n"}
    for name, text in {**texts, "num-node-list": "3\n", "num-edge-list": "3\n"}.items():
        _write(folder / "raw" / f"{name}.csv.gz", text)
    return _described(folder, "False")


def _archives(folder: Path) -> Path:
    (folder / "raw").mkdir(parents=True)
    count = np.array([3])
    np.savez(folder / "raw" / "data.npz", edge_index=EDGES, node_feat=X, num_nodes_list=count, num_edges_list=count)
    np.savez(folder / "raw" / "node-label.npz", node_label=Y.reshape(-1, 1))
    return _described(folder, "True")


def _arrays(folder: Path) -> Path:
    folder.mkdir(parents=True)
    masks = {f"{part}_mask": np.arange(3) == i for i, part in enumerate(("train", "val", "test"))}
    for key, value in {"edge_index": EDGES, "x": X, "y": Y, **masks}.items():
        np.save(folder / f"{key}.npy", value)
    return folder


SOURCES: dict[str, Callable[[Path], Path]] = {"tables": _tables, "archives": _archives, "arrays": _arrays}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("GSSL_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("GSSL_MIRROR", raising=False)
    return Store.locate()


def _damage(folder: Path, number: int) -> None:
    rng = random.Random(number)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    path = rng.choice(files)
    path.write_bytes(damaged_file(path.name, path.read_bytes(), rng))


@pytest.mark.parametrize("kind", SOURCES)
def test_imports(kind: str, tmp_path: Path, store: Store, record_property: Callable[[str, object], None]) -> None:
    record_property("inputs", len(numbers(USUAL)))
    for number in numbers(USUAL):
        for folder in (tmp_path / "source", store.root):
            shutil.rmtree(folder, ignore_errors=True)
        source = SOURCES[kind](tmp_path / "source" / "ogbn_mine")
        _damage(source, number)

        def work(source: Path = source) -> None:
            load_dataset(import_folder(source, store, memory_mib=8).folder).graph.full_batch()

        must_answer(work, f"input {number} of {kind}")


@pytest.mark.parametrize("kind", SOURCES)
def test_what_is_whole_is_imported(kind: str, tmp_path: Path, store: Store) -> None:
    import_folder(SOURCES[kind](tmp_path / "ogbn_mine"), store, memory_mib=8)
    data = load_dataset("ogbn-mine" if kind != "arrays" else "ogbn_mine")
    assert (data.graph.num_nodes, data.splits[0].test.tolist()) == (3, [2])


def test_imported_graphs(tmp_path: Path, store: Store, record_property: Callable[[str, object], None]) -> None:
    whole = import_folder(_arrays(tmp_path / "mine"), store, memory_mib=8).folder
    record_property("inputs", len(numbers(USUAL)))
    for number in numbers(USUAL):
        folder = tmp_path / "copies" / str(number)
        shutil.copytree(whole, folder)
        _damage(folder, number)
        must_answer(lambda folder=folder: load_dataset(folder), f"input {number}")  # type: ignore[misc]  # at once
