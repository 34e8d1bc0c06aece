"""MATLAB files: usual names, ids that count from 1, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from gssl.common.errors import InputError
from gssl.datasets.declared import NOTHING
from gssl.datasets.formats.mat_file import read
from gssl.datasets.types import Dataset
from gssl.graph.sparse import dense_features

MATRIX = scipy.sparse.csc_matrix(np.array([[0, 1.0, 0], [1, 0, 1], [0, 1, 0]]))
BOTH = {(0, 1), (1, 0), (1, 2), (2, 1)}


def _edges(data: Dataset) -> set[tuple[int, int]]:
    return {(int(u), int(v)) for u, v in data.graph.block.edge_index.T}


def _saved(path: Path, **variables: Any) -> Dataset:
    scipy.io.savemat(path / "mine.mat", variables)
    return read(path / "mine.mat", NOTHING)


def test_network_and_group(tmp_path: Path) -> None:
    data = _saved(tmp_path, network=MATRIX, group=scipy.sparse.csc_matrix(np.array([[1.0, 0], [0, 1], [1, 1]])))
    assert _edges(data) == BOTH
    assert data.labels is not None
    assert (data.labels.kind, data.labels.y.tolist()) == ("multilabel", [[1, 0], [0, 1], [1, 1]])


@pytest.mark.parametrize("names", [("A", "X", "Y"), ("Network", "Attributes", "Label"), ("adj", "features", "labels")])
def test_usual_names(tmp_path: Path, names: tuple[str, str, str]) -> None:
    values = (MATRIX, scipy.sparse.csc_matrix(np.eye(3)), np.array([[1], [2], [2]]))
    data = _saved(tmp_path, **dict(zip(names, values, strict=True)), pos=np.ones((3, 2)), text="told")
    assert _edges(data) == BOTH
    assert dense_features(data.graph.x).tolist() == np.eye(3).tolist()
    assert data.labels is not None
    assert data.labels.y.tolist() == [0, 1, 1]
    assert "arrays that are not read: pos, text" in data.notes


def test_edges_that_count_from_one(tmp_path: Path) -> None:
    data = _saved(tmp_path, edges=np.array([[1.0, 2], [2, 3]]), X=np.eye(3))
    assert _edges(data) == {(0, 1), (1, 2)}
    assert "the nodes in edges count from 1" in data.notes
    assert _edges(_saved(tmp_path, edge_index=np.array([[0, 1], [1, 2]]), x=np.eye(3))) == {(0, 1), (1, 2)}
    with pytest.raises(InputError, match="from 0 or from 1: save an adjacency matrix"):
        _saved(tmp_path, edges=np.array([[1, 2]]), X=np.eye(3))


def test_ids_that_may_count_from_one_are_refused(tmp_path: Path) -> None:
    ids = {"train_idx": np.array([1]), "val_idx": np.array([2]), "test_idx": np.array([0])}
    data = _saved(tmp_path, A=MATRIX, Y=np.array([0, 1, 1]), **ids)
    assert data.splits[0].test.tolist() == [0]
    with pytest.raises(InputError, match=r"no id is 0 in train_idx, test_idx.*save masks"):
        _saved(tmp_path, A=MATRIX, Y=np.array([0, 1, 1]), train_idx=np.array([1]), test_idx=np.array([2]))


def test_version_7_3_says_how_to_convert(tmp_path: Path) -> None:
    (tmp_path / "new.mat").write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512) + b"\x89HDF\r\n\x1a\n")
    with pytest.raises(InputError, match=r"version 7\.3.*'-v7'") as caught:
        read(tmp_path / "new.mat", NOTHING)
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize("cut", [0, 100, 200, 250])
def test_damage(tmp_path: Path, cut: int) -> None:
    scipy.io.savemat(tmp_path / "mine.mat", {"A": MATRIX})
    (tmp_path / "mine.mat").write_bytes((tmp_path / "mine.mat").read_bytes()[:cut])
    with pytest.raises(InputError):
        read(tmp_path / "mine.mat", NOTHING)


def test_indices_out_of_range_are_refused(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "mine.mat", {"A": MATRIX})
    content = (tmp_path / "mine.mat").read_bytes()
    indices = np.array([1, 0, 2, 1], dtype="<i4").tobytes()
    assert content.count(indices) == 1
    (tmp_path / "mine.mat").write_bytes(content.replace(indices, np.array([1, 0, 99, 1], dtype="<i4").tobytes()))
    with pytest.raises(InputError, match=r"index 99|no whole MATLAB file"):
        read(tmp_path / "mine.mat", NOTHING)


def test_a_file_that_states_more_than_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 50})())
    with pytest.raises(InputError, match="more than the memory"):
        _saved(tmp_path, A=MATRIX.toarray())


def test_what_is_no_graph(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no adjacency matrix; found: MUTAG"):
        _saved(tmp_path, MUTAG={"am": np.eye(2)})
