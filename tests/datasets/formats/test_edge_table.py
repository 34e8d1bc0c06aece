"""Tables and lists of edges: every line counts, tables of nodes are found, and nothing is guessed without a word."""

import gzip
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

from gssl.common.errors import InputError
from gssl.datasets.declared import NOTHING, Declared
from gssl.datasets.formats.edge_table import read_list, read_table
from gssl.datasets.load import load_dataset
from gssl.datasets.types import Dataset
from gssl.graph.sparse import dense_features


def _edges(data: Dataset) -> set[tuple[int, int]]:
    return {(int(u), int(v)) for u, v in data.graph.block.edge_index.T}


def _table(folder: Path, text: str, name: str = "g.csv", declared: Declared = NOTHING) -> Dataset:
    (folder / name).write_text(text)
    return read_table(folder / name, declared)


@pytest.mark.parametrize("header", ["source,target", "Source, Target", "src,dst", "from,to", "u,v"])
def test_ends_by_their_usual_names(tmp_path: Path, header: str) -> None:
    data = _table(tmp_path, f"{header}\n7,3\n3,9")
    assert _edges(data) == {(1, 0), (0, 2)}
    assert "nodes are the 3 that edges name; there is no table of nodes beside" in data.notes
    assert any("read as a directed graph" in note for note in data.notes)


def test_weights_and_columns_that_are_not_read(tmp_path: Path) -> None:
    data = _table(tmp_path, "a\tsource\ttarget\tweight\nz\tu\tv\t2\nz\tv\tw\t0.5\n", "g.tsv")
    assert data.graph.block.weight is not None
    assert data.graph.block.weight.tolist() == [2, 0.5]
    assert "arrays that are not read: a" in data.notes
    with pytest.raises(InputError, match=r"weight is no number in row 2 \('x'\)"):
        _table(tmp_path, "source,target,weight\n0,1,1\n1,2,x\n")


def test_a_table_without_a_header(tmp_path: Path) -> None:
    data = _table(tmp_path, "0,1,2.5\n1,2,1\n")
    assert (_edges(data), data.graph.num_nodes) == ({(0, 1), (1, 2)}, 3)
    assert "no column has a name, so the first row is an edge, too" in data.notes
    assert data.graph.block.weight is not None


def test_gephis_tables(tmp_path: Path) -> None:
    (tmp_path / "nodes.csv").write_text(
        "Id,Label,f,g,split,text\na,u,1,2,train,x\nb,v,3,4,val,x\nc,u,5,6,test,x\nd,,7,8,,\n"
    )
    data = _table(tmp_path, "Source,Target,Type,Weight\na,b,Undirected,1\nc,b,Undirected,1", "edges.csv")
    assert _edges(data) == {(0, 1), (1, 0), (2, 1), (1, 2)}
    assert dense_features(data.graph.x).tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert data.labels is not None
    assert data.labels.y.tolist() == [0, 1, 0, -1]
    assert (data.splits[0].train.tolist(), data.splits[0].test.tolist()) == ([0], [2])
    assert "columns without numbers left out: text" in data.notes


def test_nodes_beside_by_number_and_in_a_folder(root: Path, tmp_path: Path) -> None:
    (tmp_path / "g_nodes.csv").write_text("x0,y\n1,0\n2,1\n3,1\n")
    data = _table(tmp_path, "source,target\n0,2\n")
    assert _edges(data) == {(0, 2)}
    assert "nodes are the 3 rows of g_nodes.csv, numbered from 0" in data.notes
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "edges.csv.gz").write_bytes(gzip.compress(b"source,target\n5,6\n", mtime=0))
    (folder / "nodes.csv").write_text("id,x0\n6,1\n5,0\n")
    assert _edges(load_dataset(folder)) == {(1, 0)}


@pytest.mark.parametrize(
    ("edges", "nodes", "message"),
    [
        (
            "source,target\n0,9\n",
            "id,x0\n0,1\n1,2\n",
            "row 1 of the edges names the node .*9.*, which g_nodes.csv lacks",
        ),
        ("source,target\n0,1\n", "id,x0\n0,1\n0,2\n", "has the node .*0.* twice in id"),
        ("source,target\n0,\n", None, "1 of 1 lines lack a node"),
        ("source,target\n0,1,2\n", None, "no whole table"),  # pandas would take the first column for a name of the row
        ("p,q\n0,1\n", None, "its columns are p, q; a table of edges has the columns source and target"),
        ("", None, "empty"),
    ],
)
def test_tables_that_do_not_fit(tmp_path: Path, edges: str, nodes: str | None, message: str) -> None:
    if nodes is not None:
        (tmp_path / "g_nodes.csv").write_text(nodes)
    with pytest.raises(InputError, match=message):
        _table(tmp_path, edges)


