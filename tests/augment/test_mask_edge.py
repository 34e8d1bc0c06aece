"""Hidden edges: gone in both directions and from every block, and nothing else is."""

from collections import Counter
from itertools import pairwise

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gssl.augment.base import Corruption
from gssl.augment.drop_edge import DropEdge
from gssl.augment.hidden import HiddenEdges
from gssl.augment.mask_edge import MaskEdges, MaskPaths, walked_pairs
from gssl.common.errors import InputError
from gssl.common.options import validate
from gssl.graph.batch import MiniBatch
from gssl.graph.pairs import Pairs
from gssl.graph.storage import Graph
from gssl.models.gcn import GCN
from gssl.registry import PROPAGATIONS
from gssl.samplers.propagation.exact import Exact
from gssl.testing.compare import assert_unchanged, assert_valid, in_other_process, snapshot, tensors_of
from gssl.testing.options import check_options
from gssl.testing.propagations import draw
from gssl.testing.toy import KINDS, Kind, toy_batch, toy_graph, without_edges

Edge = tuple[int, int]
MASKS: list[Corruption[HiddenEdges]] = [
    MaskEdges(p=0.5),
    MaskEdges(p=0.5, undirected=False),
    MaskPaths(p=0.3),
    MaskPaths(p=0.1, start="edge", walks=2, length=2),
]
SAMPLED = {
    "exact": {},
    "neighbor": {"fanouts": 3},
    "neighbor-ht": {"fanouts": 3, "weights": "ht"},
    "labor": {"fanouts": 3},
    "ladies": {"nodes_per_layer": 12},
    "history": {},
    "induced": {},
    "saint": {"design": "node"},
    "shadow": {"neighbors": 3},
}


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sampled(name: str, graph: Graph | None = None, targets: int = 16) -> MiniBatch:
    graph = toy_graph(num_nodes=60) if graph is None else graph
    made = PROPAGATIONS.get(name.partition("-")[0])(graph, num_layers=2, **SAMPLED[name])  # type: ignore[arg-type]
    made.prepare()
    return made.batch(draw(*range(1, 1 + targets)))


def edges_of(batch: MiniBatch) -> list[Counter[Edge]]:
    """For each block, (source, destination) by global ids."""
    return [Counter(map(tuple, batch.node_ids[block.edge_index].T.tolist())) for block in batch.blocks]


def both(edges: set[Edge]) -> set[Edge]:
    return edges | {(v, u) for u, v in edges}


def global_edges(batch: MiniBatch, hidden: HiddenEdges) -> set[Edge]:
    return set(map(tuple, batch.node_ids[hidden.edges].T.tolist()))


def assert_hidden(batch: MiniBatch, view: MiniBatch, hidden: HiddenEdges) -> None:
    """View and hidden edges make up the batch, and no hidden edge is visible anywhere."""
    assert_valid(view)
    assert hidden.edges.dtype == torch.int64
    assert hidden.edges.unique(dim=1).shape == hidden.edges.shape
    named = global_edges(batch, hidden)
    assert len(named) == hidden.num_edges, "an edge is named twice"
    gone = named if hidden.directed else both(named)
    existing: set[Edge] = set()
    for before, after in zip(edges_of(batch), edges_of(view), strict=True):
        assert after == Counter({edge: n for edge, n in before.items() if edge not in gone})
        existing |= set(before)
    assert named <= (existing if hidden.directed else both(existing))
    assert hidden.directed or bool((hidden.edges[0] < hidden.edges[1]).all())
    assert all(u != v for u, v in named)


@st.composite
def multigraphs(draw: st.DrawFn) -> MiniBatch:
    """A full graph with copies of edges, self-loops and one-way edges."""
    n = draw(st.integers(1, 9))
    end = st.integers(0, n - 1)
    edges = draw(st.lists(st.tuples(end, end), max_size=40))
    edges += [(v, u) for u, v in edges if draw(st.booleans())]
    index = torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).T
    return Graph.from_edge_index(index, torch.ones(n, 1)).full_batch()


@settings(max_examples=150, deadline=None)
@given(multigraphs(), st.sampled_from(MASKS), st.integers(0, 2**16))
def test_view_and_hidden_edges_make_up_a_graph(batch: MiniBatch, mask: Corruption[HiddenEdges], seed: int) -> None:
    assert_hidden(batch, *mask(batch, rng(seed)))


