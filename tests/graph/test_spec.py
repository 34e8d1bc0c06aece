"""Specs of graphs: what fits together, and why the rest does not."""

import json

import pytest

from gssl.graph.spec import Category, GraphSpec, Vocabulary, misfit
from gssl.testing.toy import toy_graph

WORDS = Vocabulary("toy words")
PARTS = Vocabulary("parts", nodes=(Category("kind", 20), Category("charge", 4)), edges=(Category("type", 2),))


def why(source: GraphSpec, target: GraphSpec) -> str | None:
    return misfit(source, target, source_name="A", target_name="B")


def test_a_spec_knows_its_graph() -> None:
    graph = toy_graph(attributes=True)
    assert GraphSpec.of(graph) == GraphSpec(24, 2)
    assert GraphSpec.of(graph, PARTS) == GraphSpec(24, 2, PARTS.nodes, PARTS.edges, "parts")
    assert GraphSpec.of(toy_graph(), PARTS).edges == ()  # a graph without edge attributes has none to describe


def test_categories_must_make_up_the_columns() -> None:
    with pytest.raises(ValueError, match="24 one-hot columns, the data 25"):
        GraphSpec(25, 0, PARTS.nodes)
    with pytest.raises(ValueError, match="edge categories have 2 one-hot columns, the data 3"):
        GraphSpec(24, 3, (), PARTS.edges)


def test_a_spec_survives_a_file() -> None:
    spec = GraphSpec.of(toy_graph(attributes=True), PARTS)
    assert GraphSpec.from_mapping(json.loads(json.dumps(spec.mapping()))) == spec


def test_what_means_the_same_fits() -> None:
    known = GraphSpec.of(toy_graph(attributes=True), PARTS)
    assert why(known, GraphSpec.of(toy_graph(attributes=True, seed=1), PARTS)) is None


def test_what_does_not_fit_says_why() -> None:
    parts, words = (GraphSpec.of(toy_graph(attributes=True), meaning) for meaning in (PARTS, WORDS))
    unknown = GraphSpec.of(toy_graph(attributes=True))
    other = why(parts, words) or ""
    assert "mean different things: A has 24 columns of parts (kind 20, charge 4), B 24 columns of toy words" in other
    assert why(unknown, GraphSpec(30, 2)) == "A has 24 columns of node features, B has 30"
    assert why(words, GraphSpec(24, 0, meaning="toy words")) == "A has 2 columns of edge attributes, B has 0"
    assert "those of B stand for is not known" in (why(parts, unknown) or "")
    assert "those of A and B stand for is not known" in (why(unknown, unknown) or "")
