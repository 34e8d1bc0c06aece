import pytest
import torch
from sklearn.mixture import GaussianMixture

from gssl.graph.sparse import Pattern
from gssl.objectives.homophily import pseudo_homophily, soft_clusters, soft_heterophily


def test_soft_clusters_are_the_responsibilities_of_equal_gaussians() -> None:
    rng = torch.Generator().manual_seed(0)
    x, centers = torch.randn(20, 3, generator=rng), torch.randn(4, 3, generator=rng)
    model = GaussianMixture(4, covariance_type="spherical")
    model.weights_, model.means_ = torch.full((4,), 0.25).numpy(), centers.numpy()
    model.precisions_cholesky_ = (torch.ones(4) / 0.7**0.5).numpy()
    expected = torch.from_numpy(model.predict_proba(x.numpy())).float()
    torch.testing.assert_close(soft_clusters(x, centers, temperature=1.4), expected)  # twice the variance


def test_hard_assignments_make_one_minus_the_homophily() -> None:
    labels = torch.tensor([0, 1, 1, 2, 0])
    pattern, _ = Pattern.from_coo(torch.tensor([0, 1, 2, 3, 4, 0]), torch.tensor([4, 2, 3, 0, 0, 1]), 5, 5)
    homophily = pseudo_homophily(labels, pattern)
    assert homophily.item() == pytest.approx(3 / 6)
    difference = soft_heterophily(torch.eye(3)[labels], pattern)
    assert difference.item() == pytest.approx(2 / 3 * 3 / 6)  # two of three probabilities differ


def test_no_edges() -> None:
    none = torch.zeros(0, dtype=torch.int64)
    empty, _ = Pattern.from_coo(none, none, 4, 4)
    probability = torch.rand(4, 2, requires_grad=True)
    soft_heterophily(probability, empty).backward()
    assert probability.grad is not None
    assert not probability.grad.any()
    assert pseudo_homophily(torch.arange(4), empty) == 1
