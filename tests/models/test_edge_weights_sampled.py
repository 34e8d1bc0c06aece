"""Learned edge weights in sampled batches, whose rows are drawn, or read from a history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.models.gat import GAT
from gssl.models.gcn import GCN
from gssl.models.gin import GIN
from gssl.models.sage import SAGE
from gssl.models.stack import StackedEncoder
from gssl.samplers.propagation.adjoint import AdjointPropagation
from gssl.samplers.propagation.base import Propagation
from gssl.samplers.propagation.history import HistoryPropagation
from gssl.samplers.propagation.lmc import LMCPropagation
from gssl.samplers.propagation.neighbor import Neighbor
from gssl.samplers.propagation.stored import StoredPropagation
from gssl.samplers.propagation.vrgcn import VRGCNPropagation
from gssl.samplers.rng import Key
from gssl.samplers.selection.base import Draw
from gssl.testing.toy import toy_graph

MAX_EDGES = 200


@pytest.fixture
def graph() -> Graph:
    """Weighted, in float64, with a node that has no edges."""
    torch.manual_seed(0)
    small = toy_graph(num_nodes=16, in_dim=4, attributes=True, isolated=1)
    weight = small.block.weight
    assert weight is not None
    assert small.block.num_edges <= MAX_EDGES
    return Graph(replace(small.block, weight=weight.double()), dense_features(small.x).double())


def draw(*ids: int) -> Draw:
    return Draw(torch.tensor(ids), torch.ones(len(ids), dtype=torch.float64), Key(0, 0, 0))


def learner(encoder: StackedEncoder, make: Callable[[], MiniBatch]) -> Callable[[Tensor], Tensor]:
    """Embeddings as a function of a factor of each edge; every call gets a batch of its own."""

    def embed(factor: Tensor) -> Tensor:
        def learned(block: Block) -> Block:
            weight = 1.0 if block.weight is None else block.weight
            return replace(block, weight=weight * factor[: block.num_edges])

        return encoder.forward(make().map_blocks(learned))

    return embed


def check(embed: Callable[[Tensor], Tensor], constant: Tensor) -> None:
    """That finite differences agree, edges matter, and factors of one change nothing."""
    factor = torch.rand(MAX_EDGES, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(embed, (factor,))
    (gradient,) = torch.autograd.grad(embed(factor).square().sum(), factor)
    assert gradient.any()
    torch.testing.assert_close(embed(torch.ones_like(factor, requires_grad=True)), constant)


@pytest.mark.parametrize("make", [GCN, SAGE, GIN, GAT])
def test_weights_of_drawn_edges_learn(graph: Graph, make: type[StackedEncoder]) -> None:
    encoder = make(4, hidden_dim=4, num_layers=2, activation="tanh").double().eval()
    propagation: Propagation = Neighbor(graph, num_layers=2, fanouts=(2, 2))

    def batch() -> MiniBatch:
        return propagation.batch(draw(0, 3, 7))

    check(learner(encoder, batch), encoder(batch()))


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        *((HistoryPropagation, make) for make in (GCN, SAGE, GIN, GAT)),
        *((VRGCNPropagation, make) for make in (GCN, SAGE, GIN)),
    ],
)
def test_weights_learn_through_stored_rows(
    graph: Graph, kind: type[StoredPropagation], make: type[StackedEncoder]
) -> None:
    """Rows in the history are constants, but the weights of the edges from them are not."""
    encoder = make(4, hidden_dim=4, num_layers=2, activation="tanh").double().eval()
    propagation = kind(graph, num_layers=2)
    encoder(propagation.batch(draw(*range(16))))
    propagation.frozen = True

    def batch() -> MiniBatch:
        return propagation.batch(draw(0, 3, 7))

    check(learner(encoder, batch), encoder(batch()))


@pytest.mark.parametrize("kind", [AdjointPropagation, LMCPropagation])
def test_stored_gradients_know_no_edges(graph: Graph, kind: type[StoredPropagation]) -> None:
    encoder = GCN(4, hidden_dim=3).double()
    propagation = kind(graph, num_layers=2)
    encoder(propagation.batch(draw(0, 3)))
    with pytest.raises(InputError, match="edge weights are learned"):
        learner(encoder, lambda: propagation.batch(draw(0, 3)))(torch.ones(MAX_EDGES, requires_grad=True))


def test_attention_learns_where_its_adjoints_cannot_be_stored(graph: Graph) -> None:
    """It falls back to the truncated form, in which weights have their gradient."""
    encoder = GAT(4, heads=2, hidden_dim=4, activation="tanh").double().eval()
    propagation = AdjointPropagation(graph, num_layers=2)
    factor = torch.ones(MAX_EDGES, dtype=torch.float64, requires_grad=True)
    with pytest.warns(UserWarning, match="not linear in their neighbours"):
        out = learner(encoder, lambda: propagation.batch(draw(0, 3)))(factor)
    (gradient,) = torch.autograd.grad(out.sum(), factor)
    assert gradient.any()
