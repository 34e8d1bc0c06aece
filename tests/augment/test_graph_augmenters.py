"""The augmenters of whole graphs against references that loop over graphs, nodes and edges."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gssl.augment.add_edge import AddEdge
from gssl.augment.choice import RandomChoice
from gssl.augment.drop_node import DropNode
from gssl.augment.graphwise import GraphwiseAugmenter, induced, random_rank
from gssl.augment.mask_attribute import MaskAttribute
from gssl.augment.perturb_edge import PerturbEdge
from gssl.augment.subgraph import WalkSubgraph, walk_rank
from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.sparse import Pattern, SparseMatrix, dense_features
from gssl.graph.storage import Graph

SIZES = st.lists(st.integers(1, 12), min_size=1, max_size=6)
RATIOS = st.sampled_from([0.0, 0.1, 0.2, 0.29, 0.5, 0.7, 0.99])
SEEDS = st.integers(0, 2**16)
AUGMENTERS = [
    DropNode(ratio=0.3),
    WalkSubgraph(keep=0.4),
    MaskAttribute(ratio=0.3),
    PerturbEdge(ratio=0.3),
    PerturbEdge(ratio=0.3, remove=False),
    AddEdge(ratio=0.3),
    RandomChoice(DropNode(), WalkSubgraph(), PerturbEdge(), MaskAttribute()),
]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_batch(sizes: list[int], seed: int = 0, *, density: float = 0.3, sparse: bool = False) -> MiniBatch:
    """Random directed graphs, some nodes isolated; features, weights and attributes tell nodes and edges apart."""
    generator = rng(seed)
    ptr = torch.tensor([0, *sizes]).cumsum(0)
    total = int(ptr[-1])
    edges = []
    for start, end in pairwise(ptr.tolist()):
        there = torch.rand(end - start, end - start, generator=generator) < density
        there[-1], there[:, -1] = False, False  # the last node of every graph is isolated
        edges.append(there.nonzero().T + start)
    edge_index = torch.cat(edges, dim=1)
    number = torch.arange(edge_index.shape[1], dtype=torch.float32)
    x = torch.stack([torch.arange(total) + 1.0, torch.rand(total, generator=generator)], dim=1)
    graph = Graph.from_edge_index(
        edge_index,
        SparseMatrix.from_dense(x) if sparse else x,
        edge_attr=torch.stack([number, -number], dim=1),
        edge_weight=number + 0.5,
        ptr=ptr,
    )
    order = torch.randperm(len(sizes), generator=generator)
    batch = graph.graph_batch(order)
    return replace(batch, weight=order + 1.0)


def edge_list(batch: MiniBatch) -> list[tuple[int, int, float, float, float]]:
    """(source id, target id, weight, attributes) of each edge, ids global."""
    block = batch.blocks[0]
    source, target = batch.node_ids[block.edge_index].tolist()
    assert block.weight is not None
    assert block.edge_attr is not None
    return list(zip(source, target, block.weight.tolist(), *block.edge_attr.T.tolist(), strict=True))


def nodes_of_graphs(batch: MiniBatch) -> dict[int, list[int]]:
    assert batch.graph_ptr is not None
    assert batch.graph_ids is not None
    spans = pairwise(batch.graph_ptr.tolist())
    return {int(g): batch.node_ids[a:b].tolist() for g, (a, b) in zip(batch.graph_ids, spans, strict=True)}


def assert_induced(view: MiniBatch, batch: MiniBatch) -> None:
    """The view holds just the edges of the batch between its own nodes, with everything that belongs to them."""
    kept = set(view.node_ids.tolist())
    assert sorted(edge_list(view)) == sorted(e for e in edge_list(batch) if e[0] in kept and e[1] in kept)
    rows = {int(n): row for n, row in zip(batch.node_ids, dense_features(batch.x).tolist(), strict=True)}
    assert dense_features(view.x).tolist() == [rows[int(n)] for n in view.node_ids]
    before = nodes_of_graphs(batch)
    for graph, nodes in nodes_of_graphs(view).items():
        assert nodes == [n for n in before[graph] if n in kept]  # nothing moved to another graph or place
    assert view.num_targets == view.num_nodes
    assert view.weight is batch.weight
    assert view.is_square


@settings(max_examples=40, deadline=None)
@given(SIZES, RATIOS, SEEDS, st.booleans())
def test_drop_node_removes_the_right_number_of_each_graph(
    sizes: list[int], ratio: float, seed: int, sparse: bool
) -> None:
    batch = make_batch(sizes, seed, sparse=sparse)
    view = DropNode(ratio=ratio)(batch, rng(seed))
    assert_induced(view, batch)
    for graph, nodes in nodes_of_graphs(view).items():
        assert len(nodes) == sizes[graph] - int(sizes[graph] * ratio + 1e-9)
        assert nodes


@settings(max_examples=40, deadline=None)
@given(SIZES, st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0]), SEEDS, st.booleans())
def test_subgraph_keeps_the_right_number_of_each_graph(sizes: list[int], keep: float, seed: int, sparse: bool) -> None:
    batch = make_batch(sizes, seed, sparse=sparse)
    view = WalkSubgraph(keep=keep)(batch, rng(seed))
    assert_induced(view, batch)
    for graph, nodes in nodes_of_graphs(view).items():
        assert len(nodes) == max(1, int(sizes[graph] * keep + 1e-9))


def test_dropped_nodes_are_uniform() -> None:
    batch = make_batch([5, 4], density=0.5)
    generator = rng()
    counts = torch.zeros(9)
    draws = 3000
    for _ in range(draws):
        counts[DropNode(ratio=0.4)(batch, generator).node_ids] += 1
    # Of the 5 nodes 2 go, of the 4 nodes 1; four standard deviations of a binomial count.
    expected = torch.tensor([3 / 5] * 5 + [3 / 4] * 4)
    assert ((counts / draws - expected).abs() < 4 * (expected * (1 - expected) / draws).sqrt()).all()


def test_random_rank_is_a_uniform_order_of_each_segment() -> None:
    offsets = torch.tensor([0, 3, 3, 5])
    generator = rng()
    seen: Counter[tuple[int, ...]] = Counter()
    for _ in range(3000):
        rank = random_rank(offsets, generator).tolist()
        assert sorted(rank[:3]) == [0, 1, 2]
        assert sorted(rank[3:]) == [0, 1]
        seen[tuple(rank)] += 1
    assert len(seen) == 12
    assert all(abs(count - 250) < 4 * 250**0.5 for count in seen.values())


def test_the_walk_leaves_the_first_neighbourhood() -> None:
    """The walk of GraphCL's and DIG's code stays within one hop of its start: on a path it finds 3 nodes."""
    n = 30
    path = torch.stack([torch.arange(n - 1), torch.arange(1, n)])
    graph = Graph.from_edge_index(torch.cat([path, path.flip(0)], dim=1), torch.ones(n, 1), ptr=torch.tensor([0, n]))
    for seed in range(20):
        nodes = WalkSubgraph(keep=0.5)(graph.full_batch(), rng(seed)).node_ids.tolist()
        assert nodes == list(range(nodes[0], nodes[0] + 15))  # connected, and far beyond one hop


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 30), SEEDS)
def test_the_walk_stays_connected_where_it_can(n: int, seed: int) -> None:
    tree = nx.random_labeled_tree(n, seed=seed)
    graph = Graph.from_edge_index(torch.tensor(list(tree.edges)).T, torch.ones(n, 1), ptr=torch.tensor([0, n]))
    view = WalkSubgraph(keep=0.5)(graph.full_batch(), rng(seed))
    assert nx.is_connected(tree.subgraph(view.node_ids.tolist()))


def visits(neighbors: dict[int, set[int]], length: int) -> dict[tuple[int, ...], float]:
    """Probability of each order of the first ``length`` nodes, from the sequential rule of the paper."""
    orders: dict[tuple[int, ...], float] = {(): 1.0}
    for _ in range(length):
        longer: dict[tuple[int, ...], float] = {}
        for order, probability in orders.items():
            unvisited = set(neighbors) - set(order)
            frontier = set().union(*(neighbors[n] for n in order)) & unvisited
            for node in frontier or unvisited:
                longer[(*order, node)] = probability / len(frontier or unvisited)
        orders = longer
    return orders


@pytest.mark.parametrize("repeated", [False, True], ids=["simple", "multi-edges"])
def test_the_walk_has_the_distribution_of_the_sequential_rule(repeated: bool) -> None:
    """A parallel race of exponential clocks must choose as one node after the other does."""
    edges = [(0, 1), (1, 2), (1, 3), (3, 0), (4, 5)]  # two components, one with a cycle; node 6 is isolated
    neighbors: dict[int, set[int]] = {n: set() for n in range(7)}
    for a, b in edges:
        neighbors[a].add(b)
        neighbors[b].add(a)
    stored = [*edges, (1, 0), (1, 0), (2, 2)] if repeated else edges
    row, col = torch.tensor(stored).T
    pattern, _ = Pattern.from_coo(row, col, 7, 7)
    draws = 4000
    generator = rng(1)
    seen: Counter[tuple[int, ...]] = Counter()
    for _ in range(draws):
        rank = walk_rank(pattern, torch.tensor([0, 7]), generator)
        seen[tuple(rank.argsort()[:4].tolist())] += 1
    expected = visits(neighbors, 4)
    assert seen.keys() <= expected.keys()
    chi2 = sum((seen[order] - draws * p) ** 2 / (draws * p) for order, p in expected.items())
    freedom = len(expected) - 1
    assert chi2 < freedom + 4 * (2 * freedom) ** 0.5


@settings(max_examples=30, deadline=None)
@given(SIZES, RATIOS, SEEDS, st.sampled_from(["zero", "noise", "mean"]))
def test_mask_attribute_hides_whole_nodes(sizes: list[int], ratio: float, seed: int, fill: str) -> None:
    batch = make_batch(sizes, seed)
    assert isinstance(batch.x, Tensor)
    assert batch.graph_ptr is not None
    view = MaskAttribute(ratio=ratio, fill=fill)(batch, rng(seed))  # type: ignore[arg-type]  # hypothesis gives str
    assert isinstance(view.x, Tensor)
    assert view.blocks is batch.blocks
    for start, end in pairwise(batch.graph_ptr.tolist()):
        before, after = batch.x[start:end], view.x[start:end]
        changed = [i for i in range(end - start) if not torch.equal(before[i], after[i])]
        count = int((end - start) * ratio + 1e-9)
        assert len(changed) == count or (fill == "mean" and end - start == 1 and not changed)
        if fill == "zero":
            assert not after[changed].any()
        if fill == "mean":
            torch.testing.assert_close(after[changed], before.mean(0).expand(len(changed), 2))


def test_mask_noise_has_the_moments_of_the_code() -> None:
    batch = make_batch([400] * 5, density=0.01)
    view = MaskAttribute(ratio=1.0, fill="noise")(batch, rng())
    noise = dense_features(view.x)
    assert noise.mean().item() == pytest.approx(0.5, abs=4 * 0.5 / noise.numel() ** 0.5)
    assert noise.std().item() == pytest.approx(0.5, abs=0.03)


def test_mask_attribute_of_sparse_features() -> None:
    dense, sparse = make_batch([7, 9], 3), make_batch([7, 9], 3, sparse=True)
    masked = MaskAttribute(ratio=0.5, fill="zero")(sparse, rng())
    assert isinstance(masked.x, SparseMatrix)
    assert masked.x.pattern.nnz < 32
    expected = MaskAttribute(ratio=0.5, fill="zero")(dense, rng()).x
    assert torch.equal(masked.x.to_dense(), dense_features(expected))
    for fill in ("noise", "mean"):
        augment = MaskAttribute(ratio=0.5, fill=fill)
        assert torch.equal(dense_features(augment(sparse, rng()).x), dense_features(augment(dense, rng()).x))


@settings(max_examples=40, deadline=None)
@given(SIZES, RATIOS, SEEDS, st.sampled_from([(True, True), (True, False), (False, True)]))
def test_perturb_edge(sizes: list[int], ratio: float, seed: int, what: tuple[bool, bool]) -> None:
    """``(False, True)`` adds only, which crashes DIG's ``EdgePerturbation(drop=False)``."""
    remove, add = what
    batch = make_batch(sizes, seed)
    view = PerturbEdge(ratio=ratio, remove=remove, add=add)(batch, rng(seed))
    assert torch.equal(view.node_ids, batch.node_ids)  # nodes that lose every edge stay
    assert view.x is batch.x
    old, new = edge_list(batch), edge_list(view)
    old_pairs = {e[:2] for e in old}
    graph_of = {n: g for g, nodes in nodes_of_graphs(batch).items() for n in nodes}
    for graph in nodes_of_graphs(batch):
        before = [e for e in old if graph_of[e[1]] == graph]
        after = [e for e in new if graph_of[e[1]] == graph]
        kept = [e for e in after if e[:2] in old_pairs]
        added = [e for e in after if e[:2] not in old_pairs]
        amount = int(len(before) * ratio + 1e-9)
        assert set(kept) <= set(before)
        assert len(kept) == len(before) - amount * remove
        assert len(added) <= amount * add
        assert len({e[:2] for e in added}) == len(added)
        assert all(e[0] != e[1] and graph_of[e[0]] == graph for e in added)
        assert {e[2:] for e in added} <= {e[2:] for e in before}  # weight and attributes of one edge, together


