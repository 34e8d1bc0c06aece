"""Files that networkx reads, with what is read of their attributes; hostile XML is refused before it is expanded."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

from gssl.common.errors import InputError
from gssl.datasets.declared import NOTHING
from gssl.datasets.formats.network_file import read
from gssl.datasets.types import Dataset


def _edges(data: Dataset) -> set[tuple[int, int]]:
    return {(int(u), int(v)) for u, v in data.graph.block.edge_index.T}


def _graph() -> nx.DiGraph:
    graph = nx.DiGraph()
    for name, kind in (("a", 0), ("b", 1), ("c", 1)):
        graph.add_node(name, y=kind, age=3.5)
    graph.add_edge("a", "b", weight=2.0)
    graph.add_edge("c", "b", weight=1.0)
    return graph


def _write_node_link(graph: nx.Graph, path: Path) -> None:
    path.write_text(json.dumps(nx.node_link_data(graph, edges="links")))


@pytest.mark.parametrize(
    ("suffix", "write"),
    [("gml", nx.write_gml), ("gexf", nx.write_gexf), ("graphml", nx.write_graphml), ("json", _write_node_link)],
)
def test_every_format_gives_the_same_graph(tmp_path: Path, suffix: str, write: Callable[..., Any]) -> None:
    path = tmp_path / f"mine.{suffix}"
    write(_graph(), path)
    data = read(path, NOTHING)
    assert data.name == "mine"
    assert _edges(data) == {(0, 1), (2, 1)}
    assert data.graph.block.weight is not None
    assert sorted(data.graph.block.weight.tolist()) == [1, 2]
    assert data.labels is not None
    assert (data.labels.y.tolist(), data.labels.num_classes) == ([0, 1, 1], 2)
    assert "node attributes that are not read: age, which from_networkx takes by their names" in data.notes


def test_undirected_graphs_and_adjacency_lists(tmp_path: Path) -> None:
    nx.write_adjlist(nx.path_graph(3), tmp_path / "mine.adjlist")
    assert _edges(read(tmp_path / "mine.adjlist", NOTHING)) == {(0, 1), (1, 0), (1, 2), (2, 1)}
    nx.write_gml(nx.path_graph(3), tmp_path / "mine.gml")
    assert _edges(read(tmp_path / "mine.gml", NOTHING)) == {(0, 1), (1, 0), (1, 2), (2, 1)}


def test_labels_that_name_the_nodes_are_no_classes(tmp_path: Path) -> None:
    graph = nx.path_graph(3)
    nx.write_gexf(graph, tmp_path / "mine.gexf")
    data = read(tmp_path / "mine.gexf", NOTHING)
    assert data.labels is None
    assert "label names the nodes, so it is no class" in data.notes
    nodes = "".join(f'node [ id {i} label "{word}" ]' for i, word in enumerate("uvv"))
    (tmp_path / "classes.gml").write_text(f"graph [ {nodes} edge [ source 0 target 1 ] ]")
    classes = read(tmp_path / "classes.gml", NOTHING)
    assert classes.labels is not None
    assert classes.labels.y.tolist() == [0, 1, 1]


_BOMB = '<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'


@pytest.mark.parametrize("suffix", ["graphml", "gexf"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_bomb_of_entities_is_refused(tmp_path: Path, suffix: str, encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?>{_BOMB}<graphml><graph>&b;</graph></graphml>'
    (tmp_path / f"bomb.{suffix}").write_bytes(text.encode(encoding))
    with pytest.raises(InputError, match="DOCTYPE"):
        read(tmp_path / f"bomb.{suffix}", NOTHING)


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        ("gml", "graph [ node [ id 0"),
        ("gml", "graph " + "[ a " * 3000),
        ("graphml", "<graphml><graph>"),
        ("gexf", "junk"),
        ("json", "[1, 2]"),
        ("json", '{"nodes": [{"id": 0}], "links": [{"source": 0}]}'),
        ("json", "[" * 100_000),
        ("adjlist", ""),
    ],
)
def test_damage_is_one_error(tmp_path: Path, suffix: str, content: str) -> None:
    (tmp_path / f"bad.{suffix}").write_text(content)
    with pytest.raises(InputError, match=rf"bad\.{suffix}"):
        read(tmp_path / f"bad.{suffix}", NOTHING)


def test_a_file_larger_than_the_memory_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nx.write_gml(_graph(), tmp_path / "mine.gml")
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 1000})())
    with pytest.raises(InputError, match=r"may not fit the memory.*edge_index\.npy"):
        read(tmp_path / "mine.gml", NOTHING)
