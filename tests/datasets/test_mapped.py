"""Graphs in folders of arrays: features stay in their file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from gssl.common.errors import InputError
from gssl.datasets.formats import npz_file
from gssl.datasets.load import load_dataset
from gssl.datasets.mapped import open_array
from gssl.graph.sparse import dense_features

EDGES = np.array([[0, 1, 2, 3], [1, 2, 0, 0]])
X = np.arange(12, dtype=np.float32).reshape(4, 3)
Y = np.array([0, 1, 0, 1])


def folder(root: Path, **arrays: Any) -> Path:
    path = root / "mine"
    path.mkdir(exist_ok=True)
    for key, array in {"edge_index": EDGES, "x": X, "y": Y, **arrays}.items():
        if array is not None:
            np.save(path / f"{key}.npy", array)
    return path


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GSSL_DATA", str(tmp_path / "root"))
    monkeypatch.delenv("GSSL_MIRROR", raising=False)
    return tmp_path


def test_a_folder_is_the_graph_of_the_npz(root: Path) -> None:
    masks = {f"{part}_mask": np.arange(4) == i for i, part in enumerate(("train", "val", "test"))}
    np.savez(root / "mine.npz", edge_index=EDGES, x=X, y=Y, edge_weight=np.ones(4), **masks)
    one = load_dataset(folder(root, edge_weight=np.ones(4), **masks))
    other = load_dataset(root / "mine.npz")
    assert (one.name, one.checksum, one.splits[0].hash) == (other.name, other.checksum, other.splits[0].hash)
    assert one.labels is not None
    assert one.labels.y.tolist() == Y.tolist()


def test_features_in_float32_are_those_of_the_file(root: Path) -> None:
    data = load_dataset(folder(root))
    with (root / "mine" / "x.npy").open("r+b") as file:  # a change shows, so nothing was copied
        file.seek(-4, 2)
        file.write(np.float32(99).tobytes())
    assert isinstance(data.graph.x, torch.Tensor)
    assert data.graph.x[3].tolist() == [9, 10, 99]


@pytest.mark.parametrize(
    "x",
    [X.astype(np.float64), X.astype(">f4"), X.astype(np.int16), np.asfortranarray(X)],
    ids=["float64", "big-endian", "int16", "columns"],
)
def test_other_features_are_converted(root: Path, x: np.ndarray) -> None:
    assert dense_features(load_dataset(folder(root, x=x)).graph.x).tolist() == X.tolist()


def test_features_that_would_have_to_be_converted_must_fit_the_memory(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = type("Memory", (), {"available": 40})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    with pytest.raises(InputError, match="save it as float32 in row order"):
        load_dataset(folder(root, x=X.astype(np.float16)))
    load_dataset(folder(root))


def test_an_npz_that_does_not_fit_the_memory_says_what_would(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(path: Path) -> None:
        raise InputError(f"{path} unpacks to 9.0 GB, more than the 1.0 GB allowed")

    monkeypatch.setattr(npz_file, "array_headers", check)
    np.savez(root / "mine.npz", edge_index=EDGES, x=X)
    with pytest.raises(InputError, match=r"folder with edge_index\.npy and x\.npy"):
        load_dataset(root / "mine.npz")


def test_features_without_numbers_in_some_places_are_refused(root: Path) -> None:
    x = np.zeros((70_000, 2), np.float32)
    x[66_000, 1], x[69_000] = np.nan, np.inf
    edges = np.array([[0], [69_999]])
    with pytest.raises(InputError, match=r"3 values .* in 2 rows and 2 columns, first at \(66000, 1\)"):
        load_dataset(folder(root, x=x, y=None, edge_index=edges))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.npy", b"", "damaged"),
        ("x.npy", b"\x93NUMPY\x01\x00junk", "damaged"),
        ("edge_index.npy", b"PK\x03\x04junk", "damaged"),
    ],
)
def test_damaged_files(root: Path, name: str, content: bytes, message: str) -> None:
    (folder(root) / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load_dataset(root / "mine")
    assert name in str(caught.value)


def test_a_file_that_is_shorter_than_it_says(root: Path) -> None:
    path = folder(root) / "x.npy"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match=r"x\.npy is damaged"):
        load_dataset(root / "mine")


def test_python_objects_are_never_loaded(root: Path) -> None:
    with pytest.raises(InputError, match="Python objects"):
        load_dataset(folder(root, x=np.array([{}, [], None, 1], dtype=object)))


def test_a_folder_without_edges_says_what_it_needs(root: Path) -> None:
    with pytest.raises(InputError, match=r"neither meta\.json .* nor edge_index\.npy"):
        load_dataset(root)


def test_degree_features_where_there_is_no_x(root: Path) -> None:
    data = load_dataset(folder(root, x=None))
    assert data.graph.num_nodes == 4
    assert any("degree features" in note for note in data.notes)


# Features of 512 MiB in a process that may allocate far less: load, train, embed every node layer by layer.
BOUNDED = r"""
import resource, sys
import numpy as np, torch
from gssl.datasets.load import load_dataset
from gssl.datasets.mapped import open_array
from gssl.methods.bgrl import BGRL
from gssl.models.gcn import GCN
from gssl.models.inference import embed_layerwise
from gssl.registry import SAMPLERS
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

torch.set_num_threads(1)

def work(folder):
    data = load_dataset(folder)
    graph = data.graph
    for name in ("graphsage", "minvar+adjoint"):
        method = BGRL(GCN(graph.in_dim, hidden_dim=4))
        options = {"norms": "online"} if name == "minvar+adjoint" else {}
        sampler = SAMPLERS.get(name)(graph, num_layers=2, batch_size=64, items=torch.arange(512), **options)
        losses = []
        watch = lambda loss: losses.append(loss) or len(losses) == 8
        pretrain(method, sampler, TrainConfig(epochs=9), seed=0, watch=watch)
    return embed_layerwise(method.encoder, graph, rows=2048)

def allocated():
    with open("/proc/self/status") as file:
        return 1024 * next(int(line.split()[1]) for line in file if line.startswith("VmData"))

small, large, room = sys.argv[1], sys.argv[2], int(sys.argv[3])
work(small)  # whatever is imported, compiled and started once
limit = allocated() + room
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
out = work(large)
print(tuple(out.shape), bool(out.isfinite().all()))
try:
    torch.from_numpy(np.load(large + "/x.npy", mmap_mode="r")).clone()
except (RuntimeError, MemoryError):
    print("a copy does not fit")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and limits allocations as Linux does")
@pytest.mark.filterwarnings("ignore")
def test_memory_does_not_grow_with_the_features(root: Path) -> None:
    for name, nodes in (("small", 4096), ("large", 1 << 17)):
        path = root / name
        path.mkdir()
        ring = np.arange(nodes)
        np.save(path / "edge_index.npy", np.stack([ring, (ring + 1) % nodes]))
        header = np.lib.format.open_memmap(path / "x.npy", mode="w+", dtype=np.float32, shape=(nodes, 1024))
        header[:8] = 1.0  # the rest are zeros that take no room on the disk
        del header
    room = 160 << 20
    assert (root / "large" / "x.npy").stat().st_size > 3 * room
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED, str(root / "small"), str(root / "large"), str(room)],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == [f"({1 << 17}, 4) True", "a copy does not fit"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.npy")
    with pytest.raises(InputError, match=r"x\.npy: it is no regular file"):
        open_array(tmp_path / "x.npy")
