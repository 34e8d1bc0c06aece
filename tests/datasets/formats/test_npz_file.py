"""Archives of arrays in the layouts of known collections, and SciPy's own; what is not read is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

from gssl.common.errors import InputError
from gssl.datasets.convert import from_pyg
from gssl.datasets.declared import NOTHING, Declared
from gssl.datasets.formats import arrays_folder
from gssl.datasets.formats.npz_file import read
from gssl.datasets.types import Dataset
from gssl.graph.sparse import dense_features

MATRIX = scipy.sparse.csr_matrix(np.array([[0, 2, 0], [0, 0, 1], [1, 0, 0]], dtype=np.float32))
X = np.array([[0.5, 0, 0], [0, 3, 0], [0, 0, 0]], dtype=np.float32)


def _edges(data: Dataset) -> set[tuple[int, int]]:
    return {(int(u), int(v)) for u, v in data.graph.block.edge_index.T}


def _saved(path: Path, **arrays: Any) -> Dataset:
    np.savez(path / "mine.npz", **arrays)
    return read(path / "mine.npz", NOTHING)


def _parts(prefix: str, matrix: Any, mark: str = "_") -> dict[str, Any]:
    return {f"{prefix}{mark}{part}": getattr(matrix, part) for part in ("data", "indices", "indptr", "shape")}


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
def test_a_single_matrix_of_scipy(tmp_path: Path, kind: str) -> None:
    scipy.sparse.save_npz(tmp_path / "adj.npz", MATRIX.asformat(kind))
    data = read(tmp_path / "adj.npz", NOTHING)
    assert _edges(data) == {(0, 1), (1, 2), (2, 0)}
    assert data.graph.block.weight is not None
    weight = dict(
        zip(map(tuple, data.graph.block.edge_index.T.tolist()), data.graph.block.weight.tolist(), strict=True)
    )
    assert weight == {(0, 1): 2, (1, 2): 1, (2, 0): 1}


def test_a_matrix_that_is_not_square_or_of_another_format(tmp_path: Path) -> None:
    scipy.sparse.save_npz(tmp_path / "adj.npz", MATRIX[:2])
    with pytest.raises(InputError, match=r"shape \(2, 3\), but an adjacency matrix is square"):
        read(tmp_path / "adj.npz", NOTHING)
    scipy.sparse.save_npz(tmp_path / "adj.npz", MATRIX.asformat("bsr"))
    with pytest.raises(InputError, match=r"format bsr.*tocsr\(\)"):
        read(tmp_path / "adj.npz", NOTHING)


@pytest.mark.parametrize("mark", ["_", "."])
@pytest.mark.parametrize("sparse", [True, False])
def test_gnn_benchmark(tmp_path: Path, sparse: bool, mark: str) -> None:
    x = _parts("attr_matrix", scipy.sparse.csr_matrix(X), mark) if sparse else {"attr_matrix": X}
    names = np.array(["a", "b", "c"], dtype=object)
    data = _saved(tmp_path, **_parts("adj_matrix", MATRIX, mark), **x, labels=np.array([0, 1, 1]), node_names=names)
    assert dense_features(data.graph.x).tolist() == X.tolist()  # not made 0 and 1, as PyG does
    assert data.labels is not None
    assert data.labels.y.tolist() == [0, 1, 1]
    assert _edges(data) == {(0, 1), (1, 2), (2, 0)}
    notes = " ".join(data.notes)
    assert "arrays that are not read: node_names" in notes
    assert "labels is read as y" in notes


def test_heterophilous_graphs_are_undirected(tmp_path: Path) -> None:
    masks = {
        f"{part}_masks": np.eye(3, dtype=bool)[[i, (i + 1) % 3]] for i, part in enumerate(("train", "val", "test"))
    }
    arrays = dict(node_features=X, node_labels=np.array([0, 1, 1]), edges=np.array([[0, 1], [1, 2]]), **masks)
    data = _saved(tmp_path, **arrays)
    assert _edges(data) == {(0, 1), (1, 0), (1, 2), (2, 1)}
    assert [(split.train.tolist(), split.test.tolist()) for split in data.splits] == [([0], [2]), ([1], [0])]
    assert data.declared == {}  # nobody said so, so that it is no part of the configuration
    directed = read(tmp_path / "mine.npz", Declared(undirected=False))
    assert _edges(directed) == {(0, 1), (1, 2)}


def test_a_dense_matrix_is_read_where_there_are_no_edges(tmp_path: Path) -> None:
    assert _edges(_saved(tmp_path, A=MATRIX.toarray() > 0, X=X)) == {(0, 1), (1, 2), (2, 0)}
    data = _saved(tmp_path, edge_index=np.array([[0], [1]]), x=X, A=MATRIX.toarray(), attr=X)
    assert _edges(data) == {(0, 1)}
    assert "arrays that are not read: A, attr" in data.notes


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"A": np.eye(3), "adj": np.eye(3)}, "A and adj may both be adjacency"),
        ({"adj": np.eye(3), "x": X[:2]}, "adj has 3 rows, but x has 2"),
        ({"adj": np.array(["a"]), "x": X}, "adj is a ndarray, but must be a matrix of numbers"),
        ({**_parts("adj", MATRIX), "adj_indices": np.array([9, 2, 0])}, "damaged: it has index 9"),
        ({"pos": X}, "no adjacency matrix; found: pos; expected: an adjacency matrix"),
    ],
)
def test_what_is_no_graph(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _saved(tmp_path, **arrays)


def test_sparse_features_are_those_of_the_dense_file(tmp_path: Path) -> None:
    sparse = _saved(tmp_path, **_parts("adj", MATRIX), **_parts("attr", scipy.sparse.csr_matrix(X)))
    dense = _saved(tmp_path, **_parts("adj", MATRIX), attr=X)
    assert torch.equal(dense_features(sparse.graph.x), dense_features(dense.graph.x))


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (200, "x has 3 rows, but num_nodes is 200"),
        (2, "x has 3 rows, but num_nodes is 2"),
        (np.array([1, 2]), "num_nodes must be one whole number"),
    ],
)
@pytest.mark.parametrize("name", ["num_nodes", "n_nodes"])
def test_a_stated_number_of_nodes_is_that_of_the_features(tmp_path: Path, name: str, count: Any, message: str) -> None:
    edges = np.array([[0, 1], [1, 0]])
    with pytest.raises(InputError, match=message):
        _saved(tmp_path, edge_index=edges, x=X, **{name: count})
    assert _saved(tmp_path, edge_index=edges, x=X, **{name: 3}).graph.num_nodes == 3
    with pytest.raises(InputError, match="graph 1: x has 3 rows, but num_nodes is 4"):
        from_pyg([{"edge_index": edges, "x": X, "num_nodes": number} for number in (3, 4)])


def test_a_stated_number_of_nodes_is_that_of_the_matrix(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="A has 3 rows, but num_nodes is 5"):
        _saved(tmp_path, A=MATRIX.toarray(), num_nodes=5)
    with pytest.raises(InputError, match="x has 4 rows, but num_nodes is 3"):
        from_pyg({"adj_t": MATRIX, "x": np.eye(4)})


@pytest.mark.parametrize("name", ["phase", "subset", "set", "partition"])
@pytest.mark.parametrize("dtype", ["U", "S"])
@pytest.mark.parametrize("folder", [False, True])
def test_words_of_a_split_are_one_whatever_they_are_called(tmp_path: Path, name: str, dtype: str, folder: bool) -> None:
    arrays = {"edge_index": np.array([[0, 1], [1, 0]]), "x": X, "y": np.array([0, 1, 1])}
    arrays[name] = np.array(["test", "train", "valid"], dtype)
    arrays["colour"] = np.array(["red", "train", "blue"], dtype)
    if folder:
        for key, value in arrays.items():
            np.save(tmp_path / f"{key}.npy", value)
        data = arrays_folder.read(tmp_path, NOTHING)
    else:
        data = _saved(tmp_path, **arrays)
    (split,) = data.splits
    assert [split.train.tolist(), split.val.tolist(), split.test.tolist()] == [[1], [2], [0]]
    assert "arrays that are not read: colour" in data.notes
