"""Polynomial filters against the eigenvectors of the Laplacian."""

import numpy as np
import pytest
import torch
from numpy.polynomial import chebyshev
from torch import Tensor

from gssl.augment.spectral import (
    SpectralFilter,
    chebyshev_coefficients,
    chebyshev_nodes,
    chebyshev_terms,
    terms_of,
)
from gssl.common.errors import InputError
from gssl.graph.block import Block
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.registry import SAMPLERS
from gssl.testing.toy import toy_graph


def weighted_graph(*, loops: bool = False) -> tuple[Graph, Tensor]:
    """A connected graph with symmetric weights and an isolated node, and its Laplacian without self-loops, dense."""
    rng = torch.Generator().manual_seed(3)
    there = torch.rand(15, 15, generator=rng) < 0.3
    there = (there | there.T).fill_diagonal_(False)
    there[-1], there[:, -1] = False, False
    weight = torch.rand(15, 15, generator=rng, dtype=torch.float64)
    weight = (weight + weight.T) * there
    degree = weight.sum(1)
    root = torch.where(degree > 0, degree, 1).rsqrt()
    laplacian = torch.eye(15, dtype=torch.float64) - root[:, None] * weight * root
    stored = weight + torch.eye(15) if loops else weight
    source, target = stored.T.nonzero().T
    x = torch.rand(15, 4, generator=rng, dtype=torch.float64)
    return Graph.from_edge_index(torch.stack([source, target]), x, edge_weight=stored[target, source]), laplacian


@pytest.mark.parametrize("order", [1, 2, 5, 10])
def test_coefficients_are_those_of_the_interpolating_polynomial(order: int) -> None:
    values = torch.rand(order + 1, generator=torch.Generator().manual_seed(order), dtype=torch.float64)
    nodes, found = chebyshev_nodes(order).numpy(), chebyshev_coefficients(values).numpy()
    np.testing.assert_allclose(chebyshev.chebval(nodes, found), values.numpy(), atol=1e-12)
    np.testing.assert_allclose(found, chebyshev.chebfit(nodes, values.numpy(), order), atol=1e-10)
    assert np.all(np.diff(nodes) > 0)


@pytest.mark.parametrize("loops", [False, True])
def test_a_filter_is_a_function_of_the_laplacian(loops: bool) -> None:
    graph, laplacian = weighted_graph(loops=loops)
    frequency, vectors = torch.linalg.eigh(laplacian)
    x = dense_features(graph.x)
    terms = chebyshev_terms(graph.block, x, 6)
    for k in range(7):
        response = (k * (frequency - 1).clamp(-1, 1).acos()).cos()
        torch.testing.assert_close(terms[k], vectors @ (response[:, None] * (vectors.T @ x)))
    view = SpectralFilter(kind="high", order=6)
    with torch.no_grad():
        view.steps.copy_(torch.tensor([0.1, 0.9, -0.5, 0.3, 0.0, 1.2]))
    coefficients = chebyshev_coefficients(view.values().detach().double()).numpy()
    response = torch.from_numpy(chebyshev.chebval(frequency.numpy() - 1, coefficients))
    found = view(graph.full_batch(), torch.Generator()).x
    torch.testing.assert_close(found, vectors @ (response[:, None] * (vectors.T @ x)))


@pytest.mark.parametrize("order", [1, 4, 10])
def test_filters_rise_and_fall_whatever_their_parameters_are(order: int) -> None:
    for seed in range(20):
        steps = torch.randn(order, generator=torch.Generator().manual_seed(seed))
        low, high = SpectralFilter(kind="low", order=order), SpectralFilter(kind="high", order=order)
        for view in (low, high):
            with torch.no_grad():
                view.steps.copy_(steps)
        assert bool((low.values().diff() <= 0).all())
        assert bool((high.values().diff() >= 0).all())
        assert low.values()[0] == 2
        assert high.values()[0] == 0
        torch.testing.assert_close(low.values() + high.values(), torch.full((order + 1,), 2.0))


def test_a_new_low_pass_filter_smooths_and_a_new_high_pass_filter_sharpens() -> None:
    graph, laplacian = weighted_graph()

    def roughness(x: Tensor) -> float:
        return float((x * (laplacian @ x)).sum() / x.square().sum())

    x = dense_features(graph.x)
    low, high = (SpectralFilter(kind=kind)(graph.full_batch(), torch.Generator()).x for kind in ("low", "high"))
    assert roughness(dense_features(low)) < roughness(x) < roughness(dense_features(high))
    torch.testing.assert_close(dense_features(low) + dense_features(high), 2 * x)  # together they let all pass


def test_steps_get_the_gradient_of_finite_differences() -> None:
    graph, _ = weighted_graph()
    terms = chebyshev_terms(graph.block, dense_features(graph.x), 4)

    def filtered(steps: Tensor) -> Tensor:
        values = torch.nn.functional.pad(steps.relu().cumsum(0), (1, 0))
        out: Tensor = torch.tensordot(chebyshev_coefficients(values), terms, dims=1)
        return out

    steps = torch.tensor([0.3, 0.5, 0.2, 0.7], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(filtered, (steps,))
    view = SpectralFilter(kind="high", order=4)
    view.mix(terms).sum().backward()
    assert view.steps.grad is not None
    assert bool((view.steps.grad != 0).all())


def test_batches_that_are_no_graph_are_refused_and_subgraphs_stand_for_themselves() -> None:
    graph = toy_graph(num_nodes=60)
    view = SpectralFilter(order=2)
    layered = next(iter(SAMPLERS.get("graphsage")(graph, num_layers=2, batch_size=8).epoch(0)))
    with pytest.raises(InputError, match=r"sampled layer by layer; use --sampler clustergcn"):
        view(layered, torch.Generator())
    batch = next(iter(SAMPLERS.get("uniform+induced")(graph, num_layers=1, batch_size=20).epoch(0)))
    alone: Block = Block(batch.blocks[0].pattern)
    torch.testing.assert_close(
        terms_of(batch, dense_features(batch.x), 2), chebyshev_terms(alone, dense_features(batch.x), 2)
    )
