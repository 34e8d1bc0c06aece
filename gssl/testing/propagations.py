"""What tests of propagations need: tiny graphs, linear encoders, and every outcome of a random draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeVar

import torch
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import SparseMatrix, dense_features
from gssl.graph.storage import Graph
from gssl.models.ops import gcn_aggregate, mean_aggregate, sum_aggregate
from gssl.samplers.propagation.base import Propagation
from gssl.samplers.rng import Key
from gssl.samplers.selection.base import Draw, Selection
from gssl.testing.compare import assert_valid, tensors_of

Kind = Literal["gcn", "mean", "sum"]
T = TypeVar("T")
AGGREGATES = {"gcn": gcn_aggregate, "mean": mean_aggregate, "sum": sum_aggregate}


def directed(*, weighted: bool = False, sparse: bool = False, double: bool = True) -> Graph:
    """Nine nodes: 0 is a hub with seven in-edges, 7 has no in-edge, 8 has no edge at all."""
    sources = [1, 2, 3, 4, 5, 6, 7, 0, 2, 7, 1, 5, 6, 0, 3, 2]
    targets = [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5, 6]
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(9, 3, generator=rng) + torch.arange(9).unsqueeze(1)
    weight = 0.5 + torch.rand(len(sources), generator=rng)
    attributes = torch.rand(len(sources), 2, generator=rng)
    if double:
        x, weight = x.double(), weight.double()
    return Graph.from_edge_index(
        torch.tensor([sources, targets]),
        SparseMatrix.from_dense(x) if sparse else x,
        edge_weight=weight if weighted else None,
        edge_attr=attributes if weighted else None,
    )


def draw(*ids: int, step: int = 0, exact: bool = False, seed: int = 0) -> Draw:
    """Targets that were to be in the batch with probability one half."""
    return Draw(torch.tensor(ids), torch.full((len(ids),), 0.5).double(), Key(seed, 0, step), exact=exact)


def linear(batch: MiniBatch, kind: Kind, num_layers: int = 2) -> Tensor:
    """Embeddings of the targets by aggregations alone, shape (num_targets, in_dim), float64."""
    x = dense_features(batch.x).double()
    for layer in range(num_layers):
        block = batch.block(layer)
        x = AGGREGATES[kind](block, x) + (x[: block.num_dst] if kind != "gcn" else 0)
    return x[: batch.num_targets]


def assert_same_batch(left: MiniBatch, right: MiniBatch) -> None:
    """Every tensor of both batches has the same values and type, and both are valid."""
    for batch in (left, right):
        assert_valid(batch)
    for (path, a), (_, b) in zip(tensors_of(left), tensors_of(right), strict=True):
        assert a.dtype == b.dtype, path
        assert torch.equal(a, b), path


def numbers(propagation: Propagation, *draws: Draw) -> list[dict[str, list[float]]]:
    """Batches as plain numbers."""
    batches = [propagation.batch(d) for d in draws]
    return [{path: tensor.flatten().tolist() for path, tensor in tensors_of(b)} for b in batches]


class Choices:
    """Decisions of one run of a random algorithm, each among options with known probabilities."""

    def __init__(self, path: list[int]) -> None:
        self.path = path
        self.options: list[int] = []
        self.probability = 1.0

    def choose(self, probabilities: Sequence[float]) -> int:
        """The option that this run takes; options that cannot happen are never taken."""
        possible = [i for i, p in enumerate(probabilities) if p > 0]
        step = len(self.options)
        if step == len(self.path):
            self.path.append(0)
        self.options.append(len(possible))
        option = possible[self.path[step]]
        self.probability *= probabilities[option]
        return option


def outcomes(run: Callable[[Choices], T]) -> Iterator[tuple[float, T]]:
    """Every outcome of ``run`` with its probability; the number of outcomes must be small.

    Args:
        run: takes every random decision from its argument, and nothing from elsewhere.
    """
    path: list[int] = []
    while True:
        choices = Choices(path)
        value = run(choices)
        yield choices.probability, value
        path = choices.path
        while path and path[-1] == choices.options[len(path) - 1] - 1:
            path.pop()
        if not path:
            return
        path[-1] += 1


def expectation(run: Callable[[Choices], Tensor]) -> Tensor:
    """Mean of a tensor over every outcome of ``run``."""
    total, mean = 0.0, torch.zeros(())
    for probability, value in outcomes(run):
        total += probability
        mean = mean + probability * value
    assert abs(total - 1) < 1e-9, f"the probabilities of the outcomes sum to {total}"
    return mean


class UniformDraws(Selection):
    """Batches of the same size, each node equally likely."""

    def epoch(self, epoch: int) -> Iterator[Draw]:
        for step in range(self.batches_per_epoch):
            key = Key(self.seed, epoch, step)
            rng = torch.Generator().manual_seed(key.stream(0))
            ids = self.items[torch.randperm(len(self.items), generator=rng)[: self.batch_size]]
            yield Draw(ids, torch.full((len(ids),), self.batch_size / len(self.items)).double(), key)
