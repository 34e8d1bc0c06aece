"""Gradients of losses over every outcome of a draw, on a graph of nine nodes; the biases of what is not unbiased."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.models.gcn import GCN
from gssl.models.sage import SAGE
from gssl.objectives.weights import weighted_mean
from gssl.registry import PROPAGATIONS, SELECTIONS
from gssl.samplers.draws import Lottery, keyed_order
from gssl.samplers.probability import collected
from gssl.samplers.propagation import torch_ops
from gssl.samplers.propagation.exact import Exact
from gssl.samplers.propagation.labor import Labor
from gssl.samplers.propagation.neighbor import Neighbor
from gssl.samplers.rng import Key
from gssl.samplers.selection.base import Draw
from gssl.samplers.selection.cluster import Cluster
from gssl.testing.propagations import Choices, directed, expectation, linear

GRAPH = directed(weighted=True)


class Squares(Method):
    """A separable loss that is not linear, of an encoder that is not either."""

    goal: Tensor

    def __init__(self, encoder: GCN | SAGE) -> None:
        super().__init__(encoder)
        self.register_buffer("goal", torch.randn(9, encoder.out_dim, dtype=torch.float64))

    def loss(self, batch: MiniBatch) -> Tensor:
        z = self.embed(batch)
        return weighted_mean((z - self.goal[batch.node_ids[: len(z)]]).square().sum(1), batch.weight)


def squares(make: type[GCN | SAGE] = GCN) -> Squares:
    torch.manual_seed(0)
    return Squares(make(3, hidden_dim=4, num_layers=2, activation="tanh", norm="layer")).double()


def estimate(method: Squares, batch: MiniBatch) -> Tensor:
    """Loss and gradient of a batch as the training loop computes them, one vector."""
    weight = None if batch.weight is None else batch.weight.double()
    batch = replace(batch, weight=weight)
    loss = method.loss(batch) * method.mass(batch)
    gradient = torch.autograd.grad(loss, list(method.parameters()), allow_unused=True)
    flat = [
        torch.zeros(p.numel()) if g is None else g.flatten() for p, g in zip(method.parameters(), gradient, strict=True)
    ]
    return torch.cat([loss.detach().reshape(1), *flat]).double()


def poisson(probability: Tensor) -> Iterator[tuple[float, Tensor]]:
    """Every subset with its probability."""
    for outcome in range(2 ** len(probability)):
        drawn = torch.tensor([bool(outcome >> i & 1) for i in range(len(probability))])
        chance = float(torch.where(drawn, probability, 1 - probability).prod())
        if chance:
            yield chance, drawn.nonzero().squeeze(1)


def fixed(probability: Tensor) -> Iterator[tuple[float, Tensor]]:
    """Every systematic draw in one order, with the length of the interval of its first point."""
    lottery = Lottery(probability, keyed_order(range(len(probability)), 5))
    cuts = np.unique(np.concatenate([[0.0, 1.0], lottery._ends % 1.0]))
    for low, high in pairwise(cuts.tolist()):
        yield high - low, lottery.systematic((low + high) / 2)


def probabilities(selection: str) -> Tensor:
    """Of the nine nodes, by a selection with batches of three."""
    options = {"norms": "online", "mix": 0.2} if selection == "minvar" else {}
    made: Any = SELECTIONS.get(selection)(GRAPH, batch_size=3, **options)  # type: ignore[arg-type]  # of the class
    if selection != "minvar":
        found: Tensor = made.probability
        return found
    made.observe(torch.arange(9), torch.arange(9).float() ** 2 + 0.1)
    next(made.epoch(0))
    found = collected(made._lottery.chances, 9)
    assert float(found.std()) > 0.1
    return found


@pytest.mark.parametrize("outcomes", [poisson, fixed])
@pytest.mark.parametrize("selection", ["uniform", "degree", "minvar", "walk"])
def test_loss_and_gradient_are_unbiased_with_exact_propagation(
    selection: str, outcomes: Callable[[Tensor], Iterator[tuple[float, Tensor]]]
) -> None:
    """A walk's draws are neither kind, but Horvitz-Thompson sums need only its inclusion probabilities."""
    method, probability = squares(), probabilities(selection)
    propagation = Exact(GRAPH, num_layers=2)
    total, mean = 0.0, torch.zeros(())
    for number, (chance, ids) in enumerate(outcomes(probability)):
        total += chance
        if len(ids):
            batch = propagation.batch(Draw(ids, probability[ids], Key(0, 0, number)))
            mean = mean + chance * estimate(method, batch.planned(population=9))
    assert total == pytest.approx(1)
    torch.testing.assert_close(mean, estimate(method, GRAPH.full_batch()), rtol=1e-5, atol=1e-6)


