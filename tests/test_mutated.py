"""Files that were damaged at random: every reader answers with data or with one InputError, never with a traceback.

``GSSL_MUTATED=5000`` sets how many inputs each kind gets (a few by default). An input is made from its number alone, so
the number in a failure is enough to see it again.
"""

import contextlib
import gzip
import json
import os
import pickle
import random
import shutil
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import networkx as nx
import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp
import torch
from torch_geometric.data import Data, InMemoryDataset

from gssl.benchmarks.report.folders import projection, run_files
from gssl.benchmarks.report.sample import row, run_folder
from gssl.common import yaml_io
from gssl.common.errors import InputError
from gssl.datasets.load import load_dataset

COUNT = int(os.environ.get("GSSL_MUTATED", "12"))
SECONDS = 60  # for one input
TOKENS = (
    b"-1", b"0", b"999999999999", b"1e400", b"nan", b"inf", b"", b"\0", b"\xff\xfe", b"[", b"{", b"*a", b"&a ", b"../",
    b"\r\n", b"\n\n", b",", b'"', b"null", b"true", b"!!python/name:os.system", b"1" * 5000, b"[" * 2000,
)  # fmt: skip


def mutated(content: bytes, rng: random.Random) -> bytes:
    """The content with one to three faults."""
    for _ in range(rng.randint(1, 3)):
        at, to = sorted(rng.randrange(len(content) + 1) for _ in range(2))
        token = rng.choice(TOKENS)
        content = rng.choice([
            content[:at],
            content[:at] + content[to:],
            content[:at] + token + content[at:],
            content[:at] + token + content[at + len(token):],
            content[:at] + bytes([rng.randrange(256)]) + content[at + 1:],
            content[:to] + content[at:],
            b"\n".join(rng.sample(lines, len(lines))) if len(lines := content.split(b"\n")) < 50 else content[:to],
        ])  # fmt: skip
    return content


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    def late(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"still at it after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _tu(root: Path) -> Path:
    raw = root / "TUDataset" / "DD" / "raw"
    raw.mkdir(parents=True)
    for part, text in {
        "A": "1, 2\n2, 1\n3, 4\n4, 3\n", "graph_indicator": "1\n1\n2\n2\n", "graph_labels": "-1\n1\n",
        "node_labels": "5\n6\n8\n5\n", "edge_attributes": "0.5\n0.5\n1\n1\n",
    }.items():  # fmt: skip
        (raw / f"DD_{part}.txt").write_text(text)
    return raw


def _planetoid(root: Path) -> Path:
    raw = root / "Planetoid" / "PubMed" / "raw"
    raw.mkdir(parents=True)
    x, y = sp.csr_matrix(np.eye(520, 5, dtype=np.float32)), np.eye(3, dtype=np.int32)[np.arange(520) % 3]
    parts = {"x": x[:6], "y": y[:6], "allx": x[:510], "ally": y[:510], "tx": x[510:], "ty": y[510:]}
    for part, value in {**parts, "graph": {i: [(i + 1) % 520] for i in range(520)}}.items():
        (raw / f"ind.pubmed.{part}").write_bytes(pickle.dumps(value, 2))
    (raw / "ind.pubmed.test.index").write_text("".join(f"{i}\n" for i in range(510, 520)))
    return raw


def _ogb(root: Path) -> Path:
    folder = root / "ogb" / "ogbg_mine"
    tables = {
        "raw/edge": "0,1\n1,2\n0,1\n", "raw/num-node-list": "3\n2\n", "raw/num-edge-list": "2\n1\n",
        "raw/graph-label": "0\n1\n", "split/random/train": "0\n", "split/random/valid": "", "split/random/test": "1\n",
    }  # fmt: skip
    for name, text in tables.items():
        path = folder / f"{name}.csv.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
    (folder / "RELEASE_v1.txt").touch()
    meta = {
        "version": 1, "num tasks": 1, "task type": "binary classification", "eval metric": "acc", "num classes": 2,
        "binary": "False", "add_inverse_edge": "True", "split": "random", "has_node_attr": "False",
    }  # fmt: skip
    (folder / "meta.json").write_text(json.dumps(meta))
    return folder


def _arrays(root: Path) -> dict[str, np.ndarray]:
    return {"edge_index": np.array([[0, 1, 2], [1, 2, 0]]), "x": np.eye(3, dtype=np.float32), "y": np.array([0, 1, 1])}


def _own(name: str) -> Callable[[Path], Path]:
    """A file or folder of the user's own, by itself in a folder."""

    def make(root: Path) -> Path:
        folder = root / "own"
        folder.mkdir()
        values = _arrays(root)
        if name == "graph.npz":
            np.savez(folder / name, **values)  # type: ignore[arg-type]  # arrays by name
        elif name == "graph.pt":
            torch.save(Data(**{key: torch.from_numpy(value) for key, value in values.items()}), folder / name)
        elif name == "data.pt":
            graph = Data(**{key: torch.from_numpy(value) for key, value in values.items() if key != "y"})
            InMemoryDataset.save([graph, graph], str(folder / name))
        elif name == "graph.mat":
            scipy.io.savemat(folder / name, {"A": sp.csc_matrix(np.eye(3, k=1)), "X": np.eye(3)})
        elif name in _NETWORKS:
            _NETWORKS[name](nx.path_graph(3), folder / name)
        elif name == "edges.csv":
            (folder / name).write_text("source,target,weight\n0,1,1\n1,2,0.5\n")
            (folder / "nodes.csv").write_text("id,f,y,split\n0,1,a,train\n1,2,b,val\n2,3,a,test\n")
        elif name == "arrays":
            for key, value in values.items():
                np.save(folder / f"{key}.npy", value)
        else:
            (folder / name).write_text("smiles,target\nC,0\nCC,1\nCCO,1\n")
        return folder

    return make


_NETWORKS: dict[str, Callable[[nx.Graph, Path], object]] = {
    "graph.gml": nx.write_gml,
    "graph.gexf": nx.write_gexf,
    "graph.graphml": nx.write_graphml,
    "graph.edgelist": nx.write_edgelist,
    "graph.edges": nx.write_weighted_edgelist,
}
SETS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "tu": (_tu, "DD"),
    "planetoid": (_planetoid, "PubMed"),
    "ogb": (_ogb, "ogbg-mine"),
    "npz": (_own("graph.npz"), "own/graph.npz"),
    "pt": (_own("graph.pt"), "own/graph.pt"),
    "arrays": (_own("arrays"), "own"),
    "csv": (_own("molecules.csv"), "own/molecules.csv"),
    **{name: (_own(name), f"own/{name}") for name in ("data.pt", "graph.mat", "edges.csv", *_NETWORKS)},
}


