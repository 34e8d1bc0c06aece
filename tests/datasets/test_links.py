"""Splits of links: an exact partition, true negatives, and a graph that has forgotten what is held out."""

import itertools
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.clean import clean_graph
from gssl.datasets.links import (
    _keys,
    _unranked,
    checked_links,
    has_degree_features,
    is_undirected,
    non_edges,
    random_link_split,
    visible_graph,
)
from gssl.datasets.load import load_dataset
from gssl.datasets.types import Dataset, LinkSplit
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph

Pair = tuple[int, int]


def graph_of(edges: Iterable[Pair], num_nodes: int) -> Graph:
    return Graph.from_edge_index(torch.tensor(list(edges)).T.reshape(2, -1), torch.zeros(num_nodes, 1))


def listed(pairs: Tensor) -> list[Pair]:
    return [(int(u), int(v)) for u, v in pairs.T]


def pairs_of(pairs: Tensor) -> set[frozenset[int]]:
    return {frozenset(pair) for pair in listed(pairs)}


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Graph, bool]:
    """Graphs with self-loops and repeated edges, both directed and not."""
    num_nodes = draw(st.integers(12, 40))
    node = st.integers(0, num_nodes - 1)
    edges = draw(st.lists(st.tuples(node, node), min_size=40, max_size=90))
    undirected = draw(st.booleans())
    if undirected:
        edges = edges + [(v, u) for u, v in edges]
    return graph_of(edges, num_nodes), undirected


@settings(max_examples=60, deadline=None)
@given(graphs(), st.integers(0, 2**40))
def test_a_random_split_keeps_its_promises(made: tuple[Graph, bool], seed: int) -> None:
    graph, undirected = made
    edges = graph.block.edge_index
    joined = pairs_of(edges[:, edges[0] != edges[1]])
    assume(len(joined) >= 20)
    split = random_link_split(graph, seed=seed)
    parts = [split.train, split.val, split.test]
    # Exact partition of pairs, both directions together, in the published sizes.
    assert [len(pairs_of(part)) for part in parts[1:]] == [int(0.05 * len(joined)), int(0.1 * len(joined))]
    assert sum(len(pairs_of(part)) for part in parts) == len(joined)
    assert set().union(*map(pairs_of, parts)) == joined
    distinct = {(u, v) for u, v in listed(edges) if u != v}
    everything = [pair for part in parts for pair in listed(part)]
    assert len(everything) == len(set(everything))
    assert split.directed == any((v, u) not in distinct for u, v in distinct)
    assert set(everything) == (distinct if split.directed else {pair for pair in distinct if pair[0] < pair[1]})
    assert not (undirected and split.directed)
    assert split.name == f"{'directed-' if split.directed else ''}links-0.05-0.1-seed{seed}"
    # Negatives: as many, distinct, disjoint, no edges in either direction, no self-loops.
    assert [split.val_negatives.shape, split.test_negatives.shape] == [part.shape for part in parts[1:]]
    negatives = pairs_of(torch.cat([split.val_negatives, split.test_negatives], dim=1))
    assert len(negatives) == split.val.shape[1] + split.test.shape[1]
    assert all(len(pair) == 2 for pair in negatives)
    assert not negatives & joined
    assert checked_links(split, graph.num_nodes) is split
    # The visible graph: training edges and self-loops as often as before, and nothing that is held out.
    seen = visible_graph(graph, split).block.edge_index
    held_out = pairs_of(torch.cat([split.val, split.test], dim=1))
    assert sorted(listed(seen)) == sorted(pair for pair in listed(edges) if frozenset(pair) not in held_out)
    assert not pairs_of(seen) & held_out


def ring(num_nodes: int) -> Graph:
    nodes = torch.arange(num_nodes)
    edges = torch.stack([nodes, (nodes + 1) % num_nodes])
    return Graph.from_edge_index(torch.cat([edges, edges.flip(0)], dim=1), torch.zeros(num_nodes, 1))


