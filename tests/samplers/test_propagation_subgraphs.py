"""Induced subgraphs, GraphSAINT and ShaDow: what they are, and where they are biased."""

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.models.sage import SAGE
from gssl.samplers.propagation.base import Backend, Propagation
from gssl.samplers.propagation.exact import Exact
from gssl.samplers.propagation.induced import Induced
from gssl.samplers.propagation.saint import Saint
from gssl.samplers.propagation.shadow import Shadow
from gssl.samplers.rng import Key
from gssl.samplers.selection.base import Draw
from gssl.testing.compare import in_other_process
from gssl.testing.propagations import Choices, assert_same_batch, directed, draw, expectation, linear, numbers
from gssl.testing.toy import toy_graph

SAMPLERS: list[Callable[[Graph, Backend], Propagation]] = [
    lambda g, b: Induced(g, num_layers=2, backend=b),
    lambda g, b: Saint(g, num_layers=2, design="node", backend=b),
    lambda g, b: Saint(g, num_layers=2, design="edge", roots=5, subgraphs=20, backend=b),
    lambda g, b: Saint(g, num_layers=2, design="walk", roots=5, subgraphs=20, backend=b),
    lambda g, b: Shadow(g, num_layers=2, neighbors=3, backend=b),
    lambda g, b: Shadow(g, num_layers=2, depth=3, neighbors=-1, backend=b),
]
CYCLE = torch.tensor([[0, 1, 1, 2, 2, 0], [1, 0, 2, 1, 0, 2]])


def edges_of(batch: MiniBatch) -> list[tuple[int, int]]:
    source, target = batch.node_ids[batch.blocks[0].edge_index]
    return list(zip(source.tolist(), target.tolist(), strict=True))


@pytest.mark.parametrize("make", SAMPLERS)
@pytest.mark.parametrize("weighted", [False, True])
def test_both_backends_make_the_same_batch(make: Callable[[Graph, Backend], Propagation], weighted: bool) -> None:
    graph = toy_graph(num_nodes=150, attributes=weighted, sparse=weighted, isolated=3)
    left, right = make(graph, "numba"), make(graph, "torch")
    for step in range(4):
        targets = (149, *range(step, 60, 3))
        assert_same_batch(left.batch(draw(*targets, step=step)), right.batch(draw(*targets, step=step)))
    exact = Exact(graph, num_layers=2).batch(draw(5, exact=True))
    assert_same_batch(left.batch(draw(5, exact=True)), exact)
    assert left.batch(draw(0, 1)).is_square


@pytest.mark.parametrize("number", range(len(SAMPLERS)))
def test_another_process_makes_the_same_batch(number: int) -> None:
    propagation = SAMPLERS[number](toy_graph(attributes=True), "auto")
    expected = numbers(propagation, draw(1, 2, 3))
    assert in_other_process(numbers, propagation, draw(1, 2, 3)) == expected


@pytest.mark.parametrize("make", SAMPLERS)
def test_a_target_without_edges_stands_alone(make: Callable[[Graph, Backend], Propagation]) -> None:
    for backend in ("numba", "torch"):
        batch = make(directed(weighted=True), backend).batch(draw(8))
        assert batch.num_nodes == 1
        assert batch.blocks[0].num_edges == 0


def test_induced_has_the_edges_among_the_targets() -> None:
    graph = directed(weighted=True)
    batch = Induced(graph, num_layers=2).batch(draw(5, 0, 2, 8))
    assert sorted(edges_of(batch)) == [(2, 0), (5, 0), (5, 2)]
    assert batch.num_targets == batch.num_nodes == 4
    assert batch.blocks[0].full_degree is None
    assert batch.block(1) is batch.blocks[0]


def independent(choices: Choices, chance: list[float]) -> Draw:
    """A Poisson draw: each node is a decision."""
    ids = [node for node, p in enumerate(chance) if choices.choose([1 - p, p])]
    return Draw(torch.tensor(ids, dtype=torch.int64), torch.tensor(chance).double()[ids], Key(0, 0, 0))


def mean_embedding(make: Callable[[Graph], Propagation], graph: Graph, chance: list[float], layers: int) -> Tensor:
    """Expectation of the Horvitz-Thompson sum of linear embeddings, per node, over Poisson draws of the targets."""
    propagation = make(graph)

    def total(choices: Choices) -> Tensor:
        targets = independent(choices, chance)
        out = torch.zeros(graph.num_nodes, graph.in_dim, dtype=torch.float64)
        if len(targets.ids):
            out[targets.ids] = linear(propagation.batch(targets), "sum", layers) / targets.probability[:, None]
        return out

    return expectation(total)


def test_saint_is_unbiased_in_one_layer_and_not_in_two() -> None:
    chance = [0.3, 0.8, 0.5]
    graph = Graph.from_edge_index(CYCLE, torch.rand(3, 2, generator=torch.Generator().manual_seed(0)).double())
    assert isinstance(graph.x, Tensor)
    back_and_forth = 2 * (1 / torch.tensor(chance).double() - 1).unsqueeze(1) * graph.x
    for layers, bias in [(1, 0 * graph.x), (2, back_and_forth)]:  # on such paths the target counts as drawn by chance
        found = mean_embedding(lambda g: Saint(g, num_layers=2, design="node"), graph, chance, layers)
        torch.testing.assert_close(found - linear(graph.full_batch(), "sum", layers), bias, rtol=1e-5, atol=1e-6)


