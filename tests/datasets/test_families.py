"""Families whose real files are too large to carry: tiny raw files in the format that PyG and ogb read."""

import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gssl.common.errors import InputError
from gssl.datasets import categories
from gssl.datasets.load import load_dataset
from gssl.datasets.types import Dataset
from gssl.graph.sparse import dense_features

# A path 0-1-2-3 and a loop at 3; edges of node-level sets are stored in one direction.
PATH = [(0, 1), (1, 2), (2, 3)]
BOTH = {*PATH, *((v, u) for u, v in PATH)}
X = np.array([[1, 1, 0], [0, 2, 0], [0, 0, 0], [1, 0, 4]], dtype=np.float32)
Y = np.array([0, 1, 1, 2])


def _edges(data: Dataset) -> set[tuple[int, int]]:
    return {(int(u), int(v)) for u, v in data.graph.block.edge_index.T}


def _raw(root: Path, folder: str) -> Path:
    raw = root / folder / "raw"
    raw.mkdir(parents=True)
    return raw


def _masks(*columns: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """Splits of the four nodes: one for training, one for validation, one for the test."""
    masks = {}
    for position, part in enumerate(("train", "val", "test")):
        masks[part] = np.stack([np.arange(4) == column[position] for column in columns])
    return masks


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("Computers", "Amazon/Computers/raw/amazon_electronics_computers.npz"),
        ("Physics", "Coauthor/Physics/raw/ms_academic_phy.npz"),
        ("CoraFull", "CitationFull/cora/raw/cora.npz"),
        ("Cora_ML", "CitationFull/cora_ml/raw/cora_ml.npz"),
    ],
)
def test_npz_archives(root: Path, name: str, file: str) -> None:
    path = root / file
    path.parent.mkdir(parents=True)
    rows, columns = zip(*PATH, (3, 3), strict=True)
    adjacency = sp.csr_matrix((np.ones(4), (rows, columns)), (4, 4))
    words = sp.csr_matrix(X)
    arrays: dict[str, Any] = {}
    for prefix, matrix in (("adj", adjacency), ("attr", words)):
        arrays |= {f"{prefix}_{key}": getattr(matrix, key) for key in ("data", "indices", "indptr")}
        arrays[f"{prefix}_shape"] = matrix.shape
    np.savez(path, labels=Y, **arrays)
    data = load_dataset(name)
    assert (data.name, _edges(data)) == (name, BOTH)
    assert data.labels is not None
    assert data.labels.y.tolist() == Y.tolist()
    assert dense_features(data.graph.x).tolist() == [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 0], [0.5, 0, 0.5]]
    assert data.splits == ()


def test_wikics(root: Path) -> None:
    masks = _masks((0, 1, 3), (1, 2, 3))
    content = {
        "features": X.tolist(), "labels": Y.tolist(), "links": [[1], [2], [3], []],
        "train_masks": masks["train"].tolist(), "val_masks": masks["val"].tolist(),
        "stopping_masks": masks["val"].tolist(), "test_mask": masks["test"][0].tolist(),
    }  # fmt: skip
    (_raw(root, "WikiCS") / "data.json").write_text(json.dumps(content))
    data = load_dataset("WikiCS")
    assert _edges(data) == BOTH
    assert [(s.train.tolist(), s.val.tolist(), s.test.tolist()) for s in data.splits] == [
        ([0], [1], [3]),
        ([1], [2], [3]),
    ]
    x = dense_features(data.graph.x)
    assert torch.allclose(x, torch.from_numpy((X - X.mean(0)) / X.std(0)), atol=1e-6)
    assert "features standardised by column" in data.notes


@pytest.mark.parametrize(("name", "metric"), [("Roman-empire", "accuracy"), ("Minesweeper", "roc_auc")])
def test_heterophilous(root: Path, name: str, metric: str) -> None:
    key = name.lower().replace("-", "_")
    masks: dict[str, Any] = {f"{part}_masks": mask for part, mask in _masks((0, 1, 2), (3, 2, 1)).items()}
    raw = _raw(root, f"HeterophilousGraphDataset/{key}")
    np.savez(raw / f"{key}.npz", node_features=X, node_labels=Y, edges=np.array(PATH), **masks)
    data = load_dataset(name)
    assert (_edges(data), data.metric) == (BOTH, metric)
    assert [split.train.tolist() for split in data.splits] == [[0], [3]]
    assert dense_features(data.graph.x).tolist() == X.tolist()  # as they are


def _saint_files(root: Path, name: str, classes: dict[str, Any]) -> None:
    raw = _raw(root, name)
    rows, columns = zip(*BOTH, strict=True)
    adjacency = sp.csr_matrix((np.ones(6), (rows, columns)), (4, 4))
    parts = {key: getattr(adjacency, key) for key in ("data", "indices", "indptr", "shape")}
    np.savez(raw / "adj_full.npz", **parts)
    np.save(raw / "feats.npy", X)
    (raw / "class_map.json").write_text(json.dumps(classes))
    (raw / "role.json").write_text(json.dumps({"tr": [0, 1], "va": [2], "te": [3]}))