def test_a_table_with_smiles_stays_one_of_molecules(root: Path, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("source,target,smiles\n1,2,CC\n3,4,CO\n")
    assert load_dataset(tmp_path / "m.csv").level == "graph"
    (tmp_path / "g.csv").write_text("source,target\n1,2\n")
    assert load_dataset(tmp_path / "g.csv").level == "node"


@pytest.mark.parametrize(
    "text",
    [
        "0 1\n1 2",
        "# a comment\n0\t1\n1\t2\n",
        "% a comment\n0 1 1\n1 2 1\n",
        "0,1\n1,2\n",
        "0; 1\n1; 2\n",
        "  0   1\n1 2\n",
    ],
)
def test_lists_of_edges(tmp_path: Path, text: str) -> None:
    (tmp_path / "g.edges").write_text(text)
    assert _edges(read_list(tmp_path / "g.edges", NOTHING)) == {(0, 1), (1, 2)}
    assert _edges(read_list(tmp_path / "g.edges", Declared(undirected=True))) == {(0, 1), (1, 0), (1, 2), (2, 1)}


def test_what_networkx_writes(tmp_path: Path) -> None:
    graph = nx.Graph()
    graph.add_weighted_edges_from([(0, 1, 2.0), (1, 2, 3.0)])
    nx.write_edgelist(graph, tmp_path / "a.edgelist")
    nx.write_weighted_edgelist(graph, tmp_path / "b.edgelist")
    first, second = (read_list(tmp_path / f"{name}.edgelist", Declared(undirected=True)) for name in "ab")
    assert _edges(first) == _edges(second) == {(0, 1), (1, 0), (1, 2), (2, 1)}
    assert first.checksum == second.checksum


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello", "1 columns"),
        ("0 1\n1 2 3 4", "no whole table"),
        ("0 1\n1\n", "1 of 2 lines lack a node"),
        ("source target\n0 1\n", "names the columns source, target"),
        ("# only a comment\n", "no edges in its first"),
        ("0 1 {'a': __import__('os')}", "no list of edges"),
    ],
)
def test_texts_that_are_no_edges(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "g.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        read_list(tmp_path / "g.txt", NOTHING)


EDGES = "source,target\n0,1\n1,2\n2,3\n3,4\n4,5\n"


def _nodes(folder: Path, **columns: list[Any]) -> Dataset:
    rows = [",".join(map(str, row)) for row in zip(range(6), *columns.values(), strict=True)]
    (folder / "g_nodes.csv").write_text("\n".join([",".join(["id", *columns]), *rows]))
    return _table(folder, EDGES)


def test_a_class_that_is_called_na_is_one_and_empty_cells_are_none(tmp_path: Path) -> None:
    data = _nodes(tmp_path, y=["NA", "EU", "", "NA", "EU", "None"])
    assert data.labels is not None
    assert data.labels.y.tolist() == [1, 0, -1, 1, 0, -1]
    assert any("2 sorted values of y: EU, NA" in note for note in data.notes)
    assert any("2 of 6 items have no label" in note for note in data.notes)
    numbers = _nodes(tmp_path, y=[0, 1, "NA", 1, 0, ""])
    assert numbers.labels is not None
    assert numbers.labels.y.tolist() == [0, 1, -1, 1, 0, -1]


def test_nodes_that_are_called_na(tmp_path: Path) -> None:
    assert _edges(_table(tmp_path, "source,target\nDE,NA\nNA,FR\n")) == {(0, 2), (2, 1)}


@pytest.mark.parametrize("name", ["phase", "subset", "set", "split"])
def test_words_of_a_split_in_any_column_are_one(tmp_path: Path, name: str) -> None:
    (split,) = _nodes(tmp_path, y=[0, 1] * 3, **{name: ["train", "train", "valid", "", "test", "test"]}).splits
    assert [split.train.tolist(), split.val.tolist(), split.test.tolist()] == [[0, 1], [2], [4, 5]]


@pytest.mark.parametrize(
    ("name", "values"), [("fold", [0, 1, 2] * 2), ("partition", [0, 1] * 3), ("fold", list("abcabc"))]
)
def test_a_fold_is_no_feature(tmp_path: Path, name: str, values: list[Any]) -> None:
    with pytest.raises(InputError, match=f"{name} looks like a split"):
        _nodes(tmp_path, y=[0, 1] * 3, **{name: values})
    assert dense_features(_nodes(tmp_path, test_score=[0.5] * 6).graph.x).tolist() == [[0.5]] * 6


def test_a_second_column_of_labels_is_no_feature(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="y and label may both be the labels"):
        _nodes(tmp_path, y=[0, 1] * 3, label=[0, 1] * 3)
    named = _nodes(tmp_path, Label=list("abcdef"), **{"class": [0, 1] * 3})
    assert named.labels is not None
    assert named.labels.y.tolist() == [0, 1] * 3
    assert "Label names the nodes, so it is no class" in named.notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 1 3\n1 2\n", r"column 3 \(the weight\) is empty in row 2"),
        ("0 1 3\n1 2 a\n", r"column 3 \(the weight\) is no number in row 2 \('a'\)"),
        ("0 1\n1 2 3\n", "line 2 has 3 cells, but those before it have 2"),
    ],
)
def test_weights_of_some_lines_alone(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "g.edgelist").write_text(text)
    with pytest.raises(InputError, match=message):
        read_list(tmp_path / "g.edgelist", NOTHING)