RING = "Graph.from_edge_index(torch.cat([e, e.flip(0)], 1), torch.zeros(300, 1))"


def test_the_same_seed_gives_the_same_split_in_another_process() -> None:
    code = (
        "import torch\nfrom gssl.datasets.links import random_link_split\nfrom gssl.graph.storage import Graph\n"
        f"n = torch.arange(300)\ne = torch.stack([n, (n + 1) % 300])\nprint(random_link_split({RING}, seed=4).hash)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == random_link_split(ring(300), seed=4).hash


def test_a_random_split_is_the_same_on_every_machine() -> None:
    assert random_link_split(ring(300), seed=0).hash == "00513f6572b22200"


def test_the_order_in_which_edges_are_given_does_not_matter() -> None:
    edges = ring(60).block.edge_index
    shuffled = edges[:, torch.randperm(edges.shape[1], generator=torch.Generator().manual_seed(0))]
    graph = Graph.from_edge_index(shuffled, torch.zeros(60, 1))
    assert random_link_split(graph, seed=1).hash == random_link_split(ring(60), seed=1).hash


def test_seeds_and_shares_give_different_splits_and_negatives_do_not_move_positives() -> None:
    graph = ring(200)
    splits = [random_link_split(graph, test=share, seed=seed) for share in (0.1, 0.2) for seed in range(10)]
    assert len({split.hash for split in splits}) == 20
    more = random_link_split(graph, seed=0, negatives_per_positive=2.5)
    assert [part.shape[1] for part in (more.val, more.val_negatives, more.test_negatives)] == [10, 25, 50]
    assert torch.equal(more.test, splits[0].test)
    assert more.name == "links-0.05-0.1-2.5negatives-seed0"


def test_the_hash_tells_every_part_and_kind_apart() -> None:
    split = random_link_split(ring(100), seed=0)
    others = [
        replace(split, directed=True),
        replace(split, val=split.val.flip(0)),
        replace(split, train=split.test, test=split.train),
        replace(split, val=split.val_negatives, val_negatives=split.val),
        replace(split, test_negatives=split.test_negatives[:, 1:]),
    ]
    assert len({split.hash, *(other.hash for other in others)}) == 6
    assert replace(split, name="other").hash == split.hash


def test_both_directions_of_a_directed_edge_go_to_the_same_part() -> None:
    rng = np.random.default_rng(0)
    edges = [(u, v) for u, v in rng.integers(0, 30, (150, 2)).tolist() if u != v]
    graph = graph_of(edges + [(v, u) for u, v in edges[:60]], 30)
    split = random_link_split(graph, seed=0)
    assert split.directed
    parts = [pairs_of(part) for part in (split.train, split.val, split.test)]
    assert not any(a & b for a, b in itertools.combinations(parts, 2))
    assert any(u > v for u, v in listed(split.test_negatives))  # their direction is drawn, too
    assert any(u < v for u, v in listed(split.test_negatives))


def test_pairs_are_drawn_uniformly_wherever_they_stand() -> None:
    counts = np.zeros(60)
    for seed in range(600):
        counts[random_link_split(ring(60), seed=seed).test.min(0).values.numpy()] += 1
    counts[0] /= 2  # the pairs {0, 1} and {0, 59} both begin with node 0
    assert np.abs(counts[:59] - 60).max() < 4.5 * (600 * 0.1 * 0.9) ** 0.5


def test_non_edges_are_uniform() -> None:
    """The 11 of 15 pairs that are not taken, drawn two at a time, are equally likely."""
    taken = torch.tensor([[0, 1, 2, 4, 5], [1, 2, 2, 3, 0]])  # with a self-loop and a reversed pair
    free = {frozenset(pair) for pair in itertools.combinations(range(6), 2)} - pairs_of(taken)
    counts: dict[frozenset[int], int] = dict.fromkeys(free, 0)
    for seed in range(2200):
        for pair in pairs_of(non_edges(taken, 6, 2, seed=seed)):
            counts[pair] += 1
    assert len(free) == 11
    assert max(abs(count - 400) for count in counts.values()) < 4.5 * (2200 * 2 / 11 * 9 / 11) ** 0.5


@pytest.mark.parametrize("count", [1, 40, 41, 60, 80])
def test_non_edges_of_dense_graphs_are_found_to_the_last_one(count: int) -> None:
    every = torch.tensor(list(itertools.combinations(range(25), 2))).T
    drawn = non_edges(every[:, 80:], 25, count, seed=3)
    assert len(pairs_of(drawn)) == count
    assert pairs_of(drawn) <= pairs_of(every[:, :80])
    with pytest.raises(InputError, match=r"81 pairs .* only 80"):
        non_edges(every[:, 80:], 25, 81, seed=3)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**31).flatmap(lambda high: st.tuples(st.integers(0, high), st.just(high + 1))))