def test_flickr(root: Path) -> None:
    _saint_files(root, "Flickr", {str(i): int(label) for i, label in enumerate(Y)})
    data = load_dataset("Flickr")
    assert _edges(data) == BOTH
    assert data.labels is not None
    assert (data.labels.kind, data.labels.y.tolist()) == ("multiclass", Y.tolist())
    assert [part.tolist() for part in (data.splits[0].train, data.splits[0].val, data.splits[0].test)] == [
        [0, 1],
        [2],
        [3],
    ]


def test_yelp(root: Path) -> None:
    tasks = {str(i): [i % 2, 1, 0] for i in range(4)}
    _saint_files(root, "Yelp", tasks)
    data = load_dataset("Yelp")
    assert data.labels is not None
    assert (data.labels.kind, data.labels.num_classes, data.metric) == ("multilabel", 3, "micro_f1")
    assert data.labels.y.tolist() == [tasks[str(i)] for i in range(4)]


def test_reddit(root: Path) -> None:
    raw = _raw(root, "Reddit")
    np.savez(raw / "reddit_data.npz", feature=X, label=Y, node_types=np.array([1, 1, 2, 3]))
    rows, columns = zip(*BOTH, strict=True)
    sp.save_npz(raw / "reddit_graph.npz", sp.coo_matrix((np.ones(6), (rows, columns)), (4, 4)))
    data = load_dataset("Reddit")
    assert _edges(data) == BOTH
    assert [part.tolist() for part in (data.splits[0].train, data.splits[0].val, data.splits[0].test)] == [
        [0, 1],
        [2],
        [3],
    ]


def test_ppi_graphs_lie_side_by_side(root: Path) -> None:
    raw = _raw(root, "PPI")
    sizes = {"train": [3, 4], "valid": [2], "test": [3]}
    for part, counts in sizes.items():
        ids = np.repeat(np.arange(len(counts)), counts)
        starts = np.cumsum([0, *counts[:-1]])
        links = [
            {"source": int(a + start), "target": int(b + start)}
            for start, count in zip(starts, counts, strict=True)
            for i in range(count - 1)
            for a, b in ((i, i + 1), (i + 1, i))
        ]
        graph = {"directed": True, "multigraph": False, "graph": {}, "nodes": [{"id": i} for i in range(len(ids))]}
        (raw / f"{part}_graph.json").write_text(json.dumps({**graph, "links": links}))
        np.save(raw / f"{part}_graph_id.npy", ids + 5)
        np.save(raw / f"{part}_feats.npy", np.full((len(ids), 2), len(part), dtype=np.float64))
        np.save(raw / f"{part}_labels.npy", np.stack([np.arange(len(ids)) % 2, np.ones(len(ids))], axis=1))
    data = load_dataset("PPI")
    (split,) = data.splits
    assert (data.level, data.graph.num_nodes, data.graph.num_graphs) == ("node", 12, 0)
    assert [part.tolist() for part in (split.train, split.val, split.test)] == [[*range(7)], [7, 8], [9, 10, 11]]
    paths = [(0, 3), (3, 7), (7, 9), (9, 12)]
    wanted = {(a, b) for low, high in paths for i in range(low, high - 1) for a, b in ((i, i + 1), (i + 1, i))}
    assert _edges(data) == wanted
    assert data.labels is not None
    assert (data.labels.kind, data.metric) == ("multilabel", "micro_f1")
    assert dense_features(data.graph.x)[:, 0].tolist() == [5.0] * 9 + [4.0] * 3


def _zinc_molecule(atoms: list[int], bonds: dict[tuple[int, int], int], y: float) -> dict[str, Any]:
    bond_type = torch.zeros(len(atoms), len(atoms), dtype=torch.int32)
    for (i, j), kind in bonds.items():
        bond_type[i, j] = bond_type[j, i] = kind
    return {
        "num_atom": len(atoms),
        "atom_type": torch.tensor(atoms, dtype=torch.int8),
        "bond_type": bond_type,
        "logP_SA_cycle_normalized": torch.tensor([y]),
    }


def test_zinc_subset(root: Path) -> None:
    raw = _raw(root, "ZINC")
    one, two = _zinc_molecule([0, 27], {(0, 1): 2}, 0.5), _zinc_molecule([3, 3, 1], {(0, 1): 1, (1, 2): 3}, -1.5)
    for part, molecules in {"train": [one, two, one], "val": [two], "test": [one]}.items():
        (raw / f"{part}.pickle").write_bytes(pickle.dumps(molecules))
        (raw / f"{part}.index").write_text("1,2\n" if part == "train" else "0\n")
    data = load_dataset("ZINC")
    (split,) = data.splits
    assert data.labels is not None
    assert data.labels.y.tolist() == [[-1.5], [0.5], [-1.5], [0.5]]
    assert (data.labels.kind, data.metric) == ("regression", "mae")
    assert [part.tolist() for part in (split.train, split.val, split.test)] == [[0, 1], [2], [3]]
    assert dense_features(data.graph.x).argmax(dim=1).tolist() == [3, 3, 1, 0, 27, 3, 3, 1, 0, 27]
    assert data.graph.in_dim == 28
    attr = data.graph.block.edge_attr
    assert attr is not None
    kinds = dict(
        zip([tuple(e) for e in data.graph.block.edge_index.T.tolist()], attr.argmax(dim=1).tolist(), strict=True)
    )
    assert kinds[(0, 1)] == kinds[(1, 0)] == 1
    assert kinds[(1, 2)] == 3
    assert kinds[(3, 4)] == 2
    assert len(kinds) == 12


