"""Neighbourhoods and rings against breadth-first searches of networkx, graph by graph."""

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gssl.augment.context import ContextPair, hops_from, substruct_and_context
from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.testing.compare import assert_unchanged, assert_valid, snapshot
from gssl.testing.toy import toy_batch


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def collection(*graphs: nx.Graph, directed: bool = False) -> Graph:
    """Graphs side by side; features are global ids, attributes of an edge its two ends, nodes of a graph in order."""
    edges: list[tuple[int, int]] = []
    ptr = [0]
    for graph in graphs:
        for u, v in graph.edges:
            edges += (
                [(u + ptr[-1], v + ptr[-1])] if directed else [(u + ptr[-1], v + ptr[-1]), (v + ptr[-1], u + ptr[-1])]
            )
        ptr.append(ptr[-1] + len(graph))
    index = torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).T
    x = torch.arange(ptr[-1]).float().unsqueeze(1)
    return Graph.from_edge_index(index, x, edge_attr=index.T.float(), ptr=torch.tensor(ptr))


def joined(batch: MiniBatch) -> nx.Graph:
    graph = nx.Graph()
    graph.add_nodes_from(batch.node_ids.tolist())
    graph.add_edges_from(batch.node_ids[batch.blocks[0].edge_index].T.tolist())
    return graph


def assert_is_defined(batch: MiniBatch, pair: ContextPair, *, k: int, r1: int, r2: int) -> None:
    """Every number of the answer, from a search in each graph."""
    whole = joined(batch)
    assert batch.graph_ptr is not None
    assert batch.graph_ids is not None
    for part in (pair.substruct, pair.context):
        assert_valid(part)
        assert torch.equal(part.x, part.node_ids.float().unsqueeze(1))  # type: ignore[arg-type]
        assert part.blocks[0].edge_attr is not None
        torch.testing.assert_close(part.blocks[0].edge_attr.T.long(), part.node_ids[part.blocks[0].edge_index])
        assert part.num_targets == part.num_nodes
    kept: list[int] = []
    anchors: list[tuple[int, int]] = []
    centre_ids = pair.substruct.node_ids[pair.centres].tolist()
    for number, graph_id in enumerate(batch.graph_ids.tolist()):
        nodes = batch.node_ids[batch.graph_ptr[number] : batch.graph_ptr[number + 1]].tolist()
        centre = [node for node in centre_ids if node in nodes]
        if not centre:
            reach = [nx.single_source_shortest_path_length(whole, node) for node in nodes]
            # Some centre of the graph has no ring, or the graph would not have been left out.
            assert not nodes or any(max(found.values()) <= r1 for found in reach)
            continue
        (start,) = centre
        distance = nx.single_source_shortest_path_length(whole, start)
        near = [node for node in nodes if distance.get(node, r2 + k) <= k]
        ring = [node for node in nodes if r1 < distance.get(node, r2 + k) <= r2]
        place = len(kept)
        for part, wanted in ((pair.substruct, near), (pair.context, ring)):
            assert part.graph_ptr is not None
            own = slice(int(part.graph_ptr[place]), int(part.graph_ptr[place + 1]))
            assert part.node_ids[own].tolist() == wanted
            inner = whole.subgraph(wanted)
            assert joined(part).subgraph(wanted).edges == inner.edges
        assert ring
        anchors += [(place, node) for node in ring if node in near]
        kept.append(graph_id)
    for part in (pair.substruct, pair.context):
        assert part.graph_ids is not None
        assert part.graph_ids.tolist() == kept
        assert part.num_graphs == len(kept)
    assert len(centre_ids) == len(kept)
    found = pair.context.node_ids[pair.anchors].tolist()
    assert list(zip(pair.anchor_graphs.tolist(), found, strict=True)) == anchors
    assert {number for number, _ in anchors} == set(range(len(kept)))  # every graph has an anchor


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 5), r1=st.integers(0, 4), width=st.integers(1, 3))
def test_parts_are_defined_by_distances(seed: int, k: int, r1: int, width: int) -> None:
    r1 = min(r1, k - 1)
    graphs = [nx.gnp_random_graph(size, 1.6 / max(size, 1), seed=seed + size) for size in (9, 1, 0, 14, 2, 20)]
    graphs += [nx.path_graph(12), nx.cycle_graph(9)]
    batch = collection(*graphs).graph_batch(torch.tensor([3, 0, 7, 6, 1, 2, 5, 4]))
    pair = substruct_and_context(batch, generator(seed), k=k, r1=r1, r2=r1 + width)
    assert_is_defined(batch, pair, k=k, r1=r1, r2=r1 + width)