def test_numbers_of_pairs_are_exact_where_floats_are_not(pair: Pair) -> None:
    (key,) = _keys(np.array(pair)[:, None])
    assert _unranked(np.array([key, key + 1]))[:, 0].tolist() == list(pair)
    low, high = pair
    assert _unranked(np.array([key + 1]))[:, 0].tolist() == ([low + 1, high] if low + 1 < high else [0, high + 1])


@pytest.mark.parametrize(
    ("val", "test"), [(0.0, 0.1), (0.1, 0.0), (-0.1, 0.2), (0.5, 0.5), (1.2, 0.1), (float("nan"), 0.1)]
)
def test_impossible_shares(val: float, test: float) -> None:
    with pytest.raises(InputError, match="shares"):
        random_link_split(ring(100), val=val, test=test, seed=0)


@pytest.mark.parametrize("wanted", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_numbers_of_negatives(wanted: float) -> None:
    with pytest.raises(InputError, match="negatives_per_positive"):
        random_link_split(ring(100), seed=0, negatives_per_positive=wanted)


def test_graphs_that_cannot_be_split() -> None:
    with pytest.raises(InputError, match=r"19 pairs of nodes, too few for a share of 0\.05 for validation"):
        random_link_split(ring(19), seed=0)
    assert random_link_split(ring(20), seed=0).val.shape[1] == 1
    with pytest.raises(InputError, match="0 pairs of nodes"):
        random_link_split(graph_of([(0, 0), (1, 1)], 3), seed=0)
    complete = graph_of(itertools.permutations(range(20), 2), 20)
    with pytest.raises(InputError, match=r"28 pairs .* only 0: it is too dense"):
        random_link_split(complete, seed=0)
    collection = Graph(ring(40).block, torch.zeros(40, 1), ptr=torch.tensor([0, 20, 40]))
    with pytest.raises(InputError, match="a set of 2 graphs"):
        random_link_split(collection, seed=0)


def test_shares_that_floats_cannot_hold_are_rounded_as_meant() -> None:
    split = random_link_split(ring(100), val=0.29, test=0.57, seed=0)  # 0.29 * 100 and 0.57 * 100 are a bit too small
    assert [part.shape[1] for part in (split.train, split.val, split.test)] == [14, 29, 57]


def test_weights_and_attributes_of_visible_edges_stay() -> None:
    edges = ring(40).block.edge_index
    number = (edges.amin(0) * 100 + edges.amax(0)).float()
    graph = Graph.from_edge_index(edges, torch.zeros(40, 1), edge_attr=number.unsqueeze(1), edge_weight=number + 1)
    _ = graph.block.pattern.transposed
    seen = visible_graph(graph, random_link_split(graph, seed=0))
    left = seen.block.edge_index
    expected = (left.amin(0) * 100 + left.amax(0)).float()
    assert seen.block.edge_attr is not None
    assert seen.block.weight is not None
    assert torch.equal(seen.block.edge_attr[:, 0], expected)
    assert torch.equal(seen.block.weight, expected + 1)
    assert seen.num_edges == 2 * (40 - 2 - 4)
    assert seen.x is graph.x


def test_degrees_that_serve_as_features_are_counted_anew() -> None:
    """Otherwise the features would tell how many edges of each node are held out."""
    rng = np.random.default_rng(0)
    graph, notes = clean_graph(rng.integers(0, 30, (2, 90)), None, num_nodes=30, undirected=True)
    data = Dataset("toy", "node", graph, None, notes=notes)
    assert has_degree_features(data)
    assert not has_degree_features(replace(data, notes=("2 self-loops removed",)))
    seen = visible_graph(graph, random_link_split(graph, seed=0), degrees=True)
    assert seen.x.shape == graph.x.shape
    degrees = torch.bincount(seen.block.edge_index[1], minlength=30)
    assert torch.equal(dense_features(seen.x).argmax(dim=1), degrees)
    assert not torch.equal(dense_features(seen.x), dense_features(graph.x))


def test_a_graph_of_training_edges_only_is_visible_as_it_is() -> None:
    """A held-out pair that is trained on, too, stays: ogbl-collab has such."""
    graph = ring(10)
    split = LinkSplit(
        "time",
        torch.tensor([[0, 1], [1, 2]]),
        torch.tensor([[1, 0], [0, 5]]),
        torch.tensor([[2], [7]]),
        torch.tensor([[0], [4]]),
        torch.tensor([[0], [6]]),
        directed=False,
    )
    assert visible_graph(graph, split) is graph
    hidden = replace(split, test=torch.tensor([[4, 1], [3, 2]]))
    assert pairs_of(graph.block.edge_index) - pairs_of(visible_graph(graph, hidden).block.edge_index) == {
        frozenset((3, 4))
    }


def test_directions() -> None:
    assert is_undirected(torch.tensor([[0, 1, 1, 2, 2], [1, 0, 2, 1, 2]]))
    assert not is_undirected(torch.tensor([[0, 1, 1], [1, 0, 2]]))
    assert is_undirected(torch.empty(2, 0, dtype=torch.int64))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val": torch.empty(2, 0, dtype=torch.int64)}, "no pairs in val"),
        ({"train": torch.zeros(3, 4, dtype=torch.int64)}, r"train .* shape \(2, ...\)"),
        ({"train": torch.zeros(2, 4)}, "must be int64"),
        ({"test_negatives": torch.tensor([[0], [10]])}, "node 10 in test_negatives, but there are 10"),
        ({"val": torch.tensor([[0, -1], [3, 2]])}, "node -1 in val"),
        ({"grouped": True, "test_negatives": torch.zeros(2, 5, dtype=torch.int64)}, r"shape \(1, ...\)"),
    ],
)
def test_splits_that_do_not_fit(changes: dict[str, object], message: str) -> None:
    pair = torch.tensor([[0], [1]])
    split = LinkSplit("made", pair, pair, pair, pair, pair, directed=False)
    grouped = replace(split, val_negatives=pair.T, test_negatives=pair.T, grouped=True)
    assert checked_links(grouped, 10) is grouped
    with pytest.raises(InputError, match=message):
        checked_links(replace(grouped if changes.get("grouped") else split, **changes), 10)  # type: ignore[arg-type]


def test_cora_is_split_as_in_gae(mirror: Path, processed: Path) -> None:
    """GAE's own code holds 263 and 527 of Cora's 5,278 pairs out."""
    graph = load_dataset("Cora", root=processed).graph
    split = random_link_split(graph, seed=0)
    assert [part.shape[1] for part in (split.train, split.val, split.test)] == [4488, 263, 527]
    assert visible_graph(graph, split).num_edges == 2 * 4488