@settings(max_examples=40, deadline=None)
@given(SIZES, RATIOS, SEEDS, st.booleans())
def test_add_edge(sizes: list[int], ratio: float, seed: int, undirected: bool) -> None:
    batch = make_batch(sizes, seed)
    view = AddEdge(ratio=ratio, undirected=undirected)(batch, rng(seed))
    assert view.x is batch.x
    old, new = edge_list(batch), edge_list(view)
    joined = {frozenset(e[:2]) for e in old} if undirected else {e[:2] for e in old}
    added = [e for e in new if (frozenset(e[:2]) if undirected else e[:2]) not in joined]
    assert sorted(e for e in new if e not in added) == sorted(old)  # what was there stays, and stays once
    assert len({e[:2] for e in added}) == len(added)
    if undirected:
        assert sorted((t, s, *rest) for s, t, *rest in added) == sorted(added)  # both directions, with one weight
    graph_of = {n: g for g, nodes in nodes_of_graphs(batch).items() for n in nodes}
    assert all(s != t and graph_of[s] == graph_of[t] for s, t, *_ in added)
    for graph in nodes_of_graphs(batch):
        pairs = {p for p in joined if graph_of[min(p)] == graph and len(set(p)) == 2}
        of_graph = [e for e in added if graph_of[e[0]] == graph]
        assert len(of_graph) <= int(len(pairs) * ratio + 1e-9) * (2 if undirected else 1)
        assert {e[2:] for e in of_graph} <= {e[2:] for e in old if graph_of[e[0]] == graph}


