"""Files that networkx reads: GML, GEXF, GraphML, adjacency lists, edge lists with attributes, node-link JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from gssl.common.errors import InputError
from gssl.datasets.declared import Declared
from gssl.datasets.formats.text import check_text
from gssl.datasets.networkx_graphs import by_usual_names
from gssl.datasets.types import Dataset

if TYPE_CHECKING:
    import networkx as nx

_PER_BYTE = 40  # bytes of a graph of networkx for one of its file, at most


def read(path: Path, declared: Declared) -> Dataset:
    """A dataset from a file with one graph; of its attributes those with usual names are read, others are named.

    Raises:
        InputError: damaged, hostile, larger than the memory, or no graph.
    """
    check_text(path, _PER_BYTE)
    kind = path.suffix.lower()
    try:
        graph = _READERS[kind](path)
    except (InputError, PermissionError):
        raise
    except Exception as error:  # a damaged file can fail in any way
        reason = str(error).strip().partition("\n")[0][:200]
        raise InputError(
            f"{path} cannot be read as {kind[1:]} ({type(error).__name__}: {reason}): correct it"
        ) from None
    notes = _without_names(graph)
    found = by_usual_names(graph, name=path.stem, declared=declared)
    return replace(found, notes=(*notes, *found.notes))


def _gml(path: Path) -> nx.Graph:
    import networkx as nx

    try:
        return nx.read_gml(path)
    except nx.NetworkXError as error:
        if "label" not in str(error):
            raise
    return nx.read_gml(path, label="id")  # labels that are no names of their own: missing, or classes


def _gexf(path: Path) -> nx.Graph:
    import networkx as nx

    _refuse_doctype(path)
    return nx.read_gexf(path)


def _graphml(path: Path) -> nx.Graph:
    import networkx as nx

    _refuse_doctype(path)
    return nx.read_graphml(path)


def _adjacency_list(path: Path) -> nx.Graph:
    import networkx as nx

    return nx.read_adjlist(path)


def edge_list_with_attributes(path: Path) -> nx.Graph:
    """What ``networkx.write_edgelist`` writes: two nodes and a dictionary in each line."""
    import networkx as nx

    return nx.read_edgelist(path)


def _node_link(path: Path) -> nx.Graph:
    import networkx as nx

    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not {"links", "edges"} & content.keys() or "nodes" not in content:
        raise InputError(f"{path} is no graph: write networkx.node_link_data(graph), which has nodes and edges")
    return nx.node_link_graph(content, edges="links" if "links" in content else "edges")


_READERS: Mapping[str, Callable[[Path], Any]] = {
    ".gml": _gml,
    ".gexf": _gexf,
    ".graphml": _graphml,
    ".adjlist": _adjacency_list,
    ".edgelist": edge_list_with_attributes,
    ".edges": edge_list_with_attributes,
    ".txt": edge_list_with_attributes,
    ".json": _node_link,
}


class _Root(Exception):  # noqa: N818  not an error: the parser has seen what matters
    pass


def _refuse_doctype(path: Path) -> None:
    """Refuse a document type, in which entities could multiply without end; a graph needs none."""

    def doctype(*_: object) -> None:
        raise InputError(f"{path} has a DOCTYPE, which may hide a bomb: remove it")

    def root(*_: object) -> None:
        raise _Root

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler, parser.StartElementHandler = doctype, root
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
    except _Root:
        return


def _without_names(graph: nx.Graph) -> tuple[str, ...]:
    """Take away labels that name the nodes, which GEXF always has, so that they are no classes."""
    labels = [values.get("label") for _, values in graph.nodes(data=True)]
    if len(labels) < 2 or not all(isinstance(label, str) for label in labels) or len(set(labels)) < len(labels):
        return ()
    for _, values in graph.nodes(data=True):
        del values["label"]
    return ("label names the nodes, so it is no class",)
