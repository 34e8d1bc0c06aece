"""Context prediction against networkx and loops over molecules."""

import math
from dataclasses import replace

import networkx as nx
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.nn import GraphSAGE

from gssl.augment.context import substruct_and_context
from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.spec import Category, GraphSpec
from gssl.graph.storage import Graph
from gssl.methods.contextpred import ContextPred, context_error
from gssl.models.adapter import adapt
from gssl.models.encoder import encoder_for
from gssl.models.gine import GINE

SPEC = GraphSpec(4, 3, (Category("element", 4),), (Category("type", 3),), "toy molecules")
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def chains(sizes: list[int], *, rule: int = 0) -> Graph:
    """Paths whose atoms alternate between two elements, another pair in every second path; bonds of three types."""
    edges: list[tuple[int, int]] = []
    elements: list[int] = []
    ptr = [0]
    for number, size in enumerate(sizes):
        first = ptr[-1]
        for i in range(size - 1):
            edges += [(first + i, first + i + 1), (first + i + 1, first + i)]
        elements += [2 * ((number + rule) % 2) + i % 2 for i in range(size)]
        ptr.append(first + size)
    index = torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).T
    attr = F.one_hot(index.min(0).values % 3, 3).to(torch.uint8)
    return Graph.from_edge_index(
        index, F.one_hot(torch.tensor(elements), 4).float(), edge_attr=attr, ptr=torch.tensor(ptr)
    )


def method_of(*, num_layers: int = 3, **options: object) -> ContextPred:
    encoder = GINE.for_graph(SPEC, hidden_dim=8, num_layers=num_layers, norm="none")
    return ContextPred(encoder, **options)  # type: ignore[arg-type]  # options of each test


def own_graph(batch: MiniBatch, nodes: list[int]) -> MiniBatch:
    """Some nodes of a batch as a graph of their own, with the edges among them."""
    index, attr = batch.blocks[0].edge_index, batch.blocks[0].edge_attr
    assert attr is not None
    place = {node: i for i, node in enumerate(nodes)}
    kept = [e for e, (u, v) in enumerate(index.T.tolist()) if u in place and v in place]
    edges = torch.tensor([[place[u], place[v]] for u, v in index[:, kept].T.tolist()], dtype=torch.int64).reshape(-1, 2)
    assert isinstance(batch.x, Tensor)
    return Graph.from_edge_index(
        edges.T, batch.x[nodes], edge_attr=attr[kept], ptr=torch.tensor([0, len(nodes)])
    ).full_batch()


@pytest.mark.parametrize("pooling", ["mean", "sum", "max"])
@pytest.mark.parametrize("negatives", [1, 2, 9])
def test_loss_is_that_of_a_loop_over_molecules(pooling: str, negatives: int) -> None:
    batch = chains([9, 12, 2, 7, 10]).full_batch()
    weight = torch.tensor([1.0, 2.0, 5.0, 3.0, 1.0])
    batch = replace(batch, weight=weight)
    method = method_of(pooling=pooling, negatives=negatives)
    method.reseed(5, CPU)
    drawn = substruct_and_context(batch, method.rng, k=3, r1=2, r2=5)
    chosen = drawn.substruct.node_ids[drawn.centres].tolist()
    order = torch.randperm(len(chosen), generator=method.rng).tolist()
    molecules = nx.Graph(batch.blocks[0].edge_index.T.tolist())
    heads, contexts, weights = [], [], []
    for centre in chosen:
        away = nx.single_source_shortest_path_length(molecules, centre)
        near = sorted(node for node, d in away.items() if d <= 3)
        ring = sorted(node for node, d in away.items() if 2 < d <= 5)
        heads.append(method.encoder(own_graph(batch, near))[near.index(centre)])
        rows = method.context_encoder(own_graph(batch, ring))
        both = torch.stack([rows[ring.index(node)] for node in ring if node in near])
        contexts.append({"mean": both.mean(0), "sum": both.sum(0), "max": both.max(0).values}[pooling])
        weights.append(float(weight[batch.graph_index()[centre]]))
    count = len(chosen)
    expected = sum(w * F.softplus(-h @ c).item() for w, h, c in zip(weights, heads, contexts, strict=True)) / sum(
        weights
    )
    for shift in range(1, min(negatives, count - 1) + 1):
        pairs = [(order[i], order[(i + shift) % count]) for i in range(count)]
        mass = [weights[a] * weights[b] for a, b in pairs]
        terms = [F.softplus(heads[a] @ contexts[b]).item() for a, b in pairs]
        expected += sum(m * t for m, t in zip(mass, terms, strict=True)) / sum(mass)
    method.reseed(5, CPU)
    assert count in (3, 4)
    assert method.loss(batch).item() == pytest.approx(expected, rel=1e-5)


