"""Types of nodes around the nodes of one: what is known of them, and what becomes of them in a batch."""

import json
from dataclasses import replace

import torch

from gssl.datasets.checksums import graph_checksum
from gssl.graph.hetero import HeteroParts, HeteroSpec, NodeType, Relation, identity, pattern_of, union
from gssl.graph.sparse import Pattern, dense_features
from gssl.graph.spec import GraphSpec, misfit
from gssl.testing.toy import toy_graph, toy_hetero_graph


def places(pattern: Pattern) -> set[tuple[int, int]]:
    return set(zip(pattern.row.tolist(), pattern.col.tolist(), strict=True))


def test_a_pattern_counts_a_place_once_and_is_in_order() -> None:
    pattern = pattern_of(torch.tensor([2, 0, 2, 0]), torch.tensor([1, 3, 1, 0]), 3, 4)
    assert pattern.row.tolist() == [0, 0, 2]
    assert pattern.col.tolist() == [0, 3, 1]
    assert (pattern.num_rows, pattern.num_cols) == (3, 4)
    assert places(union([pattern, pattern_of(torch.tensor([1]), torch.tensor([2]), 3, 4)])) == {
        (0, 0), (0, 3), (1, 2), (2, 1),
    }  # fmt: skip


def test_neighbors_are_those_of_both_directions() -> None:
    """Two of the relations lead from the target, one to it, and one beside it."""
    to_b = pattern_of(torch.tensor([0, 1]), torch.tensor([0, 0]), 2, 3)  # rows b, columns target
    of_b = pattern_of(torch.tensor([2]), torch.tensor([1]), 3, 2)  # rows target, columns b
    beside = pattern_of(torch.tensor([0]), torch.tensor([0]), 2, 1)  # rows b, columns c
    relations = (
        Relation("t", "r", "b", to_b), Relation("b", "s", "t", of_b), Relation("c", "u", "b", beside),
        Relation("t", "v", "t", pattern_of(torch.tensor([0]), torch.tensor([1]), 3, 3)),
    )  # fmt: skip
    parts = HeteroParts("t", (NodeType("b", identity(2)), NodeType("c", identity(1))), relations, ())
    assert parts.neighbors.keys() == {"b"}
    assert places(parts.neighbors["b"]) == {(0, 0), (0, 1), (2, 1)}


def test_a_spec_is_plain_data_and_comes_back() -> None:
    spec = GraphSpec.of(toy_hetero_graph())
    assert spec.hetero == HeteroSpec(
        "paper",
        (("paper", 24), ("author", 5), ("subject", 6)),
        (("author", "to", "paper"), ("paper", "to", "author"), ("subject", "to", "paper"), ("paper", "to", "subject")),
        ("paper-author-paper", "paper-subject-paper"),
    )
    assert GraphSpec.from_mapping(json.loads(json.dumps(spec.mapping()))) == spec


def test_a_graph_of_one_type_is_recorded_as_before_there_were_types() -> None:
    assert GraphSpec.of(toy_graph()).mapping().keys() == {"in_dim", "edge_dim", "nodes", "edges", "meaning"}


def test_other_types_are_a_misfit() -> None:
    spec = replace(GraphSpec.of(toy_hetero_graph()), meaning="toy")
    assert spec.hetero is not None
    assert misfit(spec, spec, source_name="a", target_name="b") is None
    other = replace(spec, hetero=replace(spec.hetero, meta_paths=("paper-author-paper",)))
    assert "meta-paths" in (misfit(spec, other, source_name="a", target_name="b") or "")


def test_a_batch_has_the_types_until_its_edges_change() -> None:
    batch = toy_hetero_graph().full_batch()
    assert batch.hetero is not None
    assert batch.with_x(batch.x).hetero is batch.hetero
    assert batch.map_blocks(lambda block: block).hetero is None
    moved = batch._map(torch.Tensor.clone).hetero
    assert moved is not None
    assert moved.spec(24) == batch.hetero.spec(24)
    pairs = zip(moved.relations, batch.hetero.relations, strict=True)
    assert all(torch.equal(a.pattern.col, b.pattern.col) for a, b in pairs)


def test_everything_about_the_types_is_in_the_checksum() -> None:
    graph = toy_hetero_graph()
    parts = graph.hetero
    assert parts is not None
    author, subject = parts.others
    one, *rest = parts.meta_paths
    emptied = one.pattern.filter(torch.arange(one.pattern.nnz) > 0)
    changed = [
        replace(parts, target="article"),
        replace(parts, others=(NodeType("author", dense_features(author.x) * 2), subject)),
        replace(parts, relations=parts.relations[1:]),
        replace(parts, meta_paths=(replace(one, name="pap"), *rest)),
        replace(parts, meta_paths=(replace(one, pattern=emptied, count=None), *rest)),
        replace(parts, meta_paths=(replace(one, count=None), *rest)),
        replace(parts, positives=one.pattern),
        None,
    ]
    sums = {graph_checksum(replace(graph, hetero=other)) for other in [parts, *changed]}
    assert len(sums) == len(changed) + 1
