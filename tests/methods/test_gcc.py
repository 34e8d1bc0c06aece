"""GCC: its losses, its queue and momentum encoder, its embeddings, and transfer between graphs."""

import copy
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data

import gssl
from gssl.common.errors import InputError
from gssl.common.options import validate
from gssl.graph.batch import MiniBatch
from gssl.graph.spec import GraphSpec
from gssl.graph.storage import Graph
from gssl.methods.gcc import GCC
from gssl.models.gin import GIN
from gssl.samplers.full import FullBatch, GraphBatches
from gssl.samplers.named import gas, graphsage
from gssl.testing.toy import toy_graph, toy_graphs

CPU = torch.device("cpu")


def make(graph: Graph | None = None, *, norm: Any = "batch", **options: Any) -> GCC:
    torch.manual_seed(0)
    encoder = GIN.for_graph(GraphSpec(24), hidden_dim=8, num_layers=2, norm=norm, jk="last")
    small = {"dim": 6, "positions": 4, "degree_dim": 3, "max_degree": 8, "steps": 16, "queue": 8, "dropout": 0.0}
    method = GCC(encoder, **{**small, **options})
    method.prepare(toy_graph() if graph is None else graph, 0)
    return method


def seen_by(method: GCC, graph: Graph, seed: int) -> tuple[Tensor, Tensor]:
    """What the query tower makes of the two subgraphs of each node in the step with this seed."""
    rng = torch.Generator().manual_seed(seed)
    _, first, second = torch.randint(2**62, (3,), generator=rng).tolist()
    seeds = torch.arange(graph.num_nodes)
    one, two = (method.tower(method._nets(seeds, stream, CPU)) for stream in (first, second))
    return one, two


def test_with_a_queue_the_loss_is_that_of_moco() -> None:
    graph = toy_graph()
    method = make(graph, temperature=0.2).train()
    with torch.no_grad():
        query, key = seen_by(method, graph, 4)  # the key encoder is a copy yet
        queue = torch.nn.functional.normalize(method.queue.rows, dim=1)  # type: ignore[union-attr]  # there is one
        positive = torch.exp((query * key).sum(1) / 0.2)
        expected = -torch.log(positive / (positive + torch.exp(query @ queue.T / 0.2).sum(1))).mean()
        method.reseed(4, CPU)
        torch.testing.assert_close(method.loss(graph.full_batch()), expected)


def test_end_to_end_the_others_of_the_batch_are_negatives_and_both_sides_learn() -> None:
    graph = toy_graph()
    method = make(graph, queue=0, temperature=0.2, norm="none")
    assert method.target is None
    query, key = seen_by(method, graph, 4)
    scores = key @ query.T / 0.2
    expected = torch.nn.functional.cross_entropy(scores, torch.arange(len(scores)))
    method.reseed(4, CPU)
    found = method.loss(graph.full_batch())
    torch.testing.assert_close(found, expected)
    parameters = [p for p in method.parameters() if p.requires_grad]
    for mine, theirs in zip(
        torch.autograd.grad(found, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(mine, theirs)


def test_keys_enter_the_queue_after_the_step_that_made_them() -> None:
    graph = toy_graph()
    method = make(graph, queue=40).train()
    assert method.queue is not None
    before = method.queue.rows.clone()
    batch = graph.full_batch()
    items = replace(batch, num_targets=10, weight=torch.arange(10).float())
    for _ in range(2):
        method.reseed(1, CPU)
        method.loss(items)
        assert torch.equal(method.queue.rows, before), "a loss alone changes what the next one sees"
    method.after_step(0.5)
    assert torch.equal(method.queue.rows[10:], before[10:])
    torch.testing.assert_close(method.queue.rows[:10].norm(dim=1), torch.ones(10))
    assert method.queue.weight[:10].tolist() == list(range(10))
    kept = method.queue.rows.clone()
    method.after_step(0.6)
    assert torch.equal(method.queue.rows, kept), "keys are pushed once"


def test_the_key_encoder_follows_at_one_pace_and_gets_no_gradient() -> None:
    graph = toy_graph()
    method = make(graph, momentum=0.9).train()
    assert method.target is not None
    start = [p.clone() for p in method.target.encoder.parameters()]
    with torch.no_grad():
        for parameter in method.tower.parameters():
            parameter.add_(1.0)
    for progress in (0.1, 0.9, 1.0):
        method.reseed(1, CPU)
        method.loss(graph.full_batch())
        method.after_step(progress)
    for now, then in zip(method.target.encoder.parameters(), start, strict=True):
        torch.testing.assert_close(now, then + (1 - 0.9**3))
    assert not any(p.requires_grad for p in method.target.parameters())


def test_dropout_is_that_of_queries_alone() -> None:
    graph = toy_graph()
    method = make(graph, dropout=0.5).train()
    nets = method._nets(torch.arange(10), 5, CPU)
    assert method.target is not None
    assert torch.equal(method.target(nets), method.target(nets))
    assert not torch.equal(method.tower(nets), method.tower(nets))


def unlike_places() -> tuple[Graph, MiniBatch]:
    """Stars, cliques, cycles, a path and wheels, and a batch of the first node of each."""
    parts = [nx.star_graph(3), nx.star_graph(6), nx.star_graph(12), nx.complete_graph(4), nx.complete_graph(7)]
    parts += [nx.complete_graph(12), nx.cycle_graph(3), nx.cycle_graph(9), nx.path_graph(4), nx.wheel_graph(12)]
    edges = torch.tensor([*nx.disjoint_union_all(parts).edges]).T
    sizes = torch.tensor([0, *(part.number_of_nodes() for part in parts)]).cumsum(0)
    graph = Graph.from_edge_index(torch.cat([edges, edges.flip(0)], dim=1), torch.ones(int(sizes[-1]), 2))
    ids = torch.cat([sizes[:-1], torch.arange(graph.num_nodes)])
    return graph, replace(graph.full_batch(), node_ids=ids, num_targets=len(parts))


@pytest.mark.parametrize("queue", [0, 8])
def test_steps_raise_the_agreement_of_positives(queue: int) -> None:
    graph, batch = unlike_places()
    method = make(graph, queue=queue, momentum=0.5, temperature=0.2)
    ids = batch.node_ids[: batch.num_targets]

    def agreement() -> tuple[float, float]:
        """Mean cosine of two subgraphs of a node, and of any two nodes."""
        with torch.no_grad():
            rows = [method.tower(method._nets(ids, stream, CPU)) for stream in range(6)]
        cosine = torch.stack([a @ b.T for a, b in combinations(rows, 2)]).mean(0)
        return float(cosine.diagonal().mean()), float(cosine.mean())

    before = agreement()
    optimizer = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], lr=0.02)
    for step in range(20):
        method.reseed(step, CPU)
        optimizer.zero_grad()
        method.loss(batch).backward()
        optimizer.step()
        method.after_step((step + 1) / 20)
    positive, every = agreement()
    assert positive > before[0] + 0.05, (before, positive, every)
    assert every < positive - 0.4, "all embeddings are the same"