def test_molecules_with_missing_labels(root: Path) -> None:
    pytest.importorskip("rdkit")
    raw = _raw(root, "MoleculeNet/tox21")
    tasks = [["1"] + ["0"] * 11, ["", "1"] + ["0"] * 10, ["0"] * 12]
    molecules = ["CCO", "c1ccccc1", "not a molecule"]
    lines = [
        ",".join([*labels, f"id{i}", smiles]) for i, (labels, smiles) in enumerate(zip(tasks, molecules, strict=True))
    ]
    (raw / "tox21.csv").write_text("\n".join(["head", *lines, ""]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load_dataset("Tox21")
    assert data.num_items == 2
    assert data.labels is not None
    assert (data.labels.kind, data.labels.num_classes) == ("multilabel", 12)
    assert data.labels.y[0].tolist() == [1.0] + [0.0] * 11
    assert data.labels.y[1].isnan().tolist() == [True] + [False] * 11
    assert "1 molecules left out that RDKit cannot read" in data.notes
    assert categories.NOTE in data.notes
    atomic = dense_features(data.graph.x)[:, :119].argmax(dim=1)
    assert atomic.tolist() == [6, 6, 8] + [6] * 6
    assert "1 molecules left out that RDKit cannot read" in load_dataset("Tox21").notes  # also the second time


@pytest.mark.parametrize(("name", "file", "line"), [
    ("FreeSolv", "SAMPL.csv", "id,C,-3.5"),
    ("Lipo", "Lipophilicity.csv", "id,-3.5,C"),
    ("BACE", "bace.csv", "C,id,1"),
    ("ClinTox", "clintox.csv", "C,1,0"),
    ("SIDER", "sider.csv", "C," + ",".join("01" * 13 + "1")),
    ("ToxCast", "toxcast_data.csv", "C," + ",".join(["1.0"] * 617)),
    ("HIV", "HIV.csv", "C,x,1"),
])  # fmt: skip
def test_every_molecule_file_is_found(root: Path, name: str, file: str, line: str) -> None:
    """A lone carbon: no bonds, and labels of each set's own form."""
    pytest.importorskip("rdkit")
    (_raw(root, f"MoleculeNet/{name.lower()}") / file).write_text(f"head\n{line}\n{line}\n")
    data = load_dataset(name)
    assert (data.num_items, data.graph.num_nodes, data.graph.num_edges) == (2, 2, 0)
    assert data.labels is not None


@pytest.mark.parametrize("end", ["", "\n"])
def test_the_last_molecule_of_a_table_counts(root: Path, end: str) -> None:
    pytest.importorskip("rdkit")
    (_raw(root, "MoleculeNet/bace") / "bace.csv").write_text("mol,CID,Class\nC,a,1\nCC,b,0\nCCO,c,1" + end)
    data = load_dataset("BACE")
    assert data.labels is not None
    assert (data.smiles, data.labels.y.flatten().tolist()) == (("C", "CC", "CCO"), [1, 0, 1])


def test_molecules_that_would_be_lost(root: Path) -> None:
    """PyG reads two broken lines where a quoted name has a line break."""
    pytest.importorskip("rdkit")
    (_raw(root, "MoleculeNet/bbbp") / "BBBP.csv").write_text('num,name,p_np,smiles\n1,"a\n2,b",1,C\n')
    with pytest.raises(InputError, match=r"BBBP\.csv|MoleculeNet/bbbp"):
        load_dataset("BBBP")


def test_the_last_number_of_a_zinc_index_counts(root: Path) -> None:
    raw = _raw(root, "ZINC")
    one, two = _zinc_molecule([0, 27], {(0, 1): 2}, 0.5), _zinc_molecule([3, 3, 1], {}, -1.5)
    for part in ("train", "val", "test"):
        (raw / f"{part}.pickle").write_bytes(pickle.dumps([one, two] * 6))
        (raw / f"{part}.index").write_text("0,11")
    data = load_dataset("ZINC")
    assert data.labels is not None
    assert data.labels.y.flatten().tolist() == [0.5, -1.5] * 3
    assert data.graph.num_nodes == 15


def test_damaged_json(root: Path) -> None:
    (_raw(root, "WikiCS") / "data.json").write_text('{"features": [')
    with pytest.raises(InputError, match="raw files of WikiCS"):
        load_dataset("WikiCS")