@pytest.mark.parametrize("mask", MASKS, ids=repr)
@pytest.mark.parametrize("name", SAMPLED)
def test_view_and_hidden_edges_make_up_a_sampled_batch(name: str, mask: Corruption[HiddenEdges]) -> None:
    batch = sampled(name)
    for seed in range(5):
        view, hidden = mask(batch, rng(seed))
        assert_hidden(batch, view, hidden)
        assert hidden.num_edges > 0


@pytest.mark.parametrize("mask", MASKS, ids=repr)
def test_view_and_hidden_edges_make_up_a_batch_of_graphs(mask: Corruption[HiddenEdges]) -> None:
    batch = toy_batch("graph")
    assert_hidden(batch, *mask(batch, rng()))


def test_a_graph_that_is_there_twice_is_two_graphs() -> None:
    ring = torch.tensor([[0, 1, 1, 2, 2, 0], [1, 0, 2, 1, 0, 2]])
    graph = Graph.from_edge_index(ring, torch.ones(3, 1), ptr=torch.tensor([0, 3]))
    batch = graph.graph_batch(torch.tensor([0, 0]))
    seen = set()
    for seed in range(200):
        _, hidden = MaskEdges(p=0.5)(batch, rng(seed))
        seen.add(tuple(sorted(hidden.edges[0].tolist())))
    assert len(seen) > 2**5  # of 2^6 subsets of six edges, not 2^3 of three


def test_shadow_hides_a_link_in_every_subgraph_and_names_the_targets() -> None:
    """Subgraphs of two targets both hold the link between these, which must be hidden from both."""
    batch = sampled("shadow")
    assert batch.node_ids.unique().numel() < batch.num_nodes
    _, hidden = MaskEdges(p=0.9)(batch, rng())
    first = {int(node): row for row, node in reversed(list(enumerate(batch.node_ids.tolist())))}
    ends = hidden.edges.flatten().tolist()
    assert all(first[int(batch.node_ids[row])] == row for row in ends)
    assert hidden.among(batch.num_targets).num_edges > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mask", MASKS, ids=repr)
def test_what_holds_of_every_augmenter(mask: Corruption[HiddenEdges], kind: Kind) -> None:
    batch = toy_batch(kind, attributes=True, isolated=2)
    before, state = snapshot(batch), torch.get_rng_state()
    view, hidden = mask(batch, rng(1))
    assert_unchanged(batch, before)
    assert torch.equal(state, torch.get_rng_state())
    assert view.node_ids is batch.node_ids
    assert view.x is batch.x
    again, same = mask(batch, rng(1))
    assert torch.equal(hidden.edges, same.edges)
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(tensors_of(view), tensors_of(again), strict=True))
    assert not torch.equal(hidden.degree(batch.num_nodes), mask(batch, rng(2))[1].degree(batch.num_nodes))
    block, kept = batch.blocks[0], view.blocks[0]
    assert block.weight is not None
    assert kept.weight is not None
    weight_of = dict(zip(map(tuple, block.edge_index.T.tolist()), block.weight.tolist(), strict=True))
    assert kept.weight.tolist() == [weight_of[tuple(edge)] for edge in kept.edge_index.T.tolist()]
    nothing, none = mask(without_edges(batch), rng())
    assert_valid(nothing)
    assert none.edges.shape == (2, 0)


def hidden_edges(mask: Corruption[HiddenEdges], batch: MiniBatch) -> list[list[int]]:
    return mask(batch, rng(3))[1].edges.tolist()


def test_same_edges_in_another_process() -> None:
    batch = toy_batch("node")
    for mask in MASKS:
        assert in_other_process(hidden_edges, mask, batch) == hidden_edges(mask, batch)


@pytest.mark.parametrize("mask", [MaskEdges, MaskPaths])
def test_options_are_a_configuration(mask: type[Corruption[HiddenEdges]]) -> None:
    check_options(mask, first=None)
    with pytest.raises(InputError):
        validate(mask, {"p": 1.5}, what=mask.__name__)


def test_every_edge_is_hidden_with_probability_p() -> None:
    """One draw for a pair, also where it is there in one direction, several times, or in several blocks."""
    index = torch.tensor([[0, 1, 1, 2, 3, 3, 3, 0], [1, 0, 2, 3, 2, 2, 3, 3]])
    full = Graph.from_edge_index(index, torch.ones(4, 1))
    batches = [full.full_batch(), Exact(full, num_layers=3).batch(draw(0, 1, 2, 3))]
    assert len(batches[1].blocks) == 3
    for batch in batches:
        generator, count, draws = rng(), Counter[Edge](), 4000
        for _ in range(draws):
            count.update(global_edges(batch, MaskEdges(p=0.3)(batch, generator)[1]))
        assert len(count) == 4
        assert all(abs(n - 0.3 * draws) < 4 * (0.21 * draws) ** 0.5 for n in count.values())


