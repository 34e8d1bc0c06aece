"""Hop distances against networkx."""

import networkx
import pytest
import torch

from gssl.augment.hops import UNREACHED, hop_classes, hop_distances
from gssl.graph.sparse import Pattern


def directed(size: int = 40, edges: int = 38, seed: int = 0) -> Pattern:
    """A sparse random graph with loops, copies of edges, single directions, and several components."""
    ends = torch.randint(size, (2, edges), generator=torch.Generator().manual_seed(seed))
    return Pattern.from_coo(torch.cat([ends[0], ends[0][:3]]), torch.cat([ends[1], ends[1][:3]]), size, size)[0]


def by_networkx(pattern: Pattern) -> torch.Tensor:
    graph = networkx.Graph()
    graph.add_nodes_from(range(pattern.num_rows))
    graph.add_edges_from(zip(pattern.row.tolist(), pattern.col.tolist(), strict=True))
    table = torch.full((pattern.num_rows, pattern.num_rows), UNREACHED)
    for node, lengths in networkx.all_pairs_shortest_path_length(graph):
        for other, length in lengths.items():
            table[node, other] = length
    return table


def test_distances_are_those_of_networkx_in_either_direction() -> None:
    pattern = directed()
    expected = by_networkx(pattern)
    assert int(expected.max()) > 4
    assert bool((expected == UNREACHED).any())
    sources = torch.tensor([7, 3, 3, 39])
    assert torch.equal(hop_distances(pattern, sources).long(), expected[sources])
    near = expected.masked_fill(expected > 2, UNREACHED)
    assert torch.equal(hop_distances(pattern, sources, limit=2).long(), near[sources])


def test_classes_tell_far_from_unreachable() -> None:
    pattern = directed()
    expected = by_networkx(pattern)
    row, table = hop_classes(pattern, 3)
    assert torch.equal(row, torch.arange(40))
    assert torch.equal(table.long(), expected.clamp(max=3))


def test_a_table_of_bounded_size_holds_some_nodes() -> None:
    pattern = directed()
    row, table = hop_classes(pattern, 3, cells=40 * 7 + 5)
    assert table.shape == (7, 40)
    kept = (row >= 0).nonzero().squeeze(1)
    assert sorted(row[kept].tolist()) == list(range(7))
    assert torch.equal(table[row[kept]].long(), by_networkx(pattern).clamp(max=3)[kept])
    assert all(torch.equal(a, b) for a, b in zip((row, table), hop_classes(pattern, 3, cells=285), strict=True))
    assert kept.tolist() != list(range(7)), "the first nodes are no sample"


@pytest.mark.parametrize("cells", [1, 40])
def test_one_row_is_always_there(cells: int) -> None:
    assert hop_classes(directed(), 4, cells=cells)[1].shape == (1, 40)


def test_it_is_made_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = hop_classes(directed(), 4)[1]
    monkeypatch.setattr("gssl.augment.hops._CELLS_AT_ONCE", 100)
    assert torch.equal(hop_classes(directed(), 4)[1], whole)
