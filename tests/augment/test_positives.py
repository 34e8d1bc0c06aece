import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gssl.augment.positives import NONE, edge_keys, has_edge, near_positives, pairs_among, pattern_among
from gssl.graph.sparse import Pattern


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(0, 40), st.integers(0, 999))
def test_positives_are_the_sets_of_the_paper(n: int, edges: int, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    row, col = torch.randint(n, (2, edges), generator=rng)
    pattern, _ = Pattern.from_coo(row, col, n, n)
    k, runs = min(4, n), 3
    nearest = torch.stack([torch.randperm(n, generator=rng)[:k] for _ in range(n)])
    labels = torch.randint(3, (runs, n), generator=rng)
    found = near_positives(nearest, edge_keys(pattern), labels)
    assert found.shape == (n, k)
    adjacent = set(zip(row.tolist(), col.tolist(), strict=True))
    for i in range(n):
        near = set(nearest[i].tolist())
        neighbors = {j for j in range(n) if (i, j) in adjacent} | {i}
        cluster = {j for j in range(n) for run in labels if run[i] == run[j]}
        assert set(found[i].tolist()) - {NONE} == (near & neighbors) | (near & cluster)


def test_edges_are_found_in_rows_that_are_not_sorted() -> None:
    pattern = Pattern(torch.tensor([0, 2, 2, 4]), torch.tensor([2, 1, 1, 0]), 3)
    keys = edge_keys(pattern)
    row, col = torch.meshgrid(torch.arange(3), torch.arange(3), indexing="ij")
    found = has_edge(keys, row, col, 3)
    assert found.tolist() == [[False, True, True], [False, False, False], [True, True, False]]


def test_pairs_of_a_batch_are_rows_of_it_and_leave_the_others_out() -> None:
    positives = torch.tensor([[0, 3, 5], [1, NONE, 4], [2, 0, NONE], [3, 1, 0], [4, NONE, NONE], [5, 2, 3]])
    pairs = pairs_among(torch.tensor([3, 0, 2]), positives)
    assert sorted(pairs.T.tolist()) == [[0, 0], [0, 1], [1, 0], [1, 1], [2, 1], [2, 2]]
    whole = pairs_among(torch.arange(6), positives)
    expected = [[i, int(j)] for i, row in enumerate(positives) for j in row if j != NONE]
    assert sorted(whole.T.tolist()) == sorted(expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(0, 40), st.integers(0, 999))
def test_neighbors_within_a_batch_are_the_edges_of_the_graph_between_its_nodes(n: int, edges: int, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    row, col = torch.randint(n, (2, edges), generator=rng)
    pattern, _ = Pattern.from_coo(row, col, n, n)
    ids = torch.randperm(n, generator=rng)[: int(torch.randint(1, n + 1, (), generator=rng))]
    found = pattern_among(pattern, ids)
    assert (found.num_rows, found.num_cols) == (len(ids), len(ids))
    dense = torch.zeros(n, n, dtype=torch.int64).index_put_((row, col), torch.ones(edges, dtype=torch.int64), True)
    mine = torch.zeros(len(ids), len(ids), dtype=torch.int64)
    mine.index_put_((found.row.long(), found.col.long()), torch.ones(found.nnz, dtype=torch.int64), True)
    assert torch.equal(mine, dense[ids][:, ids])