def test_directions_are_hidden_independently_where_edges_are_directed() -> None:
    edges = torch.tensor([[0, 1, 1], [1, 0, 2]])
    batch = Graph.from_edge_index(edges, torch.ones(3, 1)).full_batch()
    generator, seen, draws = rng(), Counter[tuple[Edge, ...]](), 4000
    for _ in range(draws):
        view, hidden = MaskEdges(p=0.4, undirected=False)(batch, generator)
        seen[tuple(sorted(map(tuple, hidden.edges.T.tolist())))] += 1
        assert view.blocks[0].num_edges == 3 - hidden.num_edges
    possible = [tuple(e for e, b in zip([(0, 1), (1, 0), (1, 2)], bits, strict=True) if b) for bits in BITS]
    for edges_, bits in zip(possible, BITS, strict=True):
        chance = 0.4 ** sum(bits) * 0.6 ** (3 - sum(bits))
        assert abs(seen[edges_] - chance * draws) < 4 * (chance * (1 - chance) * draws) ** 0.5


BITS = [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]


def test_hidden_degrees() -> None:
    edges = torch.tensor([[0, 0, 2], [1, 3, 3]])
    assert HiddenEdges(edges).degree(5).tolist() == [2, 1, 1, 2, 0]
    assert HiddenEdges(edges, directed=True).degree(5).tolist() == [0, 1, 0, 2, 0]
    assert HiddenEdges(edges).among(3).edges.tolist() == [[0], [1]]


def test_walks_take_connected_edges_only() -> None:
    """On a path of four nodes, a walk of length 2 takes one edge (and back) or two adjacent ones."""
    pairs = Pairs.of(torch.tensor([0, 1, 2, 0]), torch.tensor([1, 2, 3, 0]), 5)
    generator, seen, draws = rng(), Counter[tuple[int, ...]](), 6000
    for _ in range(draws):
        taken = walked_pairs(pairs, torch.tensor([1, 4]), 2, generator)  # node 4 is isolated
        seen[tuple(map(tuple, pairs.ends[:, taken].T.tolist()))] += 1  # type: ignore[arg-type]
    # From 1: to 0 and back (1/2), to 2 and back (1/4), to 2 and 3 (1/4).
    expected = {((0, 1),): 0.5, ((1, 2),): 0.25, ((1, 2), (2, 3)): 0.25}
    assert seen.keys() == expected.keys()
    for taken, chance in expected.items():  # type: ignore[assignment]
        assert abs(seen[taken] - chance * draws) < 4 * (chance * (1 - chance) * draws) ** 0.5  # type: ignore[index]


def test_roots_are_distinct_nodes_or_follow_degrees() -> None:
    star = torch.stack([torch.zeros(8, dtype=torch.int64), torch.arange(1, 9)])
    batch = Graph.from_edge_index(star, torch.ones(9, 1)).full_batch()
    pairs = batch.blocks[0].pattern.pairs
    nodes = MaskPaths(p=0.5)._roots(pairs, rng())
    assert nodes.numel() == nodes.unique().numel() == 4
    ends = torch.cat([MaskPaths(p=0.5, start="edge")._roots(pairs, rng(seed)) for seed in range(300)])
    assert abs(int((ends == 0).sum()) - 1200) < 4 * (2400 * 0.25) ** 0.5  # half of the ends are the hub's
    assert abs(ends.numel() - 2400) < 4 * (4800 * 0.25) ** 0.5


def test_more_and_longer_walks_hide_more() -> None:
    batch = toy_graph(num_nodes=200).full_batch()
    shares = [
        MaskPaths(p=p, walks=walks, length=length)(batch, rng())[1].num_edges
        for p, walks, length in [(0.0, 1, 3), (0.1, 1, 1), (0.1, 1, 3), (0.3, 1, 3), (0.3, 3, 3), (1.0, 3, 9)]
    ]
    assert shares[0] == 0
    assert all(a < b for a, b in pairwise(shares))


