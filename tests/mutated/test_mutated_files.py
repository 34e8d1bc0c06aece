"""Files of data that were damaged at random: every reader answers with data or with one error.

An input is made from its number alone, so the number in a failure is enough to see it again. ``GSSL_MUTATED=5`` makes
five times as many.
"""

import gzip
import json
import pickle
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp
import torch
from torch_geometric.data import Batch, Data, HeteroData, InMemoryDataset

from gssl.datasets.load import load_dataset
from gssl.testing.damage import damaged_file, must_answer, numbers

USUAL = 10  # inputs of a kind
TU = {
    "A": "1, 2\n2, 1\n3, 4\n4, 3\n", "graph_indicator": "1\n1\n2\n2\n", "graph_labels": "-1\n1\n",
    "node_labels": "5\n6\n8\n5\n", "edge_attributes": "0.5\n0.5\n1\n1\n",
}  # fmt: skip
META = {
    "version": 1, "num tasks": 1, "task type": "multiclass classification", "eval metric": "acc", "num classes": 2,
    "add_inverse_edge": "True", "split": "random",
}  # fmt: skip
ARRAYS = {"edge_index": np.array([[0, 1, 2], [1, 2, 0]]), "x": np.eye(3, dtype=np.float32), "y": np.array([0, 1, 1])}
PARTS = {"train": np.array([0]), "val": np.array([1]), "test": np.array([2])}
MASKS = {part: np.isin(np.arange(3), ids) for part, ids in PARTS.items()}
MATRIX = sp.csr_matrix((np.ones(3), ([0, 1, 2], [1, 2, 0])), (3, 3))


def _tu(root: Path) -> str:
    raw = root / "TUDataset" / "DD" / "raw"
    raw.mkdir(parents=True)
    for part, text in TU.items():
        (raw / f"DD_{part}.txt").write_text(text)
    return "DD"


def _planetoid(root: Path) -> str:
    raw = root / "Planetoid" / "PubMed" / "raw"
    raw.mkdir(parents=True)
    x, y = sp.csr_matrix(np.eye(520, dtype=np.float32)[:, -5:] + 1), np.eye(3, dtype=np.int32)[np.arange(520) % 3]
    parts = {"x": x[:6], "y": y[:6], "allx": x[:510], "ally": y[:510], "tx": x[510:], "ty": y[510:]}
    for part, value in {**parts, "graph": {i: [(i + 1) % 520] for i in range(520)}}.items():
        (raw / f"ind.pubmed.{part}").write_bytes(pickle.dumps(value, 2))
    (raw / "ind.pubmed.test.index").write_text("".join(f"{i}\n" for i in range(510, 520)))
    return "PubMed"


def _zinc(root: Path) -> str:
    raw = root / "ZINC" / "raw"
    raw.mkdir(parents=True)
    bonds = torch.zeros(3, 3, dtype=torch.int64)
    bonds[0, 1] = bonds[1, 0] = 2
    molecule = {
        "num_atom": 3, "atom_type": torch.tensor([0, 3, 1]), "bond_type": bonds,
        "logP_SA_cycle_normalized": torch.tensor([0.5]),
    }  # fmt: skip
    for part in ("train", "val", "test"):
        (raw / f"{part}.pickle").write_bytes(pickle.dumps([molecule]))
        (raw / f"{part}.index").write_text("0")
    return "ZINC"


def _molecule_net(root: Path) -> str:
    raw = root / "MoleculeNet" / "bace" / "raw"
    raw.mkdir(parents=True)
    (raw / "bace.csv").write_text("mol,CID,Class\nC,a,1\nCC,b,0\nCCO,c,1\n")
    return "BACE"


def _citations(root: Path) -> str:
    raw = root / "CitationFull" / "cora" / "raw"
    raw.mkdir(parents=True)
    OWN["known.npz"](raw / "cora.npz")
    return "CoraFull"


def _heterophilous(root: Path) -> str:
    raw = root / "HeterophilousGraphDataset" / "questions" / "raw"
    raw.mkdir(parents=True)
    OWN["hetero.npz"](raw / "questions.npz")
    return "Questions"


def _wikics(root: Path) -> str:
    raw = root / "WikiCS" / "raw"
    raw.mkdir(parents=True)
    masks = {part: [mask.tolist()] for part, mask in MASKS.items()}
    content = {
        "features": np.eye(3).tolist(), "labels": [0, 1, 1], "links": [[1], [2], []], "train_masks": masks["train"],
        "val_masks": masks["val"], "stopping_masks": masks["val"], "test_mask": masks["test"][0],
    }  # fmt: skip
    (raw / "data.json").write_text(json.dumps(content))
    return "WikiCS"


