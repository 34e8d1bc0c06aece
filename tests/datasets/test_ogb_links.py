"""OGB's link sets: what its own writer and its own classes make of them, in both ways in which it stores pairs."""

import csv
import gzip
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gssl.common.errors import InputError
from gssl.datasets.catalog import find_spec
from gssl.datasets.links import visible_graph
from gssl.datasets.load import load_dataset
from gssl.datasets.ogb_import import without_update_check
from gssl.datasets.types import LinkSplit
from gssl.graph.sparse import dense_features

with without_update_check():
    from ogb.io import DatasetSaver
    from ogb.linkproppred import Evaluator, PygLinkPropPredDataset


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


def _published(
    root: Path, name: str, kind: str, edges: list[tuple[int, int]], parts: dict[str, dict[str, Any]]
) -> Path:
    """A set of 6 nodes as OGB's archives hold it: tables, and a split of three files."""
    folder = root / "ogb" / name.replace("-", "_")
    _table(folder / "raw" / "edge.csv.gz", edges)
    _table(folder / "raw" / "num-node-list.csv.gz", [(6,)])
    _table(folder / "raw" / "num-edge-list.csv.gz", [(len(edges),)])
    (folder / "split" / kind).mkdir(parents=True)
    for part, content in parts.items():
        torch.save(content, folder / "split" / kind / f"{part}.pt")
    (folder / "RELEASE_v1.txt").touch()
    return folder


DDI = {
    "train": {"edge": np.array([[0, 1], [2, 1], [3, 4]])},
    "valid": {"edge": np.array([[4, 2]]), "edge_neg": np.array([[0, 5], [5, 1]])},
    "test": {"edge": np.array([[5, 3], [1, 3]]), "edge_neg": np.array([[0, 2], [0, 3], [0, 4]])},
}


def _ddi(root: Path) -> Path:
    return _published(root, "ogbl-ddi", "target", [(0, 1), (2, 1), (3, 4)], DDI)


def _links(name: str | Path) -> LinkSplit:
    links = load_dataset(name).links
    assert links is not None
    return links