def test_a_column_that_is_there_twice_is_not_renamed_to_a_feature(tmp_path: Path) -> None:
    (tmp_path / "g_nodes.csv").write_text("id,y,y\n0,1,1\n1,0,0\n")
    with pytest.raises(InputError, match="the column 'y' twice"):
        _table(tmp_path, "source,target\n0,1\n")
    (tmp_path / "m.csv").write_text("smiles,a,a\nC,1,0\nN,0,1\n")
    with pytest.raises(InputError, match="the column 'a' twice"):
        load_dataset(tmp_path / "m.csv")


def test_messages_name_ids_as_people_write_them(tmp_path: Path) -> None:
    (tmp_path / "g_nodes.csv").write_text("id,x0\n3,1\n4,2\n")
    with pytest.raises(InputError, match="names the node 9, which"):
        _table(tmp_path, "source,target\n3,9\n")


@pytest.mark.parametrize(
    ("text", "edges", "note"),
    [
        ("1,2\n2,a\n3,1\n", [(0, 1), (1, 3), (2, 0)], None),  # one column of numbers, and one with a text
        ("1.1,2.1\n1.10,2.2\n1.1,2.3\n", [(0, 2), (1, 3), (0, 4)], "1.1 and 1.10"),
        ("01,2\n1,3\n", [(0, 2), (1, 3)], "01 and 1"),
        ("1e3,2e4\n10e2,3e1\n", [(1, 2), (0, 3)], "10e2 and 1e3"),
        ("1.0,2\n2.0,10\n", [(0, 1), (1, 2)], None),  # as a table is written that had an empty cell
        (" a, b\nb,a\n", [(0, 1), (1, 0)], None),
        ("NA,null\nnull,nan\n", [(0, 2), (2, 1)], None),
    ],
)
def test_nodes_have_the_names_that_stand_there(
    tmp_path: Path, text: str, edges: list[tuple[int, int]], note: str | None
) -> None:
    data = _table(tmp_path, f"source,target\n{text}")
    assert _edges(data) == set(edges)
    said = [entry for entry in data.notes if "spelling" in entry]
    assert [str(note) in entry for entry in said] == ([] if note is None else [True])


def test_nodes_are_those_of_the_column_id(tmp_path: Path) -> None:
    (tmp_path / "g_nodes.csv").write_text("index,id,y,f\n0,3,0,.1\n1,2,1,.2\n2,1,0,.3\n3,0,1,.4\n")
    data = _table(tmp_path, "source,target\n0,1\n2,3\n")
    assert _edges(data) == {(3, 2), (1, 0)}
    assert dense_features(data.graph.x).shape == (4, 1)
    assert "nodes are the 4 rows of g_nodes.csv, named by its column id" in data.notes
    assert "further names of the nodes left out: index" in data.notes


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ("1.5\n01", r"names the node 1, which g_nodes.csv lacks \(it has 01: write the same name in both\)"),
        ("1\n ", "has no id in row 2"),
        ("1\n1.0", "has the node 1 twice in id"),
    ],
)
def test_nodes_that_are_not_named_as_in_the_edges(tmp_path: Path, ids: str, message: str) -> None:
    (tmp_path / "g_nodes.csv").write_text("id,f\n" + "".join(f"{name},0.5\n" for name in ids.split("\n")))
    with pytest.raises(InputError, match=message):
        _table(tmp_path, "source,target\n1,1\n")


def test_nodes_whose_column_once_had_an_empty_cell(tmp_path: Path) -> None:
    (tmp_path / "g_nodes.csv").write_text("id,f\n1.0,1\n2.0,2\n3.0,3\n")
    assert _edges(_table(tmp_path, "source,target\n1,2\n2,3\n")) == {(0, 1), (1, 2)}


def test_comments_are_whole_lines(tmp_path: Path) -> None:
    (tmp_path / "g.edgelist").write_text("# notes\nA F#\n% more\nF B\n#A Z\nA B\n")
    data = read_list(tmp_path / "g.edgelist", NOTHING)
    assert (_edges(data), data.graph.num_nodes) == ({(0, 3), (2, 1), (0, 1)}, 4)
    assert "3 lines that begin with # or % are comments" in data.notes


def test_a_list_whose_second_line_has_no_weight(tmp_path: Path) -> None:
    (tmp_path / "g.edgelist").write_text("a b 1\nb c\n")
    with pytest.raises(InputError, match=r"column 3 \(the weight\) is empty in row 2"):
        read_list(tmp_path / "g.edgelist", NOTHING)


@pytest.mark.parametrize("beside", [False, True])
def test_a_table_without_edges_is_no_traceback(tmp_path: Path, beside: bool) -> None:
    if beside:
        (tmp_path / "g_nodes.csv").write_text("id,f\n1,0.5\n2,1.5\n")
        assert "the graph has no edges" in _table(tmp_path, "source,target\n").notes
        return
    with pytest.raises(InputError, match="there are no nodes"):
        _table(tmp_path, "source,target\n")
