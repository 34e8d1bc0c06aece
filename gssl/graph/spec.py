"""What an encoder must know of the data that it is made for, and whether two data sets mean the same by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gssl.graph.hetero import HeteroSpec
from gssl.graph.storage import Graph


@dataclass(frozen=True)
class Category:
    """One category of nodes or edges, which takes ``size`` one-hot columns.

    Attributes:
        name: for example ``"chirality"``.
        size: number of its values.
    """

    name: str
    size: int


@dataclass(frozen=True)
class Vocabulary:
    """What the columns of node features and edge attributes stand for.

    Attributes:
        meaning: two data sets have the same one exactly if their columns mean the same.
        nodes: categories of the nodes, whose one-hot columns lie side by side in this order; empty for numbers.
        edges: the same of the edges.
    """

    meaning: str
    nodes: tuple[Category, ...] = ()
    edges: tuple[Category, ...] = ()


@dataclass(frozen=True)
class GraphSpec:
    """What an encoder must know of a graph.

    Attributes:
        in_dim: columns of the node features.
        edge_dim: columns of the edge attributes; 0 if there are none.
        nodes: categories of which the node features are one-hot columns; empty for numbers, or if nothing is known.
        edges: the same of the edge attributes.
        meaning: what the columns stand for, see :class:`Vocabulary`; None if nothing says it.
        hetero: the types of nodes and the relations, where the graph is that of one type among several.
    """

    in_dim: int
    edge_dim: int = 0
    nodes: tuple[Category, ...] = ()
    edges: tuple[Category, ...] = ()
    meaning: str | None = None
    hetero: HeteroSpec | None = None

    def __post_init__(self) -> None:
        for what, categories, dim in (("node", self.nodes, self.in_dim), ("edge", self.edges, self.edge_dim)):
            width = sum(category.size for category in categories)
            if categories and width != dim:
                raise ValueError(f"the {what} categories have {width} one-hot columns, the data {dim}")

    @classmethod
    def of(cls, graph: Graph, vocabulary: Vocabulary | None = None) -> GraphSpec:
        """The spec of a graph, or of a collection of graphs, whose columns mean what ``vocabulary`` says."""
        attributes = graph.block.edge_attr
        edge_dim = 0 if attributes is None else attributes.shape[1]
        hetero = None if graph.hetero is None else graph.hetero.spec(graph.in_dim)
        if vocabulary is None:
            return cls(graph.in_dim, edge_dim, hetero=hetero)
        edges = vocabulary.edges if edge_dim else ()
        return cls(graph.in_dim, edge_dim, vocabulary.nodes, edges, vocabulary.meaning, hetero)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> GraphSpec:
        """What :meth:`mapping` gave."""
        parts = {key: tuple(Category(**one) for one in values[key]) for key in ("nodes", "edges")}
        hetero = values.get("hetero")
        return cls(**{**values, **parts, "hetero": None if hetero is None else HeteroSpec.from_mapping(hetero)})

    def mapping(self) -> dict[str, Any]:
        """Plain data that a file can hold."""
        found = asdict(self)
        if self.hetero is None:
            del found["hetero"]  # as it was before there were types
        return found


def misfit(source: GraphSpec, target: GraphSpec, *, source_name: str, target_name: str) -> str | None:
    """Why an encoder that learned from one data set cannot be used on another one.

    Args:
        source: of the data that it learned from.
        target: of the data that it is to be used on.
        source_name, target_name: how the message names them.

    Returns:
        A sentence without a full stop, or None if the columns of both mean the same.
    """
    both = f"{source_name} and {target_name}"
    if None not in (source.meaning, target.meaning) and source.meaning != target.meaning:
        return (
            f"the features of {both} mean different things: {source_name} has {_described(source)}, "
            f"{target_name} {_described(target)}"
        )
    if source.hetero is not None and target.hetero is not None and source.hetero != target.hetero:
        return f"{source_name} and {target_name} have other types of nodes, relations or meta-paths"
    for what, here, there in (
        ("node features", source.in_dim, target.in_dim),
        ("edge attributes", source.edge_dim, target.edge_dim),
    ):
        if here != there:
            return f"{source_name} has {here} columns of {what}, {target_name} has {there}"
    if source.meaning is None or target.meaning is None:
        unknown = " and ".join(n for n, s in ((source_name, source), (target_name, target)) if s.meaning is None)
        return f"nothing says that the features of {both} mean the same: what those of {unknown} stand for is not known"
    return None


def _described(spec: GraphSpec) -> str:
    columns = f"{spec.in_dim} columns of {spec.meaning}"
    return columns if not spec.nodes else f"{columns} ({', '.join(f'{c.name} {c.size}' for c in spec.nodes)})"
