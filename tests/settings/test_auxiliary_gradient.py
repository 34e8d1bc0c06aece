"""Both terms of auxiliary learning are right under sampling: all draws of a tiny graph, all batches of a set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import pytest
import torch
from torch import Tensor

from gssl.datasets.types import LabelKind, Labels, Split
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.methods.auxiliary import Auxiliary
from gssl.models.gcn import GCN
from gssl.objectives.weights import weighted_mean
from gssl.samplers.full import GraphBatches
from gssl.samplers.propagation.exact import Exact
from gssl.samplers.rng import Key
from gssl.samplers.selection.base import Draw
from gssl.testing.propagations import directed
from gssl.testing.toy import toy_graphs

GRAPH = directed(weighted=True)
NONE = torch.empty(0, dtype=torch.int64)
SPLIT = Split("toy", torch.tensor([0, 2, 5, 7]), NONE, torch.tensor([1]))
# Three nodes are always drawn, so that there are 64 draws.
PROBABILITY = torch.tensor([1.0, 0.3, 0.5, 1.0, 0.8, 0.25, 1.0, 0.6, 0.9]).double()
KINDS = pytest.mark.parametrize("kind", ["multiclass", "multilabel", "regression"])


class Squares(Method):
    """A separable loss of nodes, or of graphs, that is not linear."""

    levels = ("node", "graph")

    def loss(self, batch: MiniBatch) -> Tensor:
        z = self.embed(batch)
        return weighted_mean((z - 1).square().sum(1), batch.weight)


def labels_of(kind: LabelKind, count: int) -> Labels:
    """Classes, or two columns in which some are missing."""
    if kind == "multiclass":
        return Labels(torch.arange(count) % 3, kind, 3)
    y = (torch.arange(count)[:, None] * torch.tensor([[3, 5]]) % 7).double()
    y = (y > 3).double() if kind == "multilabel" else y
    y[2, 0] = y[5, 1] = torch.nan
    y[7] = torch.nan if kind == "regression" else y[7]
    return Labels(y, kind, 2)


def auxiliary(labels: Labels, split: Split, in_dim: int) -> Auxiliary:
    torch.manual_seed(0)
    encoder = GCN(in_dim, hidden_dim=4, num_layers=2, activation="tanh", norm="layer")
    method = Auxiliary(Squares(encoder), weight=0.7, dropout=0.0)
    method.fit_labels(labels, split)
    return method.double()


def in_double(graph: Graph) -> Graph:
    return replace(graph, x=dense_features(graph.x).double())


def estimate(method: Auxiliary, batch: MiniBatch) -> Tensor:
    """Loss and gradient of a batch as the training loop computes them, one vector."""
    batch = replace(batch, weight=None if batch.weight is None else batch.weight.double())
    loss = method.loss(batch) * method.mass(batch)
    gradient = torch.autograd.grad(loss, list(method.parameters()), allow_unused=True, materialize_grads=True)
    return torch.cat([loss.detach().reshape(1), *(g.flatten() for g in gradient)])


def poisson(probability: Tensor) -> Iterator[tuple[float, Tensor]]:
    for outcome in range(2 ** len(probability)):
        drawn = torch.tensor([bool(outcome >> i & 1) for i in range(len(probability))])
        chance = float(torch.where(drawn, probability, 1 - probability).prod())
        if chance:
            yield chance, drawn.nonzero().squeeze(1)


@KINDS
def test_the_mean_over_all_draws_of_nodes_is_the_full_gradient(kind: LabelKind) -> None:
    method = auxiliary(labels_of(kind, 9), SPLIT, 3)
    propagation, total, mean = Exact(GRAPH, num_layers=2), 0.0, torch.zeros(())
    for number, (chance, ids) in enumerate(poisson(PROBABILITY)):
        total += chance
        batch = propagation.batch(Draw(ids, PROBABILITY[ids], Key(0, 0, number))).planned(population=9)
        mean = mean + chance * estimate(method, batch)
    assert total == pytest.approx(1)
    torch.testing.assert_close(mean, estimate(method, GRAPH.full_batch()), rtol=1e-5, atol=1e-6)


def test_one_mass_for_both_would_be_wrong() -> None:
    """The mean over the labelled nodes of a batch, times the mass of all its nodes, is something else on average."""
    method, propagation, mean = auxiliary(labels_of("multiclass", 9), SPLIT, 3), Exact(GRAPH, num_layers=2), 0.0
    with torch.no_grad():
        for number, (chance, ids) in enumerate(poisson(PROBABILITY)):
            batch = propagation.batch(Draw(ids, PROBABILITY[ids], Key(0, 0, number))).planned(population=9)
            mean += chance * float(method.label_loss(batch) * Method.mass(method, batch))
        exact = float(method.label_loss(GRAPH.full_batch()))
    assert abs(mean - exact) > 0.02 * exact


@KINDS
def test_batches_of_equally_many_graphs_average_to_the_full_gradient(kind: LabelKind) -> None:
    """All 28 pairs of eight graphs."""
    graphs = in_double(toy_graphs(num_graphs=8))
    method = auxiliary(labels_of(kind, 8), SPLIT, 4)
    pairs = [torch.tensor(pair) for pair in combinations(range(8), 2)]
    mean = torch.stack([estimate(method, graphs.graph_batch(pair)) for pair in pairs]).mean(0)
    torch.testing.assert_close(mean, estimate(method, graphs.full_batch()))


@KINDS
def test_an_epoch_over_graphs_adds_up_to_the_full_gradient(kind: LabelKind) -> None:
    """Ten graphs in batches of four, four and two, each counted by its share of the graphs."""
    graphs = in_double(toy_graphs(num_graphs=10))
    method = auxiliary(labels_of(kind, 10), SPLIT, 4)
    batches = list(GraphBatches(graphs, batch_size=4, seed=3).epoch(0))
    assert [batch.num_items for batch in batches] == [4, 4, 2]
    total = torch.stack([batch.num_items / 10 * estimate(method, batch) for batch in batches]).sum(0)
    torch.testing.assert_close(total, estimate(method, graphs.full_batch()))


def test_the_loss_is_the_weighted_sum_of_both() -> None:
    method, batch = auxiliary(labels_of("multiclass", 9), SPLIT, 3), GRAPH.full_batch()
    own = method.companion.loss(batch)
    logits = method.head(method.embed(batch))[SPLIT.train]
    supervised = torch.nn.functional.cross_entropy(logits, SPLIT.train % 3)
    torch.testing.assert_close(method.loss(batch), supervised + 0.7 * own)


def test_a_batch_without_labelled_nodes_has_the_other_term_alone() -> None:
    method = auxiliary(labels_of("multiclass", 9), SPLIT, 3)
    ids, probability = torch.tensor([1, 3, 4]), torch.full((3,), 0.5).double()
    batch = Exact(GRAPH, num_layers=2).batch(Draw(ids, probability, Key(0, 0, 0))).planned(population=9)
    found = estimate(method, batch)
    own = method.companion.loss(batch) * method.companion.mass(batch)
    assert float(found[0]) == pytest.approx(0.7 * own.item(), rel=1e-6)
    assert not found[-method.head.weight.numel() - method.head.bias.numel() :].any()
