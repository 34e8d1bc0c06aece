import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence
from torch_geometric.nn import GAE, InnerProductDecoder

from gssl.graph.sparse import Pattern
from gssl.objectives.bootstrap import bootstrap_cosine, bootstrap_terms
from gssl.objectives.edges import edge_reconstruction, uniform_negatives
from gssl.objectives.kl import gaussian_kl
from gssl.objectives.scaled_cosine import scaled_cosine_error
from gssl.objectives.weights import weighted_mean, weighted_rows


def pair(n: int = 6, dim: int = 4) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    return tuple(torch.randn(n, dim, generator=rng, dtype=torch.float64) for _ in range(2))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("loss", "kwargs"),
    [(bootstrap_cosine, {}), (scaled_cosine_error, {"gamma": 3.0}), (gaussian_kl, {})],
)
def test_a_weight_of_two_is_the_item_twice(loss: Callable[..., Tensor], kwargs: dict[str, float]) -> None:
    a, b = pair()
    weight = torch.tensor([1.0, 2, 1, 3, 1, 1], dtype=torch.float64)
    twice = torch.arange(6).repeat_interleave(weight.long())
    torch.testing.assert_close(loss(a, b, weight=weight, **kwargs), loss(a[twice], b[twice], **kwargs))
    torch.testing.assert_close(loss(a, b, weight=torch.ones(6, dtype=torch.float64), **kwargs), loss(a, b, **kwargs))


def test_bootstrap_falls_as_the_views_agree_and_spares_the_target() -> None:
    a, b = pair()
    a.requires_grad_()
    b.requires_grad_()
    assert bootstrap_cosine(a, a).item() == pytest.approx(0)
    assert bootstrap_cosine(a, -a).item() == pytest.approx(4)  # minus the cosine, not plus
    torch.testing.assert_close(
        bootstrap_terms(a, b), ((a / a.norm(dim=1, keepdim=True)) - b / b.norm(dim=1, keepdim=True)).pow(2).sum(1)
    )
    bootstrap_cosine(a, b).backward()
    assert a.grad is not None
    assert b.grad is None


@pytest.mark.parametrize("gamma", [1.0, 2.0, 3.0])
def test_scaled_cosine_error_closed_forms(gamma: float) -> None:
    x = torch.eye(3, dtype=torch.float64)
    assert scaled_cosine_error(5 * x, x, gamma=gamma).item() == pytest.approx(0)
    assert scaled_cosine_error(x.roll(1, 0), x, gamma=gamma).item() == pytest.approx(1)
    assert scaled_cosine_error(-x, x, gamma=gamma).item() == pytest.approx(2**gamma)


def test_kl_equals_torch_distributions() -> None:
    mean, log_std = pair()
    posterior = Independent(Normal(mean, log_std.exp()), 1)
    prior = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
    torch.testing.assert_close(gaussian_kl(mean, log_std), kl_divergence(posterior, prior).mean())


def test_edge_reconstruction_equals_pyg() -> None:
    z = pair()[0].float()
    positive, negative = torch.tensor([[0, 1, 2], [1, 2, 0]]), torch.tensor([[3, 4], [5, 0]])
    expected = GAE(torch.nn.Identity(), InnerProductDecoder()).recon_loss(z, positive, negative)
    torch.testing.assert_close(edge_reconstruction(z, positive, negative), expected, rtol=1e-4, atol=1e-5)


def test_edge_reconstruction_of_zeros_and_of_no_edges() -> None:
    none = torch.zeros(2, 0, dtype=torch.int64)
    some = torch.tensor([[0], [1]])
    z = torch.zeros(3, 2, requires_grad=True)
    assert edge_reconstruction(z, some, some).item() == pytest.approx(2 * math.log(2))
    assert edge_reconstruction(z, none, some).item() == pytest.approx(math.log(2))
    assert edge_reconstruction(z, none, none).item() == 0


def test_negatives_are_neither_edges_nor_loops_and_cover_the_rest() -> None:
    dense = torch.rand(8, 8, generator=torch.Generator().manual_seed(0)) < 0.4
    row, col = dense.nonzero(as_tuple=True)
    pattern, _ = Pattern.from_coo(row, col, 8, 8)
    source, target = uniform_negatives(pattern, 5000, torch.Generator().manual_seed(0))
    drawn = torch.zeros(8, 8, dtype=torch.bool)
    drawn[target, source] = True  # rows are targets
    assert torch.equal(drawn, ~dense & ~torch.eye(8, dtype=torch.bool))


def test_negatives_of_a_complete_and_of_an_empty_graph() -> None:
    row, col = torch.ones(4, 4).nonzero(as_tuple=True)
    full, _ = Pattern.from_coo(row, col, 4, 4)
    assert uniform_negatives(full, 100, torch.Generator()).shape == (2, 0)
    empty, _ = Pattern.from_coo(row[:0], col[:0], 4, 4)
    assert uniform_negatives(empty, 100, torch.Generator()).shape[1] > 50


def test_weighted_means() -> None:
    terms, weight = torch.tensor([1.0, 4.0]), torch.tensor([3.0, 1.0])
    assert weighted_mean(terms, weight).item() == pytest.approx(7 / 4)
    rows = torch.tensor([[0.0, 2.0], [4.0, 6.0]])
    assert weighted_rows(rows, weight).tolist() == [1.0, 3.0]
    assert weighted_rows(rows, None).tolist() == [2.0, 4.0]
