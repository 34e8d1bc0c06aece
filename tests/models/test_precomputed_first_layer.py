"""A first layer that reads aggregated features gives what it would have aggregated itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch_geometric import nn as pyg

from gssl.augment.drop_edge import DropEdge
from gssl.augment.mask_feature import MaskFeature
from gssl.common.errors import InputError
from gssl.graph.storage import Graph
from gssl.models.adapter import adapt
from gssl.models.gat import GAT
from gssl.models.gcn import GCN
from gssl.models.gin import GIN
from gssl.models.sage import SAGE
from gssl.models.stack import StackedEncoder
from gssl.samplers.propagation.adjoint import AdjointPropagation
from gssl.samplers.propagation.base import Propagation
from gssl.samplers.propagation.exact import Exact
from gssl.samplers.propagation.history import HistoryPropagation
from gssl.samplers.propagation.labor import Labor
from gssl.samplers.propagation.neighbor import Neighbor
from gssl.samplers.propagation.vrgcn import VRGCNPropagation
from gssl.samplers.rng import Key
from gssl.samplers.selection.base import Draw
from gssl.testing.toy import toy_graph

LAYERS = 3
NODES = 12
ENCODERS: dict[str, Callable[[int], StackedEncoder]] = {
    "GCN": lambda d: GCN(d, hidden_dim=8, num_layers=LAYERS, activation="prelu", norm="layer"),
    "SAGE": lambda d: SAGE(d, hidden_dim=8, num_layers=LAYERS, jk="cat"),
    "GIN": lambda d: GIN(d, hidden_dim=8, num_layers=LAYERS, norm="none", learn_eps=True, eps=-0.5),
}
PROPAGATIONS: dict[str, Callable[[Graph, bool], Propagation]] = {
    "exact": lambda g, p: Exact(g, num_layers=LAYERS, precompute=p),
    "neighbor": lambda g, p: Neighbor(g, num_layers=LAYERS, fanouts=(2, 2, -1), weights="ht", precompute=p),
    "labor": lambda g, p: Labor(g, num_layers=LAYERS, fanouts=(2, 2, 99), precompute=p),
    "history": lambda g, p: HistoryPropagation(g, num_layers=LAYERS, precompute=p),
    "vrgcn": lambda g, p: VRGCNPropagation(g, num_layers=LAYERS, precompute=p),
    "adjoint": lambda g, p: AdjointPropagation(g, num_layers=LAYERS, precompute=p),
}


def graph(*, sparse: bool = False) -> Graph:
    small = toy_graph(num_nodes=NODES, in_dim=5, isolated=1, sparse=sparse)
    return small if sparse or not isinstance(small.x, Tensor) else Graph(small.block, small.x.double())


def draw(*ids: int) -> Draw:
    return Draw(torch.tensor(ids), torch.full((len(ids),), 0.5, dtype=torch.float64), Key(0, 0, 0))


def steps(encoder: StackedEncoder, propagation: Propagation) -> list[Tensor]:
    """Embeddings and gradients of several batches, the later ones with what the earlier ones stored."""
    found: list[Tensor] = []
    for ids in (range(NODES), (3, 7, 1), (0, 11, 3, 4)):
        batch = propagation.batch(draw(*ids))
        encoder.zero_grad()
        out = encoder(batch)
        (out.square().sum(1) * batch.weight).sum().backward()
        found += [out.detach(), *(torch.zeros_like(p) if p.grad is None else p.grad for p in encoder.parameters())]
    return found


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("way", PROPAGATIONS)
def test_embeddings_and_gradients_are_those_of_neighbors_that_are_all_there(name: str, way: str) -> None:
    torch.manual_seed(0)
    whole = graph()
    encoder = ENCODERS[name](whole.in_dim).double()
    plain, precomputed = (steps(encoder, PROPAGATIONS[way](whole, p)) for p in (False, True))
    for one, other in zip(plain, precomputed, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)


def test_the_batch_is_smaller_by_a_hop() -> None:
    whole = graph()
    batches = [Exact(whole, num_layers=1, precompute=p).batch(draw(2, 5)) for p in (False, True)]
    assert batches[1].num_nodes == 2 < batches[0].num_nodes


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("name", ENCODERS)
def test_adjoint_history_that_is_read_in_place_stays_exact(name: str, frozen: bool) -> None:
    """Fresh rows are written before they are read, so a history that fits the weights keeps doing so."""
    torch.manual_seed(0)
    whole = graph()
    encoder = ENCODERS[name](whole.in_dim).double()
    propagation = AdjointPropagation(whole, num_layers=LAYERS)
    propagation.store.dtype = torch.float64
    goal = torch.randn(NODES, encoder.out_dim, dtype=torch.float64)

    def gradient(batch_of: Draw | None) -> Tensor:
        batch = whole.full_batch() if batch_of is None else propagation.batch(batch_of)
        encoder.zero_grad()
        (encoder(batch) - goal[batch.node_ids[: batch.num_targets]]).square().sum().backward()
        return torch.cat([p.grad.flatten() for p in encoder.parameters() if p.grad is not None])

    truth = gradient(None)
    everyone = Draw(torch.arange(NODES), torch.ones(NODES, dtype=torch.float64), Key(0, 0, 0))
    for _ in range(LAYERS + 1):
        gradient(everyone)
    propagation.frozen = frozen
    one = torch.ones(1, dtype=torch.float64)
    total = sum(gradient(Draw(torch.tensor([i]), one, Key(0, 0, i))) for i in range(NODES))
    torch.testing.assert_close(total, truth, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("augment", [DropEdge(p=0.5), MaskFeature(p=0.5)])
def test_views_that_change_the_features_are_refused(augment: DropEdge | MaskFeature) -> None:
    batch = Exact(graph(), num_layers=LAYERS, precompute=True).batch(draw(1, 2))
    with pytest.raises(InputError, match=r"set sampler\.precompute=false"):
        augment(batch, torch.Generator())


@pytest.mark.parametrize(
    "encoder",
    [
        GAT(5, hidden_dim=8, heads=2, num_layers=LAYERS),
        GCN(5, hidden_dim=8, num_layers=LAYERS, in_dropout=0.5),
        adapt(pyg.GCN)(5, hidden_dim=8, num_layers=LAYERS),
    ],
    ids=["attention", "feature dropout", "PyG"],
)
def test_encoders_that_cannot_read_it_are_refused(encoder: torch.nn.Module) -> None:
    batch = Exact(graph(), num_layers=LAYERS, precompute=True).batch(draw(1, 2))
    with pytest.raises(InputError):
        encoder.double()(batch)


def test_chosen_neighbors_that_stand_for_themselves_are_refused() -> None:
    with pytest.raises(InputError, match=r"sampler\.weights=ht"):
        Neighbor(graph(), num_layers=LAYERS, precompute=True)


def test_sparse_features_are_refused() -> None:
    with pytest.raises(InputError, match="sparse features"):
        Exact(graph(sparse=True), num_layers=LAYERS, precompute=True)
