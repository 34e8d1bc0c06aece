"""TU sets: every line of their text files is read, and files that do not fit together are refused."""

import shutil
from pathlib import Path

import pytest

from gssl.common.errors import InputError
from gssl.datasets.load import load_dataset
from gssl.datasets.types import Dataset
from gssl.graph.sparse import dense_features


def _edges(data: Dataset) -> set[tuple[int, int]]:
    return {(int(u), int(v)) for u, v in data.graph.block.edge_index.T}


def test_tu_set_with_attributes_labels_and_bonds(root: Path) -> None:
    raw = root / "TUDataset" / "DD" / "raw"
    raw.mkdir(parents=True)
    files = {
        "A": "1, 2\n2, 1\n3, 4\n4, 3\n4, 4\n", "graph_indicator": "1\n1\n2\n2\n", "graph_labels": "-1\n1\n",
        "node_labels": "5\n6\n8\n5\n", "node_attributes": "0.1, 7\n0.2, 7\n0.3, 7\n0.4, 7\n",
        "edge_labels": "2\n2\n3\n3\n3\n",
    }  # fmt: skip
    for key, text in files.items():
        (raw / f"DD_{key}.txt").write_text(text)
    data = load_dataset("DD")
    assert data.labels is not None
    assert data.labels.y.tolist() == [0, 1]
    assert dense_features(data.graph.x).tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]]
    assert data.graph.block.edge_attr is not None
    assert data.graph.block.edge_attr.tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]
    assert _edges(data) == {(0, 1), (1, 0), (2, 3), (3, 2)}
    assert "continuous node attributes left out, node labels kept" in data.notes


def _tu_files(root: Path, **changes: str | None) -> Path:
    """Two graphs: a path of three nodes, and an edge with a node of its own."""
    raw = root / "TUDataset" / "DD" / "raw"
    raw.mkdir(parents=True)
    files: dict[str, str | None] = {
        "A": "1, 2\n2, 1\n2, 3\n3, 2\n4, 5\n5, 4\n", "graph_indicator": "1\n1\n1\n2\n2\n2\n",
        "graph_labels": "0\n1\n", "node_labels": "5\n6\n5\n5\n6\n7\n", "edge_labels": "0\n0\n1\n1\n0\n0\n", **changes,
    }  # fmt: skip
    for key, text in files.items():
        if text is not None:
            (raw / f"DD_{key}.txt").write_text(text)
    return raw


@pytest.mark.parametrize("end", ["", "\n\n", "\r\n"])
def test_the_last_line_of_a_tu_file_counts(root: Path, end: str) -> None:
    raw = _tu_files(root)
    whole = load_dataset("DD")
    shutil.rmtree(raw.parent / "processed")
    written = {path: path.read_text().rstrip("\n") + end for path in raw.iterdir()}
    for path, text in written.items():
        path.write_text(text, newline="")
    again = load_dataset("DD")
    assert (again.checksum, again.graph.num_edges, again.num_items) == (whole.checksum, 6, 2)
    assert {path: path.read_bytes().decode() for path in raw.iterdir()} == written


@pytest.mark.parametrize("labels", ["5\n6\n5\n5\n6\n7\n", None])
def test_a_last_tu_graph_without_edges_is_kept(root: Path, labels: str | None) -> None:
    _tu_files(root, A="1, 2\n2, 1\n2, 3\n3, 2\n", edge_labels="0\n0\n1\n1\n", node_labels=labels)
    data = load_dataset("DD")
    assert data.graph.ptr is not None
    assert (data.graph.ptr.tolist(), _edges(data)) == ([0, 3, 6], {(0, 1), (1, 0), (1, 2), (2, 1)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"A": "1, 2\n2, 1\n2, 3\n3, 2\n3, 4\n4, 3\n"}, "node 3 of graph 1 with node 4 of graph 2 in line 5"),
        ({"A": "1, 2\n2, 1\n2, 3\n3, 2\n0, 1\n1, 0\n"}, "joins nodes 0 and 1 in line 5"),
        ({"A": "1, 2\n2, 1\n2, 3\n3, 2\n4, 7\n7, 4\n"}, "joins nodes 4 and 7 in line 5, but nodes are numbered"),
        ({"graph_indicator": "1\n1\n2\n1\n2\n2\n"}, r"names graph 1 in line 4"),
        ({"graph_labels": "0\n1\n1\n"}, "graph_labels.txt has 3 lines, but there are 2 graphs"),
        ({"node_labels": "5\n6\n5\n5\n6\n"}, "node_labels.txt has 5 lines, but there are 6 nodes"),
        ({"edge_labels": "0\n0\n1\n1\n0\n0\n1\n"}, "edge_labels.txt has 7 lines, but there are 6 edges"),
    ],
)
def test_tu_files_that_do_not_fit_together(root: Path, changes: dict[str, str], message: str) -> None:
    raw = _tu_files(root, **changes)
    with pytest.raises(InputError, match=message) as caught:
        load_dataset("DD")
    assert str(raw.parent) in str(caught.value)
    assert not (raw.parent / "processed").exists()


def test_attributes_of_a_tu_set_serve_where_there_are_no_labels(root: Path) -> None:
    attributes = "0.5, 1\n0, 0\n2, 2\n1, 0\n0, 1\n3, 3\n"
    _tu_files(root, node_labels=None, node_attributes=attributes)
    data = load_dataset("DD")
    assert dense_features(data.graph.x).tolist() == [[0.5, 1], [0, 0], [2, 2], [1, 0], [0, 1], [3, 3]]
    assert "continuous node attributes serve as features: there are no node labels" in data.notes