def test_common_negatives(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _ddi(root)
    data = load_dataset("OGBL-DDI")
    split = data.links
    assert split is not None
    assert (data.level, data.labels, data.splits) == ("node", None, ())
    assert (data.metric, data.probe) == ("hits@20", "Dot")
    edges = {(int(u), int(v)) for u, v in data.graph.block.edge_index.T}
    assert edges == {(0, 1), (1, 0), (2, 1), (1, 2), (3, 4), (4, 3)}
    assert (split.name, split.directed, split.grouped) == ("target", False, False)
    assert split.train.tolist() == [[0, 2, 3], [1, 1, 4]]
    assert (split.val.tolist(), split.val_negatives.tolist()) == ([[4], [2]], [[0, 5], [5, 1]])
    assert (split.test.tolist(), split.test_negatives.tolist()) == ([[5, 1], [3, 3]], [[0, 0, 0], [2, 3, 4]])
    assert any("training edges" in note for note in data.notes)
    assert dense_features(data.graph.x).argmax(dim=1).tolist() == [1, 2, 1, 1, 1, 0]  # of the training edges
    assert visible_graph(data.graph, split) is data.graph
    assert capfd.readouterr().out == ""  # ogb prints its progress


def test_own_negatives_of_directed_pairs(root: Path) -> None:
    parts: dict[str, dict[str, Any]] = {
        "train": {"source_node": np.array([0, 2, 3]), "target_node": np.array([1, 1, 4])},
        "valid": {
            "source_node": np.array([4]),
            "target_node": np.array([2]),
            "target_node_neg": np.array([[0, 1, 5]]),
        },
        "test": {
            "source_node": np.array([5, 1]),
            "target_node": np.array([3, 3]),
            "target_node_neg": np.array([[0, 1, 2], [2, 4, 5]]),
        },
    }
    folder = _published(root, "ogbl-citation2", "time", [(0, 1), (2, 1), (3, 4)], parts)
    _table(folder / "raw" / "node-feat.csv.gz", [(0.5, i) for i in range(6)])
    _table(folder / "raw" / "node_year.csv.gz", [(2015,)] * 6)
    data = load_dataset("ogbl-citation2")
    split = data.links
    assert split is not None
    assert (split.directed, split.grouped, data.metric) == (True, True, "mrr")
    assert split.train.tolist() == [[0, 2, 3], [1, 1, 4]]
    assert split.val_negatives.tolist() == [[0, 1, 5]]
    assert split.test_negatives.tolist() == [[0, 1, 2], [2, 4, 5]]
    assert "made undirected: 3 reverse edges added" in data.notes  # as in OGB's example; the pairs stay directed


def test_collaborations_of_several_years_add_up(root: Path) -> None:
    parts: dict[str, dict[str, Any]] = {
        part: {"edge": np.array([[0, 1]]), "weight": np.array([1]), "year": np.array([year])}
        for part, year in (("train", 2017), ("valid", 2018), ("test", 2019))
    }
    parts["valid"]["edge_neg"] = parts["test"]["edge_neg"] = np.array([[2, 3]])
    folder = _published(root, "ogbl-collab", "time", [(0, 1), (1, 0), (2, 1)], parts)
    _table(folder / "raw" / "node-feat.csv.gz", [(0.5, i) for i in range(6)])
    _table(folder / "raw" / "edge_weight.csv.gz", [(2,), (3,), (1,)])
    _table(folder / "raw" / "edge_year.csv.gz", [(2015,), (2016,), (2017,)])
    data = load_dataset("ogbl-collab")
    assert data.graph.block.weight is not None
    of_edge = dict(
        zip([tuple(e) for e in data.graph.block.edge_index.T.tolist()], data.graph.block.weight.tolist(), strict=True)
    )
    assert of_edge == {(0, 1): 5.0, (1, 0): 5.0, (1, 2): 1.0, (2, 1): 1.0}
    assert data.links is not None
    assert visible_graph(data.graph, data.links) is data.graph  # who will work together again may be asked


@pytest.mark.parametrize("name", ["ogbl-collab", "ogbl-ddi", "ogbl-ppa", "ogbl-citation2"])
def test_the_metric_is_that_of_ogbs_evaluator(name: str) -> None:
    spec = find_spec(name)
    assert spec is not None
    assert (spec.metric, spec.level) == (Evaluator(name).eval_metric, "node")


# Folders that OGB's own writer makes


def _saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: dict[str, Any], **changes: Any) -> Path:
    monkeypatch.chdir(tmp_path)
    saver = DatasetSaver("ogbl-mine", False, 1)
    edges = np.array([[0, 1, 1, 2, 3, 4], [1, 0, 2, 1, 4, 3]])
    features = np.arange(12, dtype=np.float32).reshape(6, 2)
    saver.save_graph_list([{"num_nodes": 6, "edge_index": edges, "node_feat": features}])
    saver.save_split(parts, "random")
    (tmp_path / "mapping").mkdir()
    (tmp_path / "mapping" / "README.md").touch()
    saver.copy_mapping_dir("mapping")
    saver.save_task_info("link prediction", "hits@2")
    meta = {key: value for key, value in saver.get_meta_dict().items() if key != "dir_path"} | changes
    folder = tmp_path / "ogbl_mine"
    shutil.move(tmp_path / saver.dataset_dir, folder)
    (folder / "meta.json").write_text(json.dumps(meta))
    return folder


def test_a_folder_of_ogbs_writer(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _saved(tmp_path, monkeypatch, DDI)
    data = load_dataset(folder)
    assert (data.name, data.level, data.graph.num_edges) == ("ogbl-mine", "node", 6)
    assert (data.metric, data.probe) == ("hits@2", "Dot")
    assert dense_features(data.graph.x).tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10, 11]]
    _same_as_ogb(folder, data.links)
    assert not (folder / "processed" / "geometric_data_processed.pt").exists()


def _same_as_ogb(folder: Path, split: LinkSplit | None) -> None:
    """Compare with what ogb's class reads, with every safeguard of torch.load off."""
    assert split is not None
    with pytest.MonkeyPatch.context() as patch:
        load = torch.load
        patch.setattr(torch, "load", lambda path: load(path, weights_only=False))
        meta = json.loads((folder / "meta.json").read_text()) | {"dir_path": str(folder)}
        official = PygLinkPropPredDataset("ogbl-mine", meta_dict=meta).get_edge_split()
    shutil.rmtree(folder / "processed")
    for part, ours in (("train", split.train), ("valid", split.val), ("test", split.test)):
        assert np.array_equal(official[part]["edge"].T, ours)
    assert np.array_equal(official["valid"]["edge_neg"].T, split.val_negatives)
    assert np.array_equal(official["test"]["edge_neg"].T, split.test_negatives)