def test_the_papers_hops_on_a_path() -> None:
    batch = collection(nx.path_graph(15)).full_batch()
    pair = substruct_and_context(batch, generator(1), k=5, r1=4, r2=7)
    centre = int(pair.substruct.node_ids[pair.centres])
    line = torch.arange(15)
    away = (line - centre).abs()
    assert torch.equal(pair.substruct.node_ids, line[away <= 5])
    assert torch.equal(pair.context.node_ids, line[(away >= 5) & (away <= 7)])
    assert torch.equal(pair.context.node_ids[pair.anchors], line[away == 5])


def test_every_node_is_a_centre_as_often_as_others() -> None:
    batch = collection(nx.cycle_graph(8), nx.cycle_graph(5)).full_batch()
    counts = torch.zeros(13)
    rng = generator()
    for _ in range(1300):
        pair = substruct_and_context(batch, rng, k=1, r1=0, r2=1)
        counts[pair.substruct.node_ids[pair.centres]] += 1
    assert counts[:8].sum() == counts[8:].sum() == 1300
    expected = torch.tensor([1300 / 8] * 8 + [1300 / 5] * 5)
    assert float(((counts - expected) ** 2 / expected).sum()) < 31  # chi-square with 11 degrees, p = 0.001


def test_directions_do_not_count() -> None:
    graph = collection(nx.path_graph(9), directed=True)
    assert hops_from(graph.block.pattern, torch.tensor([4]), 3).tolist() == [4, 3, 2, 1, 0, 1, 2, 3, 4]


def test_items_keep_weights_and_the_batch_its_content() -> None:
    batch = collection(nx.path_graph(3), nx.cycle_graph(8), nx.path_graph(1), nx.cycle_graph(9)).full_batch()
    batch = MiniBatch(
        batch.x,
        batch.blocks,
        batch.node_ids,
        batch.num_targets,
        torch.tensor([1.0, 2.0, 3.0, 4.0]),
        batch.graph_ptr,
        batch.graph_ids,
    )
    before = snapshot(batch)
    pair = substruct_and_context(batch, generator(), k=3, r1=2, r2=4)
    assert_unchanged(batch, before)
    for part in (pair.substruct, pair.context):
        assert part.graph_ids is not None
        assert part.weight is not None
        assert part.graph_ids.tolist() == [1, 3]
        assert part.weight.tolist() == [2.0, 4.0]
    again = substruct_and_context(batch, generator(), k=3, r1=2, r2=4)
    assert torch.equal(again.centres, pair.centres)


def test_graphs_that_are_too_small_leave_an_empty_batch() -> None:
    batch = collection(nx.path_graph(3), nx.path_graph(2)).full_batch()
    pair = substruct_and_context(batch, generator(), k=5, r1=4, r2=7)
    assert (pair.substruct.num_graphs, pair.context.num_nodes, len(pair.centres), len(pair.anchors)) == (0, 0, 0, 0)


@pytest.mark.parametrize(("k", "r1", "r2"), [(2, 2, 4), (2, 3, 4), (5, 4, 4), (5, -1, 3)])
def test_rings_that_touch_nothing(k: int, r1: int, r2: int) -> None:
    with pytest.raises(InputError, match="needs r1 < r2, r1 < k"):
        substruct_and_context(toy_batch("graph"), generator(), k=k, r1=r1, r2=r2)


def test_a_single_graph_is_refused() -> None:
    with pytest.raises(InputError, match="whole graphs"):
        substruct_and_context(toy_batch("node"), generator(), k=5, r1=4, r2=7)
