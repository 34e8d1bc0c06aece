"""The bias of LMC, exactly: its expected gradient against the equations of its paper in dense matrices."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor

from gssl.graph.storage import Graph
from gssl.models.gcn import GCN
from gssl.samplers.propagation.lmc import LMCPropagation
from gssl.samplers.rng import Key
from gssl.samplers.selection.base import Draw
from gssl.testing.toy import toy_graph

LAYERS, NODES, PART = 3, 12, 3
Weights = list[tuple[Tensor, Tensor]]


class Problem:
    """A sum of squared errors of a GCN with ReLU on a small graph; the full pass by hand, dense, without autograd.

    Attributes:
        matrix: normalised adjacency with loops.
        rows: output of each layer.
        adjoints: gradient of the loss with respect to each of them.
    """

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.x = torch.randn(NODES, 5, dtype=torch.float64)  # of both signs, so that slopes differ
        self.graph = Graph(toy_graph(num_nodes=NODES, isolated=1).block, self.x)
        self.encoder = GCN(5, hidden_dim=8, num_layers=LAYERS).double().eval()
        self.goal = torch.randn(NODES, 8, dtype=torch.float64)
        pattern = self.graph.block.pattern
        self.adjacency = torch.eye(NODES, dtype=torch.float64)
        self.adjacency[pattern.row.long(), pattern.col.long()] = 1.0
        self.degree = self.adjacency.sum(1)
        self.matrix = self.adjacency / (self.degree[:, None] * self.degree[None, :]).sqrt()
        parameters = [p.detach() for p in self.encoder.parameters()]
        self.weights: Weights = list(zip(parameters[::2], parameters[1::2], strict=True))
        self.rows, x = [], self.x
        for weight, bias in self.weights:
            x = (self.matrix @ x @ weight + bias).relu()
            self.rows.append(x)
        self.adjoints = [2 * (x - self.goal) / NODES]
        for layer in reversed(range(1, LAYERS)):
            delta = self.adjoints[0] * (self.rows[layer] > 0)
            self.adjoints.insert(0, self.matrix.T @ delta @ self.weights[layer][0].T)

    def engine(self, propagation: LMCPropagation, part: list[int]) -> Tensor:
        """The gradient of a batch, flat."""
        batch = propagation.batch(Draw(torch.tensor(part), torch.ones(len(part), dtype=torch.float64), Key(0, 0, 0)))
        self.encoder.zero_grad()
        ((self.encoder(batch) - self.goal[part]).square().sum() / NODES).backward()
        return torch.cat([cast("Tensor", p.grad).flatten() for p in self.encoder.parameters()])

    def by_hand(self, part: list[int], beta: float) -> Tensor:
        """The same by eqs. 8 to 13 of Shi et al. (2023, arXiv:2302.00924) with exact history."""
        near = sorted({int(j) for i in part for j in self.matrix[i].nonzero()} - set(part))
        nodes, fresh = torch.tensor(part + near), len(part)
        inside = self.adjacency[nodes][:, nodes].sum(1) - 1
        share = (beta * inside / (self.degree[nodes] - 1).clamp(min=1))[:, None]
        share[:fresh] = 1.0  # nothing is mixed into rows of the batch
        local, x = self.matrix[nodes][:, nodes], self.x[nodes]
        inputs, slopes = [], []
        for layer, (weight, bias) in enumerate(self.weights):
            inputs.append(local @ x)
            out = inputs[-1] @ weight + bias
            slopes.append((out > 0).double())
            x = share * out.relu() + (1 - share) * self.rows[layer][nodes]
        grad = torch.zeros_like(x)
        grad[:fresh] = 2 * (x[:fresh] - self.goal[part]) / NODES
        found: list[Tensor] = []
        for layer in reversed(range(LAYERS)):
            delta = (share * grad + (1 - share) * self.adjoints[layer][nodes]) * slopes[layer]
            found = [inputs[layer][:fresh].T @ delta[:fresh], delta[:fresh].sum(0), *found]
            grad = local.T @ delta @ self.weights[layer][0].T
        return torch.cat([g.flatten() for g in found])

    def full(self) -> Tensor:
        """The gradient of the whole graph, flat."""
        found = []
        for layer, (below, adjoint) in enumerate(zip([self.x, *self.rows], self.adjoints, strict=False)):
            delta = adjoint * (self.rows[layer] > 0)
            found += [((self.matrix @ below).T @ delta).flatten(), delta.sum(0)]
        return torch.cat(found)


@pytest.mark.parametrize("beta", [0.0, 0.4, 1.0])
def test_the_bias_is_that_of_the_equations(beta: float) -> None:
    """A batch is each part of a partition in turn, so the parts add up to the expected gradient."""
    problem = Problem()
    propagation = LMCPropagation(problem.graph, num_layers=LAYERS, beta=beta)
    for _ in range(LAYERS + 1):  # a batch of all nodes writes exact rows, adjoints from the last layer down
        problem.engine(propagation, list(range(NODES)))
    propagation.frozen = True
    parts = [list(range(start, start + PART)) for start in range(0, NODES, PART)]
    expectation = sum(problem.engine(propagation, part) for part in parts)
    by_hand = sum(problem.by_hand(part, beta) for part in parts)
    assert isinstance(by_hand, Tensor)
    torch.testing.assert_close(expectation, by_hand, rtol=1e-5, atol=1e-6)
    bias = (by_hand - problem.full()).norm() / problem.full().norm()
    assert bias > 1e-3, "there is nothing to hold it to"
