"""Folders that ogb's own DatasetSaver writes: the level, the split and the description are what they say."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ogb.io import DatasetSaver

from gssl.common.errors import InputError
from gssl.datasets.load import load_dataset


def _saved(place: Path, prefix: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, Any]]:
    """A set of six graphs, or of one graph of six nodes, and its description."""
    monkeypatch.chdir(place)
    saver = DatasetSaver(dataset_name=f"{prefix}-mine", is_hetero=False, version=1)
    edges = np.array([[0, 1, 2, 3], [1, 2, 3, 0]])
    graph = {"edge_index": edges, "num_nodes": 6, "node_feat": np.arange(12, dtype=np.float32).reshape(6, 2)}
    saver.save_graph_list([graph] * (6 if prefix == "ogbg" else 1))
    saver.save_target_labels(np.array([[0], [1]] * 3))
    ids = {"train": np.array([0, 1, 3]), "valid": np.array([2]), "test": np.array([4, 5])}
    saver.save_split(ids, split_name="random")
    mapping = place / "mapping"
    mapping.mkdir()
    (mapping / "README.md").write_text("none")
    saver.copy_mapping_dir(str(mapping))
    saver.save_task_info(task_type="classification", eval_metric="acc", num_classes=2)
    meta = saver.get_meta_dict()
    return (place / f"submission_{prefix}_mine" / "mine").rename(place / "any-name"), meta


@pytest.mark.parametrize("prefix", ["ogbn", "ogbg"])
def test_what_dataset_saver_writes(root: Path, tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, meta = _saved(tmp_path, prefix, monkeypatch)
    with pytest.raises(InputError, match=r"has no meta\.json: write what its get_meta_dict\(\) returns"):
        load_dataset(folder)
    meta = {key: value == "True" if value in ("True", "False") else value for key, value in meta.items()}
    (folder / "meta.json").write_text(json.dumps(meta))  # with JSON's own truth values
    data = load_dataset(folder)
    assert (data.level, data.num_items, data.metric) == ("graph" if prefix == "ogbg" else "node", 6, "accuracy")
    split = data.splits[0]
    assert (split.train.tolist(), split.val.tolist(), split.test.tolist()) == ([0, 1, 3], [2], [4, 5])
    assert data.labels is not None
    assert data.labels.y.tolist() == [0, 1] * 3


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"train": np.array([0]), "valid": np.array([1])}, "no ids for train, valid and test"),
        ({"train": np.array([0.5]), "valid": np.array([1]), "test": np.array([2])}, "more than lists of ids"),
        ({"train": np.array([0]), "valid": np.array([1]), "test": np.array([9])}, "9"),
    ],
)
def test_a_split_that_is_none(
    root: Path, tmp_path: Path, split: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, meta = _saved(tmp_path, "ogbn", monkeypatch)
    (folder / "meta.json").write_text(json.dumps(meta))
    torch.save(split, folder / "split" / "random" / "split_dict.pt")
    with pytest.raises(InputError, match=message):
        load_dataset(folder)


def test_a_folder_of_ones_own_is_never_downloaded(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, meta = _saved(tmp_path, "ogbn", monkeypatch)
    (folder / "meta.json").write_text(json.dumps(meta))
    (folder / "raw" / "node-label.npz").unlink()

    def refuse(*_: object) -> None:
        pytest.fail("a download was tried")

    monkeypatch.setattr("gssl.datasets.ogb_source.download", refuse)
    with pytest.raises(InputError, match=r"lacks raw/node-label\.npz, which its meta\.json promises"):
        load_dataset(folder)