def test_scores_of_zero_give_two_logarithms() -> None:
    zeros = torch.zeros(6, 4)
    for negatives in (1, 3):
        loss = context_error(zeros, zeros, torch.randperm(6), negatives=negatives)
        assert loss.item() == pytest.approx((1 + negatives) * math.log(2))


def test_no_molecule_is_its_own_negative() -> None:
    """With contexts on axes of their own negatives cost log 2 each; a molecule with itself would cost far more."""
    axes = 9.0 * torch.eye(5)
    for count in (1, 2, 5):
        loss = context_error(axes[:count], axes[:count], torch.randperm(count), negatives=8)
        assert loss.item() == pytest.approx((count - 1) * math.log(2), abs=1e-5)


def test_weights_stand_for_copies_in_the_mean_over_all_orders() -> None:
    """Weight 2 and a copy agree in expectation, but for pairs of the copies with each other."""
    centres, contexts = torch.randn(3, 4, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    weight = torch.tensor([2.0, 1.0, 3.0], dtype=torch.float64)
    positive = F.softplus(-(centres * contexts).sum(1))
    loss = context_error(centres, contexts, torch.tensor([0, 1, 2]), weight=weight)
    scores = F.softplus(centres @ contexts.T)
    pairs = {(0, 1): 2.0, (1, 2): 3.0, (2, 0): 6.0}
    negative = sum(w * scores[pair] for pair, w in pairs.items()) / sum(pairs.values())
    torch.testing.assert_close(loss, (weight * positive).sum() / weight.sum() + negative)


def test_negatives_differ_from_step_to_step() -> None:
    """Where batches come in one order, a molecule still meets all others."""
    centres = torch.randn(6, 4)
    losses = {round(context_error(centres, centres.flip(1), torch.randperm(6)).item(), 5) for _ in range(20)}
    assert len(losses) > 10


def test_the_context_network_is_as_deep_as_its_ring_and_new() -> None:
    method = method_of(num_layers=5)
    assert (method.k, method.r1, method.r2) == (5, 4, 7)  # the paper's hops
    assert method.context_encoder.num_layers == 3
    assert isinstance(method.context_encoder, GINE)
    assert method.context_encoder.uses_edge_attr
    method = method_of(num_layers=3, r1=1, r2=4)
    assert (method.k, method.r1, method.r2, method.context_encoder.num_layers) == (3, 1, 4, 3)
    own, other = (dict(network.named_parameters()) for network in (method.encoder, method.context_encoder))
    assert own.keys() == other.keys()
    assert not torch.equal(own["layers.0.embedding.table"], other["layers.0.embedding.table"])


def test_a_molecule_agrees_with_its_own_context_after_training() -> None:
    """Paths of two alphabets: the surroundings tell which, so positive pairs come to be told from negative ones."""
    graph = chains([8 + number % 5 for number in range(24)])
    method = ContextPred(GINE.for_graph(SPEC, hidden_dim=16, num_layers=2))
    optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
    losses = []
    for step in range(60):
        method.reseed(step, CPU)
        optimizer.zero_grad()
        loss = method.loss(graph.full_batch())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    # Of 23 others 11 have the same alphabet, so who tells alphabets, and nothing else, gets to 0.93, not to 0.
    assert sum(losses[-10:]) / 10 < 1.1 < 2 * math.log(2)


def test_batches_with_one_ring_or_none() -> None:
    """Nothing to compare costs nothing and moves nothing; one molecule alone has no negative."""
    method = method_of(r1=2, k=3)
    small = chains([3, 3]).full_batch()
    loss = method.loss(small)
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is None or not p.grad.any() for p in method.parameters())
    method.reseed(0, CPU)
    alone = method.loss(chains([20, 2]).full_batch())
    method.reseed(0, CPU)
    pair = substruct_and_context(chains([20, 2]).full_batch(), method.rng, k=3, r1=2, r2=5)
    centre = method.encoder(pair.substruct)[pair.centres[0]]
    context = method.context_encoder(pair.context)[pair.anchors].mean(0)
    torch.testing.assert_close(alone, F.softplus(-centre @ context))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match=r"ContextPred needs nodes that are described by categories.* use molecules"):
        ContextPred(GINE.for_graph(GraphSpec(4, 3)))
    with pytest.raises(InputError, match=r"r1=3 to r2=6 around k=3 hops: r1 must be below both"):
        method_of(r1=3)
    with pytest.raises(InputError, match=r"r1=2 to r2=2 around k=3"):
        method_of(r2=2)
    with pytest.raises(InputError, match=r"outputs of layers are joined; use encoder.jk=last"):
        ContextPred(GINE.for_graph(SPEC, hidden_dim=8, num_layers=2, jk="cat"))
    module = encoder_for(adapt(GraphSAGE), SPEC, hidden_dim=8)
    with pytest.raises(InputError, match="GraphSAGE does not know how it was made"):
        ContextPred(module)