def test_features_of_the_data_are_not_looked_at() -> None:
    graph = toy_graph()
    other = Graph(graph.block, torch.randn(graph.num_nodes, 3))
    first, second = make(graph).eval(), make(other).eval()
    assert torch.equal(first.embed(graph.full_batch()), second.embed(other.full_batch()))


def test_the_embedding_of_a_node_does_not_depend_on_the_batch() -> None:
    graph = toy_graph()
    method = make(graph).eval()
    every = method.embed(graph.full_batch())
    for batch in graphsage(graph, num_layers=1, batch_size=7, seed=0).epoch(0):
        torch.testing.assert_close(method.embed(batch), every[batch.node_ids[: batch.num_targets]])
    torch.testing.assert_close(every, (every / every.norm(dim=1, keepdim=True)) * every.norm(dim=1, keepdim=True))
    assert (every.norm(dim=1) <= 1 + 1e-5).all(), "means of two unit rows"


def test_nodes_with_like_surroundings_have_like_embeddings_wherever_they_are() -> None:
    """All nodes of two cycles stand alike, whatever their numbers; those of a clique do not."""
    rings = [torch.stack([torch.arange(9), torch.arange(9).roll(1)]) + 9 * k for k in range(2)]
    clique = torch.combinations(torch.arange(18, 24)).T
    edges = torch.cat([*rings, clique], dim=1)
    graph = Graph.from_edge_index(torch.cat([edges, edges.flip(0)], dim=1), torch.ones(24, 2))
    method = make(graph, steps=2, restart=1.0, norm="none").eval()  # one node and both of its neighbors, or one of them
    rows = method.embed(graph.full_batch())
    cosine = torch.nn.functional.normalize(rows, dim=1) @ torch.nn.functional.normalize(rows, dim=1).T
    distinct = torch.unique(rows[:18].mul(1e4).round(), dim=0)
    assert len(distinct) <= 3
    assert cosine[:18, :18].min() > cosine[:18, 18:].min()


def test_a_set_of_graphs_gives_a_node_of_each_and_is_embedded_whole() -> None:
    graph = toy_graphs(num_graphs=12)
    method = make(graph)
    batch = graph.graph_batch(torch.tensor([5, 0, 11, 5]))
    found = torch.stack([method._seeds(batch, stream) for stream in range(400)])
    assert graph.ptr is not None
    for column, number in enumerate((5, 0, 11, 5)):
        a, b = graph.ptr[number : number + 2].tolist()
        seeds = found[:, column]
        assert a <= int(seeds.min())
        assert int(seeds.max()) < b
        assert method.structure is not None
        weight = method.structure.pattern.counts[a:b].double() ** 0.75
        often = torch.bincount(seeds - a, minlength=b - a) / 400
        torch.testing.assert_close(often.double(), weight / weight.sum(), atol=0.12, rtol=0)
    method.eval()
    rows = method.embed(graph.full_batch())
    torch.testing.assert_close(method.embed(batch), rows[[5, 0, 11, 5]])