def _heco(root: Path) -> str:
    raw = root / "HeCo" / "acm" / "raw"
    raw.mkdir(parents=True)
    for name in ("pa", "ps"):
        (raw / f"{name}.txt").write_text("0\t0\n1\t0\n2\t1\n")
    for name in ("pap", "psp", "pos"):
        sp.save_npz(raw / f"{name}.npz", MATRIX.tocoo() if name != "psp" else MATRIX)
    sp.save_npz(raw / "p_feat.npz", MATRIX)
    np.save(raw / "labels.npy", ARRAYS["y"])
    for amount in (20, 40, 60):
        for part, ids in PARTS.items():
            np.save(raw / f"{part}_{amount}.npy", ids)
    return "HeCo/acm"


def _ogb(root: Path) -> str:
    folder = root / "ogb" / "ogbg_mine"
    tables = {
        "raw/edge": "0,1\n1,2\n0,1\n", "raw/num-node-list": "3\n2\n", "raw/num-edge-list": "2\n1\n",
        "raw/graph-label": "0\n1\n", "split/random/train": "0\n", "split/random/valid": "", "split/random/test": "1\n",
    }  # fmt: skip
    for name, text in tables.items():
        _table(folder / f"{name}.csv.gz", text)
    kind = {"task type": "binary classification", "binary": "False", "has_node_attr": "False"}
    (folder / "meta.json").write_text(json.dumps({**META, **kind}))
    (folder / "RELEASE_v1.txt").touch()
    return "ogbg-mine"


def _ogb_binary(root: Path) -> str:
    folder = root / "own" / "ogbn_mine"
    (folder / "raw").mkdir(parents=True)
    sizes = {"num_nodes_list": np.array([3]), "num_edges_list": np.array([3])}
    _npz(edge_index=ARRAYS["edge_index"], node_feat=ARRAYS["x"], **sizes)(folder / "raw" / "data.npz")
    np.savez(folder / "raw" / "node-label.npz", node_label=ARRAYS["y"].reshape(-1, 1))
    for part, ids in (("train", "0\n"), ("valid", "1\n"), ("test", "2\n")):
        _table(folder / "split" / "random" / f"{part}.csv.gz", ids)
    (folder / "meta.json").write_text(json.dumps({**META, "binary": "True", "add_inverse_edge": "False"}))
    (folder / "RELEASE_v1.txt").touch()
    return str(folder)