def test_induced_is_biased_by_the_messages_that_are_missing() -> None:
    chance = [0.5, 0.5, 0.5]
    graph = Graph.from_edge_index(CYCLE, torch.ones(3, 1).double())
    found = mean_embedding(lambda g: Induced(g, num_layers=1), graph, chance, 1)
    exact = linear(graph.full_batch(), "sum", 1)  # each node and its two neighbors, of which half are there
    torch.testing.assert_close(exact, torch.full((3, 1), 3.0).double())
    torch.testing.assert_close(found, torch.full((3, 1), 2.0).double())


@pytest.mark.parametrize("design", ["edge", "walk"])
def test_counts_are_the_ratio_of_probabilities(design: str) -> None:
    graph = toy_graph(num_nodes=40, attributes=True)
    sampler = Saint(graph, num_layers=1, design=design, roots=6, subgraphs=400)  # type: ignore[arg-type]
    batch = sampler.batch(draw(*range(0, 40, 5)))
    block = batch.blocks[0]
    nodes, edges = sampler.counts()
    assert float(nodes.max()) <= 400
    assert bool((edges <= nodes[graph.block.pattern.row.long()]).all())
    assert block.weight is not None
    assert graph.block.weight is not None
    factor = block.weight / graph.block.weight[_positions(batch, graph)]
    row = batch.node_ids[block.pattern.row.long()]
    torch.testing.assert_close(factor, (nodes[row] + 1) / (edges[_positions(batch, graph)] + 1))
    assert batch.num_targets == 8 < batch.num_nodes
    assert block.full_degree is not None
    torch.testing.assert_close(block.full_degree, graph.block.degree[batch.node_ids])
    if design == "walk":
        return
    reached = {source for source, target in edges_of(batch)} - set(range(0, 40, 5))
    assert reached == set(batch.node_ids[8:].tolist())  # every added node sends to a target or to another one


def _positions(batch: MiniBatch, graph: Graph) -> Tensor:
    place = {edge: i for i, edge in enumerate(map(tuple, graph.block.edge_index.T.tolist()))}
    return torch.tensor([place[edge] for edge in edges_of(batch)])


def test_walks_go_against_the_edges() -> None:
    graph = directed()
    path = Saint(graph, num_layers=1, steps=3).walk(torch.tensor([4, 7, 5]), 1)
    into = {target: set() for target in range(9)}  # type: dict[int, set[int]]
    for source, target in graph.block.edge_index.T.tolist():
        into[target].add(source)
    for root, visited in zip([4, 7, 5], path.tolist(), strict=True):
        for here, there in itertools.pairwise([root, *visited]):
            assert there in into[here] or (not into[here] and there == here)


def test_shadow_keeps_the_subgraphs_apart() -> None:
    graph = toy_graph(num_nodes=100, attributes=True)
    targets = (3, 5, 7)
    together = Shadow(graph, num_layers=3, depth=2, neighbors=3).batch(draw(*targets))
    reach = torch.arange(together.num_nodes)
    source, target = together.blocks[0].edge_index
    for _ in range(together.num_nodes):  # smallest row that is joined to each
        low = torch.minimum(reach[source], reach[target])
        reach = reach.scatter_reduce(0, source, low, "amin").scatter_reduce(0, target, low, "amin")
    assert set(reach.tolist()) == {0, 1, 2}
    known = set(map(tuple, graph.block.edge_index.T.tolist()))
    for group, root in enumerate(targets):
        ids = together.node_ids[reach == group].tolist()
        assert ids[0] == root
        assert len(set(ids)) == len(ids)
        found = [edge for edge, member in zip(edges_of(together), reach[target] == group, strict=True) if member]
        assert sorted(found) == sorted(e for e in known if e[0] in ids and e[1] in ids)
    alone = Shadow(graph, num_layers=3, depth=2, neighbors=3).batch(draw(7))
    assert sorted(alone.node_ids.tolist()) == sorted(together.node_ids[reach == 2].tolist())


def test_shadow_with_all_neighbors_is_the_full_forward_of_sage() -> None:
    graph = toy_graph(attributes=True)
    encoder = SAGE(graph.in_dim, hidden_dim=8, num_layers=2).eval()
    expected = encoder(graph.full_batch())[[47, 3]]
    deep = Shadow(graph, num_layers=2, depth=2, neighbors=-1).batch(draw(47, 3))
    torch.testing.assert_close(encoder(deep), expected, rtol=1e-5, atol=1e-5)
    shallow = Shadow(graph, num_layers=2, depth=1, neighbors=2).batch(draw(47, 3))
    assert not torch.allclose(encoder(shallow), expected, atol=1e-2)


def test_bad_options() -> None:
    with pytest.raises(InputError, match="a fan-out must be positive"):
        Shadow(toy_graph(), num_layers=1, neighbors=0)
