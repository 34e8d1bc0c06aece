import pytest
import torch

from gssl.augment.clusters import k_means
from gssl.common.errors import InputError


def blobs(num: int = 4, size: int = 30, spread: float = 0.05) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    truth = torch.arange(num).repeat(size)
    return 3 * torch.eye(num)[truth] + spread * torch.randn(num * size, num, generator=rng), truth


def test_labels_and_centers_belong_together() -> None:
    x, _ = blobs(spread=1.0)
    found = k_means(x, 6, steps=300, seed=0)
    assert found.labels.dtype == torch.int64
    assert found.centers.dtype == torch.float32
    assert torch.equal(found.labels, torch.cdist(x, found.centers).argmin(1))
    for cluster in found.labels.unique():
        torch.testing.assert_close(found.centers[cluster], x[found.labels == cluster].mean(0))


def test_blobs_are_found_by_some_start_and_starts_differ() -> None:
    x, truth = blobs()
    runs = [k_means(x, 4, steps=20, seed=seed).labels for seed in range(12)]
    same = truth[:, None] == truth[None]
    assert any(torch.equal(run[:, None] == run[None], same) for run in runs)
    assert len({tuple(run.tolist()) for run in runs}) > 1
    assert torch.equal(runs[3], k_means(x, 4, steps=20, seed=3).labels)


def test_more_starts_find_better_clusters() -> None:
    x, truth = blobs(num=9)
    same = truth[:, None] == truth[None]
    best = [k_means(x, 9, steps=50, seed=seed, starts=8).labels for seed in range(3)]
    assert all(torch.equal(run[:, None] == run[None], same) for run in best)


def test_equal_rows_are_no_error_and_more_clusters_than_rows_are() -> None:
    assert k_means(torch.ones(5, 2), 3, steps=5, seed=0).labels.tolist() == [0] * 5
    with pytest.raises(InputError, match="6 clusters cannot be made of 5 rows"):
        k_means(torch.ones(5, 2), 6, steps=5, seed=0)