def _table(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def _parts(name: str, matrix: sp.csr_matrix) -> dict[str, Any]:
    return {f"{name}_{key}": np.asarray(getattr(matrix, key)) for key in ("data", "indices", "indptr", "shape")}


def _heterophilous_arrays() -> dict[str, np.ndarray]:
    masks = {f"{part}_masks": mask[None] for part, mask in MASKS.items()}
    return {"node_features": ARRAYS["x"], "node_labels": ARRAYS["y"], "edges": ARRAYS["edge_index"].T, **masks}


# Files and folders of the user's own: a name, and what writes it.
Write = Callable[[Path], object]


def _npz(**arrays: Any) -> Write:
    return lambda path: np.savez(path, **arrays)


def _graph(path: Path) -> nx.Graph:
    graph = nx.DiGraph()
    for name, kind in (("a", 0), ("b", 1), ("c", 1)):
        graph.add_node(name, y=kind, x=0.5)
    graph.add_edge("a", "b", weight=2.0)
    graph.add_edge("c", "b", weight=1.0)
    return graph


def _tensors(**changes: Any) -> dict[str, Any]:
    return {**{key: torch.from_numpy(value) for key, value in ARRAYS.items()}, **changes}


def _pt(make: Callable[[], Any]) -> Write:
    return lambda path: torch.save(make(), path)


def _list() -> list[Data]:
    return [Data(**_tensors(y=torch.tensor([n]))) for n in range(3)]


def _collated() -> tuple[Any, ...]:
    data, slices = InMemoryDataset.collate(_list())
    return data.to_dict(), slices, Data


def _hetero() -> HeteroData:
    data = HeteroData()
    data["paper"].x, data["paper"].y = torch.eye(3), torch.tensor([0, 1, 1])
    data["author"].x = torch.eye(2, 3)
    data["author", "writes", "paper"].edge_index = torch.tensor([[0, 1, 1], [1, 2, 0]])
    return data


def _typed(path: Path) -> None:
    data = _hetero()
    data["author"].x = torch.eye(2)  # of another width, so that they are no one graph
    torch.save(data, path)
    facts = {"target_type": "paper", "meta_paths": "paper-author-paper"}
    path.with_name(f"{path.name}.json").write_text(json.dumps(facts))


def _text(text: str) -> Write:
    return lambda path: path.write_text(text)


def _arrays_folder(path: Path) -> None:
    path.mkdir()
    for key, value in {**ARRAYS, **{f"{part}_mask": mask for part, mask in MASKS.items()}}.items():
        np.save(path / f"{key}.npy", value)


def _saved_tables(path: Path) -> None:
    path.mkdir()
    (path / "edges.csv").write_text("source,target,weight\na,b,1\nb,c,2\n")
    (path / "nodes.csv").write_text("id,y,x1\na,0,0.5\nb,1,1\nc,1,2\n")


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for part, text in TU.items():
            archive.writestr(zipfile.ZipInfo(f"MINE/MINE_{part}.txt"), text)


def _tu_folder(path: Path) -> None:
    path.mkdir()
    for part, text in TU.items():
        (path / f"MINE_{part}.txt").write_text(text)


OWN: dict[str, Write] = {
    "usual.npz": _npz(**ARRAYS, **{f"{part}_mask": mask for part, mask in MASKS.items()}),
    "alias.npz": _npz(
        edges=ARRAYS["edge_index"].T, features=ARRAYS["x"], labels=ARRAYS["y"], task=np.array("multiclass"),
        train_idx=PARTS["train"], valid_idx=PARTS["val"], idx_test=PARTS["test"], edge_weights=np.ones(3),
    ),
    "known.npz": _npz(labels=ARRAYS["y"], **_parts("adj", MATRIX), **_parts("attr", MATRIX)),
    "hetero.npz": _npz(**_heterophilous_arrays()),
    "scipy.npz": lambda path: sp.save_npz(path, MATRIX),
    "data.pt": _pt(lambda: Data(**_tensors())),
    "dict.pt": _pt(lambda: _tensors(split_idx={part: torch.from_numpy(ids) for part, ids in PARTS.items()})),
    "list.pt": _pt(_list),
    "tuple.pt": _pt(_collated),
    "batch.pt": _pt(lambda: Batch.from_data_list(_list())),
    "hetero.pt": _pt(_hetero),
    "typed.pt": _typed,
    "molecules.csv": _text("smiles,target\nC,0\nCC,1\nCCO,1\n"),
    "molecules.smi": _text("C a\nCC b\nCCO c\n"),
    "edges.csv": _text("source,target,weight\na,b,1\nb,c,2\n"),
    "edges.tsv": _text("src\tdst\n0\t1\n1\t2\n"),
    "list.edgelist": _text("# nodes\n0 1 0.5\n1 2 1\n"),
    "pairs.edges": _text('0 1 {"weight": 2}\n1 2 {"weight": 3}\n'),
    "commas.txt": _text("0,1\n1,2\n"),
    "mine.adjlist": _text("a b c\nb c\nc\n"),
    "mine.gml": lambda path: nx.write_gml(_graph(path), path),
    "mine.gexf": lambda path: nx.write_gexf(_graph(path), path),
    "mine.graphml": lambda path: nx.write_graphml(_graph(path), path),
    "mine.json": lambda path: path.write_text(json.dumps(nx.node_link_data(_graph(path), edges="links"))),
    "mine.mat": lambda path: scipy.io.savemat(path, {"A": MATRIX.tocsc(), "X": ARRAYS["x"], "Y": ARRAYS["y"]}),
    "small.mat": lambda path: scipy.io.savemat(
        path, {"edges": ARRAYS["edge_index"].T, "X": ARRAYS["x"]}, do_compression=True
    ),
    "mine.zip": _zip,
    "arrays": _arrays_folder,
    "tables": _saved_tables,
    "tu": _tu_folder,
}  # fmt: skip


def _own(name: str) -> Callable[[Path], str]:
    def make(root: Path) -> str:
        (root / "own").mkdir()
        OWN[name](root / "own" / name)
        return str(root / "own" / name)

    return make


KNOWN: dict[str, Callable[[Path], str]] = {
    "TU": _tu, "Planetoid": _planetoid, "ZINC": _zinc, "MoleculeNet": _molecule_net, "npz": _citations,
    "heterophilous": _heterophilous, "WikiCS": _wikics, "HeCo": _heco, "OGB": _ogb, "binary OGB": _ogb_binary,
}  # fmt: skip
KINDS: dict[str, Callable[[Path], str]] = {**KNOWN, **{name: _own(name) for name in OWN}}


@pytest.fixture
def place(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root whose files no checksum refuses before they are read."""
    monkeypatch.setattr("gssl.datasets.checksums._known", lambda: {"publisher": {}, "copy": {}})
    return root


@pytest.mark.parametrize("kind", KINDS)
def test_readers(kind: str, place: Path, record_property: Callable[[str, object], None]) -> None:
    if kind in ("MoleculeNet", "molecules.csv", "molecules.smi"):
        pytest.importorskip("rdkit")
    record_property("inputs", len(numbers(USUAL)))
    for number in numbers(USUAL):
        rng = random.Random(number)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        name = KINDS[kind](place)
        files = sorted(file for file in place.rglob("*") if file.is_file() and file.stat().st_size)
        path = rng.choice(files)
        path.write_bytes(damaged_file(path.name, path.read_bytes(), rng))
        must_answer(lambda name=name: load_dataset(name), f"input {number} of {kind}")  # type: ignore[misc]  # at once


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_whole_is_read(kind: str, place: Path) -> None:
    """Otherwise a reader would refuse everything, and no fault of it would be found."""
    if kind in ("MoleculeNet", "molecules.csv", "molecules.smi"):
        pytest.importorskip("rdkit")
    place.mkdir()
    assert load_dataset(KINDS[kind](place)).graph.num_nodes
