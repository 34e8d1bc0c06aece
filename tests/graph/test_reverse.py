"""Opposite edges and undirected pairs, against dictionaries."""

from collections import defaultdict
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gssl.graph.pairs import Pairs
from gssl.graph.sparse import Pattern


@dataclass(frozen=True)
class Case:
    pattern: Pattern
    places: list[tuple[int, int]]


@st.composite
def patterns(draw: st.DrawFn, *, square: bool = False) -> Case:
    """Edges with copies, self-loops and missing opposites, in any order within a row."""
    rows = draw(st.integers(1, 6))
    cols = rows if square else draw(st.integers(rows, 8))
    place = st.tuples(st.integers(0, rows - 1), st.integers(0, cols - 1))
    places = draw(st.lists(place, max_size=20))
    if draw(st.booleans()):  # a symmetric one, in which copies may be many
        places += [(j, i) for i, j in places if j < rows]
    places.sort(key=lambda place: place[0])
    row, col = torch.tensor(places, dtype=torch.int64).reshape(-1, 2).T
    rowptr = torch.cat([torch.zeros(1, dtype=torch.int64), torch.bincount(row, minlength=rows).cumsum(0)])
    dtype = draw(st.sampled_from([torch.int32, torch.int64]))
    return Case(Pattern(rowptr.to(dtype), col.to(dtype), cols), places)


def opposites(places: list[tuple[int, int]]) -> list[int]:
    at = defaultdict(list)
    for number, place in enumerate(places):
        at[place].append(number)
    found = []
    for number, (i, j) in enumerate(places):
        copy = at[i, j].index(number)
        found.append(at[j, i][copy] if copy < len(at[j, i]) else -1)
    return found


@settings(max_examples=200, deadline=None)
@given(patterns(), st.booleans())
def test_reverse_pairs_the_kth_copies(case: Case, known: bool) -> None:
    if known:
        _ = case.pattern.transposed
    reverse = case.pattern.reverse
    assert reverse.dtype == torch.int64
    assert reverse.tolist() == opposites(case.places)
    has = (reverse >= 0).nonzero().squeeze(1)
    assert torch.equal(reverse[reverse[has]], has)  # the opposite of the opposite


@settings(max_examples=60, deadline=None)
@given(patterns(square=True), st.integers(0, 1000), st.booleans())
def test_reverse_of_a_filtered_pattern(case: Case, seed: int, known: bool) -> None:
    if known:
        _ = case.pattern.reverse, case.pattern.pairs
    keep = torch.rand(len(case.places), generator=torch.Generator().manual_seed(seed)) < 0.6
    left = [place for place, kept in zip(case.places, keep.tolist(), strict=True) if kept]
    view = case.pattern.filter(keep)
    assert view.reverse.tolist() == opposites(left)
    assert view.pairs.num_pairs == len({(min(place), max(place)) for place in left})


def test_reverse_of_an_undirected_graph_is_its_transpose(monkeypatch: pytest.MonkeyPatch) -> None:
    """No second sort where the transpose tells it."""
    edges = torch.tensor([[0, 1, 1, 2, 2, 2, 3], [1, 0, 2, 1, 2, 3, 2]])
    pattern, _ = Pattern.from_coo(edges[0], edges[1], 4, 4)
    monkeypatch.setattr("gssl.graph.sparse._opposites", None)
    assert torch.equal(pattern.reverse, pattern.transposed[1])
    assert pattern.reverse.tolist() == [1, 0, 3, 2, 4, 6, 5]


@settings(max_examples=200, deadline=None)
@given(patterns())
def test_pairs_hold_both_directions_and_every_copy(case: Case) -> None:
    pairs = case.pattern.pairs
    ends = sorted({(min(place), max(place)) for place in case.places})
    assert list(map(tuple, pairs.ends.T.tolist())) == ends
    assert [ends[p] for p in pairs.index.tolist()] == [(min(place), max(place)) for place in case.places]
    assert pairs.is_loop.tolist() == [i == j for i, j in ends]
    assert pairs.num_pairs == len(ends)
    for end, position in zip(ends, pairs.position.tolist(), strict=True):
        assert position == case.places.index(end if end in case.places else end[::-1])


@settings(max_examples=100, deadline=None)
@given(patterns())
def test_neighbors_are_those_of_the_simple_graph(case: Case) -> None:
    pairs = case.pattern.pairs
    offsets, neighbors, pair = pairs.neighbors
    assert offsets.numel() == pairs.num_nodes + 1
    for node in range(pairs.num_nodes):
        span = slice(int(offsets[node]), int(offsets[node + 1]))
        expected = {j for i, j in case.places if i == node} | {i for i, j in case.places if j == node}
        assert neighbors[span].tolist() == sorted(expected - {node})
        for other, joined in zip(neighbors[span].tolist(), pair[span].tolist(), strict=True):
            assert sorted((node, other)) == pairs.ends[:, joined].tolist()


def test_no_edges() -> None:
    none: Tensor = torch.zeros(0, dtype=torch.int64)
    pattern = Pattern(torch.zeros(4, dtype=torch.int32), none.int(), 3)
    assert pattern.reverse.numel() == 0
    assert pattern.pairs.num_pairs == 0
    assert pattern.pairs.neighbors[0].tolist() == [0, 0, 0, 0]
    assert Pairs.of(none, none, 0).neighbors[0].tolist() == [0]