def test_loss_and_gradient_are_unbiased_with_clusters() -> None:
    """Every part is as likely as any other to be in a batch of one part."""
    method, propagation = squares(), Exact(GRAPH, num_layers=2)
    clusters = Cluster(GRAPH, batch_size=3, num_parts=3, partition="random")
    draws = list(clusters.epoch(0))
    assert [len(draw.ids) for draw in draws] == [3, 3, 3]
    batches = [propagation.batch(draw).planned(population=9) for draw in draws]
    mean = torch.stack([estimate(method, batch) for batch in batches]).mean(0)
    torch.testing.assert_close(mean, estimate(method, GRAPH.full_batch()), rtol=1e-5, atol=1e-6)


def test_hajek_weights_bias_the_loss_and_horvitz_thompson_ones_do_not() -> None:
    method, probability, propagation = squares(), probabilities("degree"), Exact(GRAPH, num_layers=2)
    exact = float(estimate(method, GRAPH.full_batch())[0])
    means = {9: 0.0, None: 0.0}
    for number, (chance, ids) in enumerate(fixed(probability)):
        batch = propagation.batch(Draw(ids, probability[ids], Key(0, 0, number)))
        for population in means:
            means[population] += chance * float(estimate(method, batch.planned(population=population))[0])
    assert means[9] == pytest.approx(exact, rel=1e-6)
    assert abs(means[None] - exact) > 1e-3 * exact


def relative_bias(run: Callable[[Choices], Tensor], exact: Tensor) -> float:
    return float((expectation(run) - exact).norm() / exact.norm())


def test_drawn_neighbors_bias_the_gradient_by_an_amount_that_more_of_them_reduce(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``ht`` is unbiased in the aggregate of the features, and no further: the loss is a square."""
    method = squares(SAGE)

    def every_subset(choices: Choices) -> Callable[[Tensor, Tensor, int], Tensor]:
        def floyd(_: Tensor, degree: Tensor, fanout: int) -> Tensor:
            rows = []
            for count in degree.tolist():
                subsets = list(combinations(range(count), fanout))
                rows.append(subsets[choices.choose([1 / len(subsets)] * len(subsets))])
            return torch.tensor(rows)

        return floyd

    def bias(fanout: int) -> float:
        sampler = Neighbor(GRAPH, num_layers=2, fanouts=(fanout, -1), weights="ht", backend="torch")

        def run(choices: Choices) -> Tensor:
            monkeypatch.setattr(torch_ops, "floyd", every_subset(choices))
            ids = torch.tensor([0, 1, 2])
            return estimate(method, sampler.batch(Draw(ids, torch.ones(3).double(), Key(0, 0, 0))))[1:]

        ids = torch.tensor([0, 1, 2])
        whole = Exact(GRAPH, num_layers=2).batch(Draw(ids, torch.ones(3).double(), Key(0, 0, 0)))
        return relative_bias(run, estimate(method, whole)[1:])

    found = [bias(fanout) for fanout in (1, 2, 4)]
    assert found[0] > found[1] > found[2] > 1e-3


@pytest.mark.parametrize("name", ["induced", "saint", "shadow"])
def test_subgraphs_bias_the_embeddings_of_two_layers(name: str) -> None:
    """Means over many keys, beyond what their spread explains; with every node and edge there is no error."""
    designs: dict[str, dict[str, Any]] = {"saint": {"design": "edge", "roots": 3}, "shadow": {"neighbors": 1}}
    encoder = squares(SAGE).encoder.eval()
    exact = encoder(GRAPH.full_batch()).detach()[:3]
    propagation = PROPAGATIONS.get(name)(GRAPH, num_layers=2, **designs.get(name, {}))
    ids = torch.tensor([0, 1, 2])
    found = torch.stack(
        [
            encoder(propagation.batch(Draw(ids, torch.full((3,), 0.5).double(), Key(k, 0, 0)))).detach()
            for k in range(300)
        ]
    )
    error = (found.mean(0) - exact).abs()
    assert bool((error > 6 * found.std(0) / 300**0.5 + 1e-4).any())


def test_hajek_weights_bias_labor_and_inverse_probabilities_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three neighbors of values 1, 2 and 6, each there with probability 1/3; a row without any stays zero."""
    edges = torch.tensor([[1, 2, 3], [0, 0, 0]])
    graph = Graph.from_edge_index(edges, torch.tensor([[0.0], [1.0], [2.0], [6.0]]).double())

    def mean(hajek: bool) -> float:
        sampler = Labor(graph, num_layers=1, fanouts=1, hajek=hajek, backend="torch")

        def run(choices: Choices) -> Tensor:
            number = torch.tensor([0.0] + [(0.9, 0.1)[choices.choose([2 / 3, 1 / 3])] for _ in range(3)])
            monkeypatch.setattr(torch_ops, "uniform", lambda _, ids: number.double()[ids])
            draw = Draw(torch.tensor([0]), torch.ones(1).double(), Key(0, 0, 0))
            return linear(sampler.batch(draw), "sum", 1)

        return float(expectation(run))

    assert mean(hajek=False) == pytest.approx(9.0, rel=1e-6)
    # Where anything was drawn the scaled sum is right on average, and nothing is drawn with probability 8/27.
    assert mean(hajek=True) == pytest.approx(9.0 * (1 - 8 / 27), rel=1e-6)
