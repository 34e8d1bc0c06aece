"""Selection by clusters: partitions, unions of parts, and what happens without METIS."""

import sys
import types
import warnings

import numpy as np
import pytest
import torch

from gssl.common.errors import InputError
from gssl.graph.storage import Graph
from gssl.samplers.selection.cluster import Cluster, metis_partition, random_partition
from gssl.testing.toy import toy_graph


def cliques(count: int = 4, size: int = 6) -> Graph:
    """Cliques in a ring, joined by single edges in one direction; with loops and a repeated edge."""
    edges = [
        (size * clique + i, size * clique + j)
        for clique in range(count)
        for i in range(size)
        for j in range(i, size)  # one direction and a loop each
    ]
    edges += [(size * clique, (size * clique + size) % (count * size)) for clique in range(count)]
    edges.append(edges[-1])
    return Graph.from_edge_index(torch.tensor(edges).T, torch.ones(count * size, 1))


def test_metis_finds_cliques_whatever_the_directions() -> None:
    part = metis_partition(cliques().block.pattern, 4, seed=3).reshape(4, 6)
    assert bool((part == part[:, :1]).all())
    assert sorted(part[:, 0].tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize("parts", [1, 5, 24])
def test_partitions_name_existing_parts(parts: int) -> None:
    for cut in (metis_partition, random_partition):
        part = cut(cliques().block.pattern, parts, seed=0)
        assert part.dtype == torch.int64
        assert part.shape == (24,)
        assert 0 <= int(part.min()) <= int(part.max()) < parts


def test_random_parts_are_of_equal_size_and_depend_on_the_seed() -> None:
    pattern = cliques().block.pattern
    sizes = torch.bincount(random_partition(pattern, 5, seed=0))
    assert sizes.tolist() == [5, 5, 5, 5, 4]
    assert not torch.equal(random_partition(pattern, 5, seed=0), random_partition(pattern, 5, seed=1))


def test_a_graph_without_edges_can_be_cut() -> None:
    graph = Graph.from_edge_index(torch.zeros(2, 0, dtype=torch.int64), torch.ones(6, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metis_partition(graph.block.pattern, 3, seed=0).shape == (6,)


def test_batches_are_unions_of_parts() -> None:
    selection = Cluster(cliques(), batch_size=12, num_parts=4)
    for epoch in range(3):
        draws = list(selection.epoch(epoch))
        assert [len(draw.ids) for draw in draws] == [12, 12]
        assert all(len(set((draw.ids // 6).tolist())) == 2 for draw in draws)
        assert sorted(torch.cat([draw.ids for draw in draws]).tolist()) == list(range(24))


def test_pairs_of_parts_change_from_epoch_to_epoch() -> None:
    selection = Cluster(cliques(), batch_size=12, num_parts=4)
    pairs = {frozenset((draw.ids // 6).tolist()) for epoch in range(40) for draw in selection.epoch(epoch)}
    assert len(pairs) == 6


def test_probability_is_the_share_of_parts_and_an_epoch_sums_exactly() -> None:
    """Parts of unequal size: weighing by the number of items in the batch instead would be biased."""
    items = torch.tensor([0, 1, 2, 6, 12, 13, 14, 15, 16, 18])
    selection = Cluster(cliques(), items=items, batch_size=7, num_parts=4)
    assert selection.parts_per_batch == 3
    draws = list(selection.epoch(1))
    assert [float(draw.probability[0]) for draw in draws] == [3 / 4, 1 / 4]
    sums = [float((draw.ids / draw.probability).sum()) for draw in draws]
    assert np.dot([3 / 4, 1 / 4], sums) == pytest.approx(float(items.sum()))


def test_parts_without_items_are_left_out() -> None:
    selection = Cluster(cliques(), items=torch.tensor([1, 2, 13]), batch_size=2, num_parts=4)
    assert sorted(sorted(part.tolist()) for part in selection.parts) == [[1, 2], [13]]
    assert all(draw.ids.numel() for epoch in range(5) for draw in selection.epoch(epoch))


def test_a_batch_unites_a_few_parts_by_default() -> None:
    selection = Cluster(toy_graph(num_nodes=400), batch_size=50)
    assert selection.num_parts == 32
    assert selection.parts_per_batch == 4
    assert selection.batches_per_epoch == 8


def test_without_pymetis_parts_are_random_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymetis", None)
    selection = Cluster(cliques(), batch_size=12, num_parts=4)
    with pytest.warns(UserWarning, match="ImportError|ModuleNotFoundError") as seen:
        draws = list(selection.epoch(0))
    assert "clusters are random" in str(seen[0].message)
    assert sorted(torch.cat([draw.ids for draw in draws]).tolist()) == list(range(24))


def test_where_metis_fails_parts_are_random_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("METIS_ERROR_MEMORY")

    broken = types.SimpleNamespace(Options=dict, CSRAdjacency=lambda *_: None, part_graph=fail)
    monkeypatch.setitem(sys.modules, "pymetis", broken)
    pattern = cliques().block.pattern
    with pytest.warns(UserWarning, match="METIS_ERROR_MEMORY"):
        part = metis_partition(pattern, 4, seed=9)
    assert torch.equal(part, random_partition(pattern, 4, seed=9))


def test_random_parts_that_were_asked_for_are_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(Cluster(cliques(), batch_size=12, num_parts=4, partition="random").parts) == 4


@pytest.mark.parametrize("parts", [1, 25])
def test_parts_that_do_not_fit_the_batch_or_the_graph(parts: int) -> None:
    with pytest.raises(InputError, match="choose between 2 and 24"):
        Cluster(cliques(), batch_size=12, num_parts=parts)


def test_no_parts_at_all() -> None:
    with pytest.raises(InputError, match="'num_parts' of selection cluster"):
        Cluster(cliques(), batch_size=12, num_parts=0)