def test_add_edge_adds_its_share_where_there_is_room() -> None:
    batch = make_batch([80], density=0.02)
    pairs = {frozenset(e[:2]) for e in edge_list(batch) if e[0] != e[1]}
    view = AddEdge(ratio=0.5)(batch, rng(2))
    assert 0.9 * len(pairs) <= view.blocks[0].num_edges - batch.blocks[0].num_edges <= len(pairs)


def test_perturb_edge_adds_as_many_as_it_removes_where_there_is_room() -> None:
    batch = make_batch([60, 80], density=0.02)
    view = PerturbEdge(ratio=0.25)(batch, rng(4))
    assert batch.graph_ptr is not None
    assert view.blocks[0].num_edges >= 0.97 * batch.blocks[0].num_edges
    touched = {n for e in edge_list(view) for n in e[:2]}
    assert {int(batch.node_ids[end - 1]) for end in batch.graph_ptr[1:]} & touched  # isolated nodes can be joined


def test_perturb_edge_must_do_something() -> None:
    with pytest.raises(InputError, match="changes nothing"):
        PerturbEdge(remove=False, add=False)


def test_random_choice_treats_every_graph_once() -> None:
    batch = make_batch([10] * 300, density=0.2)
    assert batch.graph_ptr is not None
    view = RandomChoice(DropNode(ratio=0.5), MaskAttribute(ratio=0.5, fill="zero"))(batch, rng())
    assert view.graph_ptr is not None
    masked = torch.zeros(300).index_add(0, view.graph_index(), (dense_features(view.x).sum(1) == 0).float())
    sizes = view.graph_ptr.diff()
    dropped = sizes == 5
    assert torch.equal(masked, torch.where(dropped, 0.0, 5.0))
    assert torch.equal(sizes, torch.where(dropped, 5, 10))
    assert abs(int(dropped.sum()) - 150) < 4 * 75**0.5


