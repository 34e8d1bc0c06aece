"""OGB's layout: node and graph sets, folders of the user's own, and no prompt ever."""

import csv
import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gssl.common.errors import InputError
from gssl.datasets import categories
from gssl.datasets.load import load_dataset
from gssl.graph.sparse import SparseMatrix, dense_features


@pytest.fixture(autouse=True)
def no_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question on the terminal fails the test instead of blocking it."""

    def ask(prompt: str = "") -> str:
        raise AssertionError(f"asked on the terminal: {prompt}")

    monkeypatch.setattr("builtins.input", ask)


def _table(path: Path, rows: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", newline="") as file:
        csv.writer(file).writerows(rows)


def _column(values: Any) -> list[list[Any]]:
    return [[value] for value in values]


def _split(folder: Path, kind: str, train: list[int], val: list[int], test: list[int]) -> None:
    for part, ids in (("train", train), ("valid", val), ("test", test)):
        _table(folder / "split" / kind / f"{part}.csv.gz", _column(ids))


def _node_set(
    root: Path, name: str, *, labels: Any, split: str, features: Any = None, edge_features: Any = None
) -> Path:
    folder = root / "ogb" / name.replace("-", "_")
    raw = folder / "raw"
    _table(raw / "edge.csv.gz", [(0, 1), (1, 2), (3, 0)])
    _table(raw / "num-node-list.csv.gz", [(4,)])
    _table(raw / "num-edge-list.csv.gz", [(3,)])
    _table(raw / "node-label.csv.gz", labels)
    if features is not None:
        _table(raw / "node-feat.csv.gz", features)
    if edge_features is not None:
        _table(raw / "edge-feat.csv.gz", edge_features)
    _split(folder, split, [0, 1], [2], [3])
    (folder / "RELEASE_v1.txt").touch()
    return folder


def _arxiv(root: Path) -> Path:
    folder = _node_set(
        root, "ogbn-arxiv", labels=_column([0, 39, 2, 2]), split="time", features=[(0.5, 1.0), (2, 3), (4, 5), (6, 7)]
    )
    _table(folder / "raw" / "node_year.csv.gz", _column([2017, 2018, 2019, 2020]))
    return folder


def test_arxiv_is_made_undirected(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _arxiv(root)
    data = load_dataset("OGBN-Arxiv")
    edges = {(int(u), int(v)) for u, v in data.graph.block.edge_index.T}
    assert edges == {(0, 1), (1, 0), (1, 2), (2, 1), (3, 0), (0, 3)}
    assert data.labels is not None
    assert (data.labels.y.tolist(), data.labels.num_classes) == ([0, 39, 2, 2], 40)
    assert data.splits[0].name == "time"
    assert dense_features(data.graph.x).tolist() == [[0.5, 1], [2, 3], [4, 5], [6, 7]]
    assert "made undirected: 3 reverse edges added" in data.notes
    assert (data.probe, data.metric) == ("OGB", "accuracy")
    assert capfd.readouterr().out == ""  # ogb prints its progress


def test_proteins_get_the_mean_of_their_edges(root: Path) -> None:
    labels = np.eye(4, 112, dtype=int)
    folder = _node_set(
        root, "ogbn-proteins", labels=labels, split="species", edge_features=[(1.0, 0.5), (3.0, 0.5), (0.25, 0.0)]
    )
    _table(folder / "raw" / "node_species.csv.gz", _column([1, 2, 3, 4]))
    data = load_dataset("ogbn-proteins")
    assert dense_features(data.graph.x).tolist() == [[0.625, 0.25], [2.0, 0.5], [3.0, 0.5], [0.25, 0.0]]
    assert data.labels is not None
    assert (data.labels.kind, data.labels.num_classes, data.metric) == ("multilabel", 112, "roc_auc")
    assert data.graph.num_edges == 6
    assert data.graph.block.edge_attr is None


def _graph_set(root: Path, name: str, *, labels: Any, split: str, atoms: Any = None, bonds: Any = None) -> Path:
    """Two graphs: a path of three nodes, and a single edge."""
    folder = root / "ogb" / name.replace("-", "_")
    raw = folder / "raw"
    _table(raw / "edge.csv.gz", [(0, 1), (1, 2), (0, 1)])
    _table(raw / "num-node-list.csv.gz", _column([3, 2]))
    _table(raw / "num-edge-list.csv.gz", _column([2, 1]))
    _table(raw / "graph-label.csv.gz", labels)
    if atoms is not None:
        _table(raw / "node-feat.csv.gz", atoms)
    _table(raw / "edge-feat.csv.gz", bonds)
    _split(folder, split, [1], [], [0])
    (folder / "RELEASE_v1.txt").touch()
    return folder


def test_molecules_are_one_hot_and_missing_labels_stay_missing(root: Path) -> None:
    atoms = [[5, 0, 4, 5, 3, 0, 2, 0, 0]] * 4 + [[118, 4, 11, 11, 9, 5, 5, 1, 1]]
    labels = [[1, ""] + [0] * 126, [0] * 128]
    _graph_set(
        root, "ogbg-molpcba", labels=labels, split="scaffold", atoms=atoms, bonds=[[0, 0, 0], [1, 2, 1], [4, 5, 1]]
    )
    data = load_dataset("ogbg-molpcba")
    assert data.labels is not None
    assert (data.labels.kind, data.labels.num_classes, data.metric) == ("multilabel", 128, "average_precision")
    assert data.labels.y.isnan().nonzero().tolist() == [[0, 1]]
    assert isinstance(data.graph.x, SparseMatrix)
    x = data.graph.x.to_dense()
    sizes = torch.tensor(categories.sizes_of(categories.OGB.nodes))
    assert x.shape == (5, int(sizes.sum()))
    assert x[4].nonzero().flatten().tolist() == (sizes.cumsum(0) - 1).tolist()
    attr = data.graph.block.edge_attr
    assert attr is not None
    of_edge = dict(zip([tuple(e) for e in data.graph.block.edge_index.T.tolist()], attr.tolist(), strict=True))
    assert of_edge[(1, 2)] == of_edge[(2, 1)] == [0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    assert of_edge[(3, 4)] == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1]
    assert data.splits[0].val.numel() == 0
    assert categories.NOTE in data.notes


def test_graphs_without_node_features_get_degrees(root: Path) -> None:
    bonds = [[0.1] * 7, [0.2] * 7, [0.3] * 7]
    _graph_set(root, "ogbg-ppa", labels=_column([36, 0]), split="species", bonds=bonds)
    data = load_dataset("ogbg-ppa")
    assert dense_features(data.graph.x).argmax(dim=1).tolist() == [1, 2, 1, 1, 1]
    assert data.labels is not None
    assert (data.labels.num_classes, data.labels.y.tolist()) == (37, [36, 0])
    assert data.graph.ptr is not None
    assert data.graph.ptr.tolist() == [0, 3, 5]


def test_another_release_is_an_error_and_no_question(root: Path) -> None:
    folder = _arxiv(root)
    (folder / "RELEASE_v1.txt").rename(folder / "RELEASE_v0.txt")
    with pytest.raises(InputError, match=r"has no RELEASE_v1\.txt"):
        load_dataset("ogbn-arxiv")


def test_a_failed_download_asks_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(url: str) -> Any:
        asked.append(url)
        raise OSError("no network")

    monkeypatch.setattr("gssl.datasets.download.urllib.request.urlopen", refuse)
    with pytest.raises(InputError, match=r"download failed: no network.*GSSL_MIRROR"):
        load_dataset("ogbn-products")
    assert asked == ["https://snap.stanford.edu/ogb/data/nodeproppred/products.zip"]


class _Response:
    """What urlopen returns for the bytes of a file."""

    def __init__(self, path: Path, stated: int | None = None) -> None:
        self.file = path.open("rb")
        self.headers = {"Content-Length": str(path.stat().st_size if stated is None else stated)}

    def read(self, size: int = -1) -> bytes:
        return self.file.read(size)

    def __enter__(self) -> "_Response":
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()


def _archive(tmp_path: Path) -> Path:
    _arxiv(tmp_path)
    (tmp_path / "zip").mkdir()
    shutil.move(tmp_path / "ogb" / "ogbn_arxiv", tmp_path / "zip" / "arxiv")
    return Path(shutil.make_archive(str(tmp_path / "arxiv"), "zip", tmp_path / "zip"))


def test_a_download_is_unpacked_and_processed(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = _archive(tmp_path)
    monkeypatch.setattr("gssl.datasets.download.urllib.request.urlopen", lambda url: _Response(archive))
    assert load_dataset("ogbn-arxiv").graph.num_edges == 6
    assert (root / "ogb" / "ogbn_arxiv" / "RELEASE_v1.txt").is_file()


def test_a_download_that_breaks_off_leaves_nothing(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = _archive(tmp_path)
    monkeypatch.setattr("gssl.datasets.download.urllib.request.urlopen", lambda url: _Response(archive, 10**9))
    with pytest.raises(InputError, match="broke off"):
        load_dataset("ogbn-arxiv")
    assert not (root / "ogb").exists()


def test_ogb_does_not_look_for_newer_versions_on_import(root: Path) -> None:
    """Its look-up runs in a thread that keeps a process without a network alive."""
    import subprocess

    _arxiv(root)
    code = (
        "import sys, threading\n"
        "from gssl.datasets.load import load_dataset\n"
        "load_dataset('ogbn-arxiv')\n"
        "import ogb.version\n"
        "print(ogb.version.check_outdated, 'outdated' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "False"]


# The user's own folders


def _own_folder(place: Path, **changes: Any) -> Path:
    folder = place / "ogbn_mine"
    raw = folder / "raw"
    raw.mkdir(parents=True)
    edges = np.array([[0, 1, 2], [1, 2, 0]])
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.savez(
        raw / "data.npz", edge_index=edges, node_feat=x, num_nodes_list=np.array([3]), num_edges_list=np.array([3])
    )
    np.savez(raw / "node-label.npz", node_label=np.array([[0], [1], [1]]))
    _split(folder, "random", [0], [1], [2])
    (folder / "RELEASE_v1.txt").touch()
    meta = {
        "version": 1, "num tasks": 1, "task type": "multiclass classification", "eval metric": "acc",
        "num classes": 2, "binary": "True", "add_inverse_edge": "False", "split": "random", **changes,
    }  # fmt: skip
    (folder / "meta.json").write_text(json.dumps({key: value for key, value in meta.items() if value is not None}))
    return folder


def test_a_folder_by_name_below_the_mirror(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _own_folder(tmp_path / "mirror" / "ogb")
    monkeypatch.setenv("GSSL_MIRROR", str(tmp_path / "mirror"))
    data = load_dataset("OGBN-mine")
    assert (data.name, data.level, data.probe, data.metric) == ("ogbn-mine", "node", "LBFGS", "accuracy")
    assert dense_features(data.graph.x).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert [part.tolist() for part in (data.splits[0].train, data.splits[0].val, data.splits[0].test)] == [
        [0],
        [1],
        [2],
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["RELEASE_v1.txt", "meta.json", "raw", "split"]


def test_a_folder_by_path_follows_its_changes(root: Path, tmp_path: Path) -> None:
    folder = _own_folder(tmp_path)
    first = load_dataset(folder)
    assert first.labels is not None
    assert first.labels.y.tolist() == [0, 1, 1]
    np.savez(folder / "raw" / "node-label.npz", node_label=np.array([[1], [0], [0]]))
    second = load_dataset(str(folder))
    assert second.labels is not None
    assert second.labels.y.tolist() == [1, 0, 0]
    assert not (folder / "processed").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": None}, "lacks 'split'"),
        ({"split": "../../etc"}, r"meta\.json names '\.\./\.\./etc', which leads out of its folder"),
        ({"split": "/etc"}, "leads out of its folder"),
        ({"version": "1/../../../../stolen"}, "leads out of its folder"),
        ({"additional node files": "node_year,../../node_year"}, "leads out of its folder"),
        ({"version": {"a": 1}}, r"has \{'a': 1\} for 'version'"),
        ({"is hetero": True}, "several kinds of nodes"),
        ({"is hetero": "True"}, "several kinds of nodes"),
        ({"eval metric": "F1"}, "scored by 'F1'"),
        ({"split": "time"}, "lacks split/time/train"),
        ({"version": 2}, r"no RELEASE_v2\.txt"),
    ],
)
def test_folders_that_cannot_be_read(root: Path, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_dataset(_own_folder(tmp_path, **changes))


def test_a_folder_with_damaged_files(root: Path, tmp_path: Path) -> None:
    folder = _own_folder(tmp_path)
    (folder / "raw" / "data.npz").write_bytes(b"junk")
    with pytest.raises(InputError, match=r"data\.npz is damaged") as caught:
        load_dataset(folder)
    assert str(folder) in str(caught.value)
    shutil.rmtree(folder)
    folder = _own_folder(tmp_path)
    (folder / "meta.json").write_text("{")
    with pytest.raises(InputError, match=r"meta\.json is not JSON"):
        load_dataset(folder)
    (folder / "meta.json").unlink()
    with pytest.raises(InputError, match=r"has no meta\.json: write what"):
        load_dataset(folder)


def test_a_split_that_overlaps(root: Path, tmp_path: Path) -> None:
    folder = _own_folder(tmp_path)
    _split(folder, "random", [0, 1], [1], [2])
    with pytest.raises(InputError, match="item 1 in train and in val"):
        load_dataset(folder)


def test_a_last_graph_without_edges_is_kept(root: Path) -> None:
    folder = _graph_set(root, "ogbg-ppa", labels=_column([36, 0]), split="species", bonds=[[0.1] * 7, [0.2] * 7])
    _table(folder / "raw" / "edge.csv.gz", [(0, 1), (1, 2)])
    _table(folder / "raw" / "num-edge-list.csv.gz", _column([2, 0]))
    data = load_dataset("ogbg-ppa")
    assert (data.num_items, data.graph.num_nodes, data.graph.num_edges) == (2, 5, 4)


@pytest.mark.parametrize(
    ("file", "rows", "message"),
    [
        ("edge", [(0, 1), (1, 2), (0, 1), (1, 0)], "holds 4 edges, but 3 were read"),
        ("edge-feat", [[0.1] * 7] * 4, "holds 4 edges, but 3 were read"),
        ("graph-label", _column([36, 0, 1]), "holds 3 labels, but 2 were read"),
        ("num-edge-list", _column([2, 1, 0]), "holds 3 graphs, but 2 were read"),
    ],
)
def test_rows_that_ogb_would_lose(root: Path, file: str, rows: Any, message: str) -> None:
    folder = _graph_set(root, "ogbg-ppa", labels=_column([36, 0]), split="species", bonds=[[0.1] * 7] * 3)
    _table(folder / "raw" / f"{file}.csv.gz", rows)
    with pytest.raises(InputError, match=message) as caught:
        load_dataset("ogbg-ppa")
    assert str(folder) in str(caught.value)


def test_tables_without_a_final_newline_lose_nothing(root: Path) -> None:
    folder = _arxiv(root)
    whole = load_dataset("ogbn-arxiv")
    shutil.rmtree(folder / "processed")
    for path in folder.rglob("*.csv.gz"):
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).rstrip()))
    again = load_dataset("ogbn-arxiv")
    assert (again.checksum, again.splits[0].hash) == (whole.checksum, whole.splits[0].hash)


def test_rows_that_ogb_would_lose_from_a_binary_file(root: Path, tmp_path: Path) -> None:
    folder = _own_folder(tmp_path)
    with np.load(folder / "raw" / "data.npz") as file:
        arrays = dict(file)
    np.savez(folder / "raw" / "data.npz", **{**arrays, "num_edges_list": np.array([2])})
    with pytest.raises(InputError, match="holds 3 edges, but 2 were read"):
        load_dataset(folder)