def test_the_root_of_a_graph_is_its_first_node_of_most_neighbors() -> None:
    star = torch.tensor([[2, 2, 2, 0, 1, 3], [0, 1, 3, 2, 2, 2]])
    path = torch.tensor([[4, 5, 5, 6, 6, 7], [5, 4, 6, 5, 7, 6]])
    graph = Graph.from_edge_index(torch.cat([star, path], dim=1), torch.ones(9, 1), ptr=torch.tensor([0, 4, 8, 8, 9]))
    method = make(graph)
    assert method.structure is not None
    assert method.structure.whole is not None
    mark = method.structure.whole.x[:, -1]  # type: ignore[index]  # dense here
    assert mark.nonzero().flatten().tolist() == [2, 5, 8]
    assert method.eval().embed(graph.full_batch()).isfinite().all()
    with pytest.raises(InputError, match="some graphs have none"):
        method.check_sampler(GraphBatches(graph, batch_size=4))


def test_weights_mean_how_often() -> None:
    """Of items with a queue that stands still: a weight of two is an item twice, end to end as a negative too."""
    graph = toy_graphs(num_graphs=6)
    ids = torch.tensor([0, 0, 1, 2, 3, 4, 4, 4])
    weight = torch.tensor([2.0, 1.0, 1.0, 1.0, 3.0, 0.0])
    # From every node of a graph all others are reached, so that nothing depends on the draws.
    for queue in (0, 5):
        method = make(graph, queue=queue, norm="none", steps=4000, restart=0.05, positions=1)
        method._seeds = lambda batch, stream: batch_roots(graph, batch.graph_ids)  # type: ignore[method-assign]
        losses = [method.loss(b) for b in (replace(graph.full_batch(), weight=weight), graph.graph_batch(ids))]
        torch.testing.assert_close(losses[0], losses[1], rtol=1e-4, atol=1e-5)
        assert not torch.isclose(losses[0], method.loss(graph.full_batch()))


def batch_roots(graph: Graph, ids: Tensor | None) -> Tensor:
    assert graph.ptr is not None
    assert ids is not None
    return graph.ptr[ids]


def test_a_queue_longer_than_the_data_is_refused() -> None:
    graph = toy_graph()
    method = make(graph, queue=49)
    for sampler in (FullBatch(graph), graphsage(graph, num_layers=1, batch_size=8, seed=0)):
        with pytest.raises(InputError, match=r"queue of 49 keys is longer than the data.*48 items"):
            method.check_sampler(sampler)
    make(graph, queue=48).check_sampler(FullBatch(graph))
    graphs = toy_graphs()
    few = GraphBatches(graphs, batch_size=4, items=torch.arange(6))
    with pytest.raises(InputError, match="there are 6 items"):
        make(graphs, queue=8).check_sampler(few)


def test_what_does_not_fit_is_refused() -> None:
    graph, graphs = toy_graph(), toy_graphs()
    with pytest.raises(InputError, match="has only 1"):
        make(graphs, queue=0).check_sampler(GraphBatches(graphs, batch_size=1))
    make(graphs, queue=4).check_sampler(GraphBatches(graphs, batch_size=1))
    with pytest.raises(InputError, match="a history of embeddings is of no use"):
        make(graph).check_sampler(gas(graph, num_layers=1, batch_size=16, seed=0))
    bare = Graph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), torch.ones(20, 2))
    with pytest.raises(InputError, match="there are none; use other data"):
        make(bare).check_sampler(FullBatch(bare))
    with pytest.raises(InputError, match="call prepare"):
        copy.copy(GCC(GIN.for_graph(GraphSpec(3)), queue=0)).loss(graph.full_batch())


@pytest.mark.parametrize(
    ("option", "value"),
    [("restart", 0.0), ("restart", 1.5), ("queue", -1), ("momentum", 1.1), ("temperature", 0), ("steps", 0)],
)
def test_options_out_of_range_are_refused(option: str, value: float) -> None:
    with pytest.raises(InputError, match=option):
        validate(GCC, {option: value}, what="GCC")


def test_what_one_graph_taught_serves_another_with_other_features(tmp_path: Path) -> None:
    """By --pretrain-on and after gssl.load; the structure of the other graph is seen, its own features are not."""
    small = {"encoder.hidden_dim": 8, "encoder.num_layers": 2, "steps": 16, "queue": 16, "train.batch_size": 32}
    run = gssl.run(
        "GCC", "digits", epochs=1, set={**small, "setting.pretrain_on": "csbm:nodes=200"}, out=tmp_path / "a"
    )
    assert run.test is not None
    own = gssl.run("GCC", "digits", epochs=1, set=small, out=tmp_path / "b")
    assert not torch.equal(run.embeddings, own.embeddings)
    other = toy_graph(in_dim=5)
    assert gssl.embed(own, Data(x=other.x, edge_index=other.block.edge_index)).shape == (48, 64)