@pytest.mark.parametrize("augmenter", AUGMENTERS, ids=repr)
def test_views_follow_the_given_generator_alone(augmenter: GraphwiseAugmenter) -> None:
    batch = make_batch([9, 14, 3, 11], 5)
    before = [edge_list(batch), dense_features(batch.x).tolist()]
    state = torch.get_rng_state()
    views = [augmenter(batch, rng(seed)) for seed in (7, 7, 8)]
    same, again, other = ([edge_list(v), dense_features(v.x).tolist()] for v in views)
    assert same == again
    assert same != other
    assert torch.equal(torch.get_rng_state(), state)
    assert [edge_list(batch), dense_features(batch.x).tolist()] == before


@pytest.mark.parametrize("augmenter", AUGMENTERS, ids=repr)
def test_empty_graphs_and_graphs_without_edges_pass(augmenter: GraphwiseAugmenter) -> None:
    graph = Graph.from_edge_index(
        torch.empty(2, 0, dtype=torch.int64), torch.ones(4, 1), ptr=torch.tensor([0, 0, 1, 4, 4])
    )
    view = augmenter(graph.full_batch(), rng())
    assert view.graph_ptr is not None
    sizes = view.graph_ptr.diff().tolist()
    assert [s > 0 for s in sizes] == [False, True, True, False]