@pytest.mark.parametrize("mask", [MaskEdges(p=0.6), MaskEdges(p=0.6, undirected=False), MaskPaths(p=0.4)], ids=repr)
def test_degrees_of_a_view_are_those_of_the_masked_graph(mask: Corruption[HiddenEdges]) -> None:
    """All nodes as targets: a GCN on the layered view is the GCN on the whole graph without the hidden edges."""
    graph = toy_graph(num_nodes=50, isolated=1)
    batch = Exact(graph, num_layers=2).batch(draw(*range(50)))
    view, hidden = mask(batch, rng(2))
    gone = global_edges(batch, hidden)
    gone = gone if hidden.directed else both(gone)
    edge_index = graph.block.edge_index
    keep = torch.tensor([tuple(edge) not in gone for edge in edge_index.T.tolist()])
    masked = Graph.from_edge_index(edge_index[:, keep], graph.x)
    encoder = GCN(graph.in_dim, hidden_dim=8, out_dim=4, num_layers=2).eval()
    torch.testing.assert_close(encoder(view), encoder(masked.full_batch())[batch.node_ids])


@pytest.mark.parametrize("name", ["exact", "neighbor"])
def test_degrees_of_destinations_are_exact(name: str) -> None:
    """They count what the degree before counted: the graph's edges, or those that were sampled."""
    batch = sampled(name)
    view, _ = MaskEdges(p=0.5)(batch, rng())
    for before, after in zip(batch.blocks, view.blocks, strict=True):
        assert before.full_degree is not None
        assert after.full_degree is not None
        assert torch.equal(after.full_degree[: after.num_dst], after.degree)
    first, last = view.blocks
    assert first.full_degree is not None
    assert last.full_degree is not None
    assert torch.equal(last.full_degree[last.num_dst :], first.degree[last.num_dst : last.num_src])
    beyond = slice(first.num_dst, first.num_src)
    assert batch.blocks[0].full_degree is not None
    torch.testing.assert_close(first.full_degree[beyond], 0.5 * batch.blocks[0].full_degree[beyond])


def test_degrees_that_samples_only_estimate_are_expected_ones() -> None:
    batch = sampled("neighbor-ht")
    view, _ = MaskEdges(p=0.5)(batch, rng())
    for before, after in zip(batch.blocks, view.blocks, strict=True):
        assert before.full_degree is not None
        assert after.full_degree is not None
        torch.testing.assert_close(after.full_degree, 0.5 * before.full_degree)


def test_paths_expect_the_share_that_is_left() -> None:
    batch = sampled("neighbor-ht")
    view, hidden = MaskPaths(p=0.3)(batch, rng())
    pairs = set().union(*(both(set(edges)) for edges in edges_of(batch)))
    left = 1 - 2 * hidden.num_edges / len(pairs)
    for before, after in zip(batch.blocks, view.blocks, strict=True):
        assert before.full_degree is not None
        assert after.full_degree is not None
        torch.testing.assert_close(after.full_degree, left * before.full_degree)


def test_features_that_are_aggregated_already_are_refused() -> None:
    graph = toy_graph()
    batch = Exact(graph, num_layers=2, precompute=True).batch(draw(0, 1, 2))
    with pytest.raises(InputError, match="precompute"):
        MaskEdges()(batch, rng())


def test_drop_edge_takes_both_directions_where_edges_are_undirected() -> None:
    graph = nx.gnp_random_graph(40, 0.3, seed=1)
    index = torch.tensor(list(graph.edges)).T
    batch = Graph.from_edge_index(
        torch.cat([index, index.flip(0), index[:, :5]], dim=1), torch.ones(40, 1)
    ).full_batch()
    view = DropEdge(p=0.4, undirected=True)(batch, rng())
    assert_valid(view)
    (before,), (after,) = edges_of(batch), edges_of(view)
    assert set(after) == both(set(after))
    assert all(after[edge] == before[edge] for edge in after)  # with its copies
    assert len(after) / len(before) == pytest.approx(0.6, abs=0.1)


def kept_edges(batch: MiniBatch, seed: int) -> Tensor:
    """What dropping edges has always been."""
    return torch.rand(batch.blocks[0].num_edges, generator=rng(seed)) >= 0.3


def test_drop_edge_of_directed_edges_is_what_it_was() -> None:
    batch = toy_batch("node")
    view = DropEdge(p=0.3)(batch, rng(5))
    assert torch.equal(view.blocks[0].edge_index, batch.blocks[0].edge_index[:, kept_edges(batch, 5)])