@pytest.mark.parametrize("kind", SETS)
def test_readers(kind: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "csv":
        pytest.importorskip("rdkit")
    monkeypatch.setattr("gssl.datasets.checksums._known", lambda: {"publisher": {}, "copy": {}})
    make, name = SETS[kind]
    for number in range(COUNT):
        rng = random.Random(number)
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        path = rng.choice(sorted(file for file in make(root).rglob("*") if file.is_file() and file.stat().st_size))
        content = path.read_bytes()
        if path.suffix == ".gz" and rng.random() < 0.7:
            path.write_bytes(gzip.compress(mutated(gzip.decompress(content), rng), mtime=0))
        else:
            path.write_bytes(mutated(content, rng))
        _must_answer(lambda: load_dataset(str(root / name) if "/" in name or name == "own" else name), kind, number)


@pytest.mark.parametrize("kind", ["settings", "suite"])
def test_yaml(kind: str) -> None:
    texts = {
        "settings": b"method: {name: GRACE, temperature: 0.4}\ntrain: &t {epochs: 5, lr: 1e-3}\nseeds: [0, 1]\n",
        "suite": b"# S\nseeds: 2\ngroups:\n  - methods: [raw, {name: GRACE, epochs: 3}]\n    datasets: [digits]\n",
    }
    for number in range(20 * COUNT):
        text = mutated(texts[kind], random.Random(number)).decode("utf-8", "replace")
        _must_answer(lambda text=text: yaml_io.parse(text), kind, number)  # type: ignore[misc]  # bound at once


def test_run_folders(tmp_path: Path) -> None:
    """Whatever they hold, the page goes on: embeddings are drawn or refused, all else becomes a remark."""
    for number in range(COUNT):
        rng = random.Random(number)
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        run_folder(tmp_path / "run", 0, 0.8, splits=2)
        path = rng.choice(sorted((tmp_path / "run" / "seed-0").iterdir()))
        path.write_bytes(mutated(path.read_bytes(), rng))
        with _in_time():
            run_files([row(run_dir=str(tmp_path / "run"))])
        _must_answer(lambda: projection(row(run_dir=str(tmp_path / "run"))), "run folder", number)


def _must_answer(work: Callable[[], object], kind: str, number: int) -> None:
    try:
        with _in_time(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            work()
    except InputError:
        pass
    except Exception as error:
        raise AssertionError(f"input {number} of {kind}: {type(error).__name__}: {error}") from error