def test_a_folder_follows_its_changes(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _saved(tmp_path, monkeypatch, DDI)
    first = _links(folder)
    turned = DDI | {"train": {"edge": DDI["train"]["edge"][::-1].copy()}}
    torch.save(turned, folder / "split" / "random" / "split_dict.pt")
    assert torch.equal(_links(folder).train, first.train.flip(1))


def test_a_folder_without_reverse_edges_has_directed_pairs(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _saved(tmp_path, monkeypatch, DDI)
    with np.load(folder / "raw" / "data.npz") as archive:
        arrays = dict(archive)
    arrays["edge_index"], arrays["num_edges_list"] = arrays["edge_index"][:, ::2], np.array([3])
    np.savez(folder / "raw" / "data.npz", **arrays)
    assert _links(folder).directed


@pytest.mark.parametrize("old", [False, True])
def test_arrays_of_either_numpy_are_read(root: Path, old: bool) -> None:
    """OGB's archives were pickled by a numpy whose functions lie elsewhere today."""
    folder = _ddi(root) / "split" / "target"
    for part, content in DDI.items():
        path = folder / f"{part}.pt"
        torch.save(content, path, _use_new_zipfile_serialization=False)
        pickled = path.read_bytes()
        assert b"cnumpy._core.multiarray\n" in pickled
        if old:
            path.write_bytes(pickled.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
    assert _links("ogbl-ddi").test.tolist() == [[5, 1], [3, 3]]


class _Evil:
    def __reduce__(self) -> Any:
        return (print, ("ran",))


def test_a_hostile_split_is_refused(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = _ddi(root)
    torch.save({"edge": _Evil()}, folder / "split" / "target" / "valid.pt")
    with pytest.raises(InputError, match="holds more than tensors"):
        load_dataset("ogbl-ddi")
    (folder / "split" / "target" / "valid.pt").write_bytes(pickle.dumps({"edge": 3}, protocol=2) + b"junk")
    with pytest.raises(InputError, match=r"valid\.pt"):
        load_dataset("ogbl-ddi")
    assert "ran" not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("part", "content", "message"),
    [
        ("train", {"head": np.array([0]), "tail": np.array([1])}, "neither 'edge' nor"),
        ("train", [1, 2], "holds no table of pairs for train"),
        ("train", {"edge": np.zeros((4, 3), dtype=np.int64)}, r"shape \(4, 3\) where node ids"),
        ("train", {"edge": np.zeros((4, 2))}, "float64"),
        ("valid", {"edge": np.array([[4, 2]])}, "no 'edge_neg'"),
        ("test", {"edge": np.array([[4, 6]]), "edge_neg": np.array([[0, 2]])}, "node 6 in test, but there are 6"),
        ("test", {"source_node": np.arange(2), "target_node": np.arange(3)}, "2 sources, but 3 targets"),
    ],
)
def test_splits_that_cannot_be_read(root: Path, part: str, content: Any, message: str) -> None:
    folder = _ddi(root)
    torch.save(content, folder / "split" / "target" / f"{part}.pt")
    with pytest.raises(InputError, match=message):
        load_dataset("ogbl-ddi")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"eval metric": "F1"}, r"scored by 'F1'.*hits@K"),
        ({"eval metric": "hits@0"}, "scored by 'hits@0'"),
        ({"split": "time"}, "lacks split/time/train"),
        ({"is hetero": "True"}, "several kinds of nodes"),
    ],
)
def test_folders_that_cannot_be_read(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_dataset(_saved(tmp_path, monkeypatch, DDI, **changes))


def test_a_missing_split_is_looked_for_elsewhere(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str) -> Any:
        raise OSError(f"no network for {url}")

    monkeypatch.setattr("gssl.datasets.download.urllib.request.urlopen", refuse)
    folder = _ddi(root)
    (folder / "split" / "target" / "test.pt").unlink()
    with pytest.raises(InputError, match=r"linkproppred/ddi\.zip"):
        load_dataset("ogbl-ddi")
