"""Degrees, centers of parts, distances to them and principal scores, each against a plain computation."""

import math
from collections import defaultdict

import pytest
import torch

from gssl.augment.clusters import k_means
from gssl.augment.features import all_alike
from gssl.augment.node_targets import nearness, neighbor_counts, part_centers, principal_scores
from gssl.augment.similar_pairs import similar_pairs
from gssl.graph.sparse import Pattern, SparseMatrix


def pattern_of(*edges: tuple[int, int], size: int) -> Pattern:
    ends = torch.tensor(edges)
    return Pattern.from_coo(ends[:, 1], ends[:, 0], size, size)[0]


def test_a_neighbor_counts_once_in_whatever_direction() -> None:
    pattern = pattern_of((0, 1), (1, 0), (0, 1), (2, 0), (3, 3), size=5)
    assert neighbor_counts(pattern).tolist() == [2, 1, 1, 0, 0]


def test_a_center_is_in_its_own_part_and_has_the_most_neighbors_there() -> None:
    """The authors' code takes the number within the part for the number in the graph, which is in part 0 mostly."""
    generator = torch.Generator().manual_seed(0)
    ends = torch.randint(60, (2, 200), generator=generator)
    pattern = Pattern.from_coo(ends[0], ends[1], 60, 60)[0]
    parts = torch.randint(5, (60,), generator=generator)
    parts[parts == 2] = 3  # an empty one
    inner = defaultdict(set)
    for one, other in zip(pattern.row.tolist(), pattern.col.tolist(), strict=True):
        if one != other and parts[one] == parts[other]:
            inner[one].add(other)
            inner[other].add(one)
    centers = part_centers(pattern, parts, 5).tolist()
    for part, center in enumerate(centers):
        members = (parts == part).nonzero().squeeze(1).tolist()
        if not members:
            assert center == -1
            continue
        most = max(len(inner[node]) for node in members)
        assert center == next(node for node in members if len(inner[node]) == most)


def test_nearness_on_a_path() -> None:
    path = pattern_of((0, 1), (1, 2), (3, 2), size=5)
    near = nearness(path, torch.tensor([0, -1, 2]))
    expected = [[1, 0, 1 / 2], [1, 0, 1], [1 / 2, 0, 1], [1 / 3, 0, 1], [0, 0, 0]]
    torch.testing.assert_close(near, torch.tensor(expected))


@pytest.mark.parametrize("sparse", [False, True])
def test_scores_are_left_singular_vectors(sparse: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(30, 12, generator=generator) * (torch.rand(30, 12, generator=generator) < 0.4)
    scores = principal_scores(SparseMatrix.from_dense(x) if sparse else x, 4)
    left = torch.linalg.svd(x.double(), full_matrices=False).U[:, :4] * math.sqrt(30)
    left *= torch.where(left.sum(0) < 0, -1.0, 1.0)
    torch.testing.assert_close(scores, left.float(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(scores.square().mean(0), torch.ones(4), rtol=1e-4, atol=1e-4)


def test_there_are_no_scores_beyond_the_rank() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20, 2, generator=generator) @ torch.randn(2, 10, generator=generator)
    scores = principal_scores(x, 5)
    assert bool((scores[:, :2].square().mean(0) > 0.9).all())
    assert bool((scores[:, 2:] == 0).all()), "what rounding leaves is noise, which nothing can predict"


@pytest.mark.parametrize("sparse", [False, True])
def test_similar_pairs_are_those_of_a_search_through_all(sparse: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(25, 9, generator=generator) * (torch.rand(25, 9, generator=generator) < 0.8)  # without ties
    pairs, values = similar_pairs(SparseMatrix.from_dense(x) if sparse else x, 2)
    alike = torch.nn.functional.normalize(x, dim=1) @ torch.nn.functional.normalize(x, dim=1).T
    torch.testing.assert_close(values, alike[pairs[0], pairs[1]])
    found = set(map(tuple, pairs.T.tolist()))
    assert len(found) == pairs.shape[1], "a pair is there twice"
    assert all(low < high for low, high in found)
    for node in range(25):
        others = sorted((float(alike[node, other]), other) for other in range(25) if other != node)
        for _, other in (*others[-2:], *others[:2]):
            assert (min(node, other), max(node, other)) in found
    assert len(found) <= 25 * 6
    ordered = alike.argsort(1)
    chosen = {(min(n, o), max(n, o)) for n in range(25) for o in ordered[n, [0, 1, -2, -3]].tolist()}
    assert len(found - chosen) > 10, "the drawn ones are missing"


def test_of_many_nodes_pairs_are_sought_from_some() -> None:
    x = torch.rand(40, 6, generator=torch.Generator().manual_seed(0))
    pairs, values = similar_pairs(x, 2, cells=40 * 5)
    assert 5 * 3 <= pairs.shape[1] <= 5 * 6
    alike = torch.nn.functional.normalize(x, dim=1) @ torch.nn.functional.normalize(x, dim=1).T
    torch.testing.assert_close(values, alike[pairs[0], pairs[1]])


@pytest.mark.parametrize("x", [torch.ones(9, 3), torch.zeros(9, 3), torch.full((9, 3), 1e6) + torch.tensor([0, 1, 2])])
def test_features_that_are_all_alike(x: torch.Tensor) -> None:
    assert all_alike(x)
    assert all_alike(SparseMatrix.from_dense(x))
    changed = x.clone()
    changed[4, 1] += 1e6
    assert not all_alike(changed)
    assert not all_alike(SparseMatrix.from_dense(changed))


def test_k_means_of_sparse_rows_is_that_of_dense_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(60, 8, generator=generator) < 0.3).float() + 2 * torch.eye(8)[torch.arange(60) % 4]
    dense, sparse = (k_means(rows, 4, steps=50, seed=0, starts=3) for rows in (x, SparseMatrix.from_dense(x)))
    same = dense.labels[:, None] == dense.labels
    assert torch.equal(same, sparse.labels[:, None] == sparse.labels)