def test_the_nodes_of_one_graph_keep_targets_first() -> None:
    n = 10
    ring = torch.stack([torch.arange(n), torch.arange(1, n + 1) % n])
    block = Graph.from_edge_index(ring, torch.ones(n, 1)).block
    batch = MiniBatch(
        x=torch.arange(n).float().unsqueeze(1),
        blocks=(Block(block.pattern, full_degree=torch.arange(n) + 1.0),),
        node_ids=torch.arange(n) + 100,
        num_targets=4,
        weight=torch.tensor([1.0, 2, 3, 4]),
    )
    keep = torch.tensor([1, 0, 1, 0, 1, 1, 1, 1, 1, 0], dtype=torch.bool)
    view = induced(batch, keep)
    assert view.num_targets == 2
    assert view.weight is not None
    assert view.weight.tolist() == [1, 3]
    assert view.node_ids.tolist() == [100, 102, 104, 105, 106, 107, 108]
    assert view.blocks[0].full_degree is not None
    assert view.blocks[0].full_degree.tolist() == [1, 3, 5, 6, 7, 8, 9]
    assert view.node_ids[view.blocks[0].edge_index].T.tolist() == [[104, 105], [105, 106], [106, 107], [107, 108]]
    assert DropNode(ratio=0.2)(batch, rng()).num_nodes == 8


def test_sampled_blocks_are_refused() -> None:
    pattern, _ = Pattern.from_coo(torch.tensor([0]), torch.tensor([1]), 1, 2)
    batch = MiniBatch(x=torch.ones(2, 1), blocks=(Block(pattern),), node_ids=torch.arange(2), num_targets=1)
    with pytest.raises(InputError, match="DropNode needs whole graphs"):
        DropNode()(batch, rng())
