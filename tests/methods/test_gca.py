"""GCA: GRACE whose views spare what is central."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.augment.centrality import Centrality
from gssl.common.errors import InputError
from gssl.common.options import options_of
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.methods.gca import GCA
from gssl.methods.grace import GRACE
from gssl.models.gcn import GCN
from gssl.registry import SAMPLERS
from gssl.testing.toy import toy_graph

CPU = torch.device("cpu")


def made(graph: Graph, **options: object) -> GCA:
    torch.manual_seed(0)
    method = GCA(GCN(graph.in_dim, hidden_dim=8), projector_dim=8, **options)  # type: ignore[arg-type]
    method.prepare(graph, 0)
    return method


def chances(weight: Tensor, p: float) -> Tensor:
    """Of the paper's formula for edges and features, cut off at 0.7."""
    s = weight.log()
    return ((s.max() - s) / (s.max() - s.mean()) * p).clamp(max=0.7)


def test_loss_is_info_nce_of_two_adaptive_views() -> None:
    graph = toy_graph()
    method = made(graph, drop_edge=(0.3, 0.5), mask_feature=(0.1, 0.4), temperature=0.5)
    method.reseed(3, CPU)
    loss = method.loss(graph.full_batch())
    method.reseed(3, CPU)
    source, target = graph.block.edge_index
    degree = torch.bincount(target, minlength=graph.num_nodes).float()
    assert isinstance(graph.x, Tensor)
    projections = []
    for drop, mask in ((0.3, 0.1), (0.5, 0.4)):
        keep = torch.rand(graph.num_edges, generator=method.rng) >= chances(degree[target], drop)
        columns = torch.rand(graph.in_dim, generator=method.rng) >= chances(graph.x.T @ degree, mask)
        view = Graph.from_edge_index(torch.stack([source, target])[:, keep], graph.x * columns)
        projections.append(F.normalize(method.head(method.encoder(view.full_batch()))))
    terms = []
    for a, b in (projections, projections[::-1]):
        between, within = (a @ b.T / 0.5).exp(), (a @ a.T / 0.5).exp()
        terms.append(-(between.diag() / (between.sum(1) + within.sum(1) - within.diag())).log())
    torch.testing.assert_close(loss, torch.cat(terms).mean(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["degree", "eigenvector", "pagerank"])
def test_where_nothing_is_more_central_it_is_grace(kind: Centrality) -> None:
    """On a ring whose words are all used alike, for every centrality, draw by draw."""
    nodes = torch.arange(24)
    ring = torch.stack([nodes, nodes.roll(1)])
    graph = Graph.from_edge_index(torch.cat([ring, ring.flip(0)], dim=1), torch.eye(24))
    drop, mask = (0.2, 0.4), (0.3, 0.5)
    adaptive = made(graph, centrality=kind, drop_edge=drop, mask_feature=mask)
    torch.manual_seed(0)
    uniform = GRACE(GCN(24, hidden_dim=8), projector_dim=8, drop_edge=drop, mask_feature=mask)
    for seed in range(3):
        losses = []
        for method in (adaptive, uniform):
            method.reseed(seed, CPU)
            losses.append(method.loss(graph.full_batch()))
        torch.testing.assert_close(*losses)


@pytest.mark.parametrize("kind", ["degree", "eigenvector", "pagerank"])
def test_edges_into_central_nodes_and_their_words_stay(kind: Centrality) -> None:
    """Two hubs in a graph of leaves: their in-edges and the word that only they have."""
    leaves = torch.arange(2, 42)
    hubs = leaves % 2
    edges = torch.cat([torch.stack([leaves, hubs]), torch.stack([hubs, leaves]), torch.tensor([[0, 1], [1, 0]])], dim=1)
    x = torch.zeros(42, 3)
    x[:2, 0], x[2:4, 1], x[:, 2] = 1, 1, 1  # of the hubs, of two leaves, of everybody
    graph = Graph.from_edge_index(edges, x)
    method = made(graph, centrality=kind, drop_edge=(0.3, 0.3), mask_feature=(0.3, 0.3))
    into_hub = graph.block.pattern.row.long() < 2
    kept_edges, kept_words = torch.zeros(2), torch.zeros(3)
    method.reseed(0, CPU)
    for _ in range(200):
        view = method.views[0](graph.full_batch(), method.rng)
        row = view.blocks[0].pattern.row.long()
        kept_edges += torch.tensor([float((row < 2).sum()), float((row >= 2).sum())])
        kept_words += (dense_features(view.x) != 0).any(0)
    share = kept_edges / 200 / torch.tensor([float(into_hub.sum()), float((~into_hub).sum())])
    assert share[0] > share[1] + 0.2
    assert kept_words[0] > kept_words[1] + 20
    assert kept_words[2] == 200  # the most important word is never masked


def test_an_edge_has_the_same_chance_in_sampled_batches() -> None:
    """A batch of few nodes must not make the least central of them look central."""
    graph = toy_graph(num_nodes=60)
    method = made(graph, drop_edge=(0.4, 0.4), mask_feature=(0.0, 0.0))
    target = graph.block.edge_index[1]
    degree = torch.bincount(target, minlength=60).float()
    expected = 1 - chances(degree[target], 0.4)
    by_node = torch.zeros(60).scatter_reduce(0, target, expected, "amin", include_self=False)
    method.reseed(1, CPU)
    for name in ("uniform+exact", "uniform+induced"):
        batch = next(iter(SAMPLERS.get(name)(graph, num_layers=2, batch_size=12).epoch(0)))
        repeats = 400
        kept = torch.zeros(batch.blocks[-1].num_dst)
        for _ in range(repeats):
            kept += method.views[0](batch, method.rng).blocks[-1].pattern.counts
        there = batch.blocks[-1].pattern.counts.float()
        some = there > 0
        chance = by_node[batch.node_ids[: len(there)]][some]
        error = (chance * (1 - chance) / (repeats * there[some])).sqrt()
        gap = (kept[some] / repeats / there[some] - chance).abs()
        assert bool((gap <= 5 * error + 1e-6).all()), name


def test_the_options_of_grace_are_inherited() -> None:
    assert {"drop_edge", "mask_feature", "temperature", "projector_dim", "intra"} <= options_of(GCA).keys()
    assert made(toy_graph(), temperature=0.7).objective.keywords["temperature"] == 0.7


def test_ten_steps_lower_the_loss() -> None:
    graph = toy_graph()
    for binary in (True, False):
        method = made(graph, binary=binary)
        optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
        losses = []
        for step in range(10):
            method.reseed(step, CPU)
            optimizer.zero_grad()
            loss = method.loss(graph.full_batch())
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert sum(losses[-3:]) < sum(losses[:3])


def test_centralities_are_made_once_for_a_graph() -> None:
    graph, made_again = toy_graph(), []
    method = made(graph, centrality="eigenvector")
    graph.derived("centrality eigenvector", lambda: made_again.append(1))
    assert not made_again
    assert len(method.views) == 2


def test_without_a_graph_it_says_what_is_missing() -> None:
    with pytest.raises(InputError, match="prepare"):
        GCA(GCN(24, hidden_dim=8)).loss(toy_graph().full_batch())
