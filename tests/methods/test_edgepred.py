"""Edge prediction against a loop over graphs."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.methods.edgepred import EdgePred
from gssl.methods.gae import GAE
from gssl.models.gin import GIN
from gssl.objectives.edges import negatives_within
from gssl.testing.toy import toy_graphs

CPU = torch.device("cpu")


def method_of(**options: int) -> EdgePred:
    torch.manual_seed(0)
    return EdgePred(GIN(4, hidden_dim=8, num_layers=2), **options)


def ends_by_graph(batch: MiniBatch) -> list[set[frozenset[int]]]:
    """The undirected edges of each graph, without self-loops."""
    graph = batch.graph_index().tolist()
    edges: list[set[frozenset[int]]] = [set() for _ in range(batch.num_graphs)]
    for u, v in batch.blocks[0].edge_index.T.tolist():
        if u != v:
            edges[graph[u]].add(frozenset((u, v)))
    return edges


@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_that_of_a_loop_over_graphs(weighted: bool) -> None:
    method, batch = method_of(negatives=2).double(), toy_graphs(num_graphs=9).full_batch()
    assert isinstance(batch.x, Tensor)
    batch = batch.with_x(batch.x.double())
    weight = torch.arange(1.0, 10.0, dtype=torch.float64)
    if weighted:
        batch = replace(batch, weight=weight)
    method.reseed(3, CPU)
    loss = method.loss(batch)
    method.reseed(3, CPU)
    drawn = method.pretext(batch)[1].negative.T.tolist()
    z, graph, edges = method.encoder(batch).tolist(), batch.graph_index().tolist(), ends_by_graph(batch)

    def term(u: int, v: int, sign: int) -> float:
        return math.log1p(math.exp(-sign * sum(a * b for a, b in zip(z[u], z[v], strict=True))))

    def mean(pairs: list[tuple[int, int]], sign: int) -> float:
        weights = [float(weight[graph[u]]) if weighted else 1.0 for u, _ in pairs]
        return sum(w * term(u, v, sign) for w, (u, v) in zip(weights, pairs, strict=True)) / sum(weights)

    joined = [(min(pair), max(pair)) for found in edges for pair in found]
    assert drawn
    assert all(graph[u] == graph[v] and u != v and frozenset((u, v)) not in edges[graph[u]] for u, v in drawn)
    assert loss.item() == pytest.approx(mean(joined, 1) + mean([(u, v) for u, v in drawn], -1), rel=1e-12)


def test_non_edges_are_uniform_within_their_graph() -> None:
    """Of a path of four nodes beside a larger graph: each of the six ordered pairs that are not joined."""
    edges = torch.tensor([[0, 1, 1, 2, 2, 3, 4, 5], [1, 0, 2, 1, 3, 2, 5, 4]])
    pattern = Graph.from_edge_index(edges, torch.zeros(9, 1)).block.pattern
    rng = torch.Generator().manual_seed(0)
    graphs = torch.zeros(16_000, dtype=torch.int64)
    found = negatives_within(pattern, torch.tensor([0, 4, 9]), graphs, rng, undirected=True)
    counts = torch.zeros(9, 9).index_put(tuple(found), torch.ones(found.shape[1]), accumulate=True)
    wanted = [(u, v) for u, v in itertools.permutations(range(4), 2) if abs(u - v) > 1]
    assert sorted(map(tuple, counts.nonzero().tolist())) == wanted
    assert all(abs(float(counts[pair]) - 1000) < 5 * math.sqrt(1000) for pair in wanted)


def test_a_complete_graph_has_no_non_edges_and_a_single_node_no_pairs() -> None:
    triangle = torch.tensor([[0, 1, 2, 1, 2, 0], [1, 2, 0, 0, 1, 2]])
    graph = Graph.from_edge_index(triangle, torch.eye(4), ptr=torch.tensor([0, 3, 4]))
    method, batch = method_of(), graph.full_batch()
    target = method.pretext(batch)[1]
    assert target.positive.T.tolist() == [[0, 1], [0, 2], [1, 2]]
    assert target.negative.shape == (2, 0)
    z = method.encoder(batch)[:3]
    expected = torch.nn.functional.softplus(-(z @ z.T)[[0, 0, 1], [1, 2, 2]]).mean()
    torch.testing.assert_close(method.loss(batch), expected)


def test_self_loops_are_not_predicted() -> None:
    edges = torch.tensor([[0, 1, 0, 2], [1, 0, 0, 2]])
    graph = Graph.from_edge_index(edges, torch.eye(4)[:3], ptr=torch.tensor([0, 3]))
    assert method_of().pretext(graph.full_batch())[1].positive.T.tolist() == [[0, 1]]


def test_graphs_without_edges_teach_nothing() -> None:
    graph = Graph.from_edge_index(torch.zeros(2, 0, dtype=torch.int64), torch.eye(4), ptr=torch.tensor([0, 2, 4]))
    method = method_of()
    loss = method.loss(graph.full_batch())
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is None or not p.grad.any() for p in method.parameters())


def test_ten_steps_bring_joined_nodes_together() -> None:
    method, batch = method_of(), toy_graphs(num_graphs=20).full_batch()
    edges = method.pretext(batch)[1].positive
    apart = torch.cat([method.pretext(batch)[1].negative for _ in range(20)], dim=1)

    def gap() -> float:
        with torch.no_grad():
            z = method.encoder(batch)
        scores = [(z[pairs[0]] * z[pairs[1]]).sum(1).sigmoid().mean() for pairs in (edges, apart)]
        return float(scores[0] - scores[1])

    before, optimizer = gap(), torch.optim.Adam(method.parameters(), lr=0.01)
    for step in range(10):
        method.reseed(step, CPU)
        optimizer.zero_grad()
        method.loss(batch).backward()
        optimizer.step()
    assert gap() > before


def test_every_epoch_draws_other_non_edges() -> None:
    method, batch, seen = method_of(), toy_graphs().full_batch(), []
    for seed in (0, 1, 0):
        method.reseed(seed, CPU)
        seen.append(method.pretext(batch)[1].negative)
    assert torch.equal(seen[0], seen[2])
    assert not torch.equal(seen[0], seen[1])


def test_edges_weigh_as_those_of_a_graph_auto_encoder() -> None:
    """Of one graph the edge term is that of GAE, whose pairs are the same in both directions."""
    whole = toy_graphs(num_graphs=1)
    batch = whole.full_batch()
    single = replace(batch, graph_ptr=None, graph_ids=None)
    method = method_of()
    ours, theirs = method.pretext(batch)[1].positive, GAE(method.encoder).pretext(single)[1].positive
    z = method.encoder(batch)
    terms = [torch.nn.functional.softplus(-(z[e[0]] * z[e[1]]).sum(1)).mean() for e in (ours, theirs)]
    torch.testing.assert_close(*terms)
