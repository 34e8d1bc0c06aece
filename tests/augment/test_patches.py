"""Patches against sets of nodes, and positions against powers of matrices."""

from __future__ import annotations

from dataclasses import replace

import torch

from gssl.augment.patches import cut_patches, partition_graphs, walk_returns
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.testing.toy import toy_graphs


def cliques() -> Graph:
    """Two cliques of six nodes that one edge joins, beside a path of three."""
    pairs = [(a, b) for start in (0, 6) for a in range(start, start + 6) for b in range(start, a)]
    pairs += [(5, 6), (12, 13), (13, 14)]
    ends = torch.tensor([*pairs, *((b, a) for a, b in pairs)]).T
    return Graph.from_edge_index(ends, torch.eye(15), ptr=torch.tensor([0, 12, 15]))


def test_patches_are_parts_with_the_nodes_around_them() -> None:
    graph = toy_graphs(attributes=True)
    batch = graph.graph_batch(torch.tensor([0, 3, 2, 5, 7]))
    part = torch.arange(batch.num_nodes) % 3
    ends = batch.blocks[0].edge_index.T.tolist()
    assert batch.graph_ptr is not None
    bounds = list(zip(batch.graph_ptr[:-1].tolist(), batch.graph_ptr[1:].tolist(), strict=True))
    for hops in (0, 1, 2):
        found = cut_patches(batch, part, hops=hops)
        wanted = []
        for number, (start, end) in enumerate(bounds):
            for name in sorted({int(part[node]) for node in range(start, end)}):
                nodes = {node for node in range(start, end) if int(part[node]) == name}
                for _ in range(hops):
                    nodes |= {u for u, v in ends if v in nodes} | {v for u, v in ends if u in nodes}
                wanted.append((number, sorted(nodes)))
        ptr = found.view.graph_ptr
        assert ptr is not None
        rows = [found.rows[a:b].tolist() for a, b in zip(ptr[:-1].tolist(), ptr[1:].tolist(), strict=True)]
        assert list(zip(found.graphs.tolist(), rows, strict=True)) == wanted
        assert torch.equal(found.ptr.diff(), torch.bincount(found.graphs, minlength=5))
        assert found.number.tolist() == [i for size in found.ptr.diff().tolist() for i in range(size)]
        inside = found.view.blocks[0].edge_index
        names = [
            (int(found.rows[u]), int(found.rows[v]), int(found.view.graph_index()[u])) for u, v in inside.T.tolist()
        ]
        within = [(u, v, number) for number, (_, nodes) in enumerate(wanted) for u, v in ends if {u, v} <= set(nodes)]
        assert sorted(names) == sorted(within)


def test_edges_keep_their_weights_and_attributes() -> None:
    batch = toy_graphs(attributes=True).full_batch()
    block = batch.blocks[0]
    number = torch.arange(block.num_edges).float()
    batch = batch.map_blocks(lambda b: replace(b, weight=number, edge_attr=number.unsqueeze(1)))
    found = cut_patches(batch, torch.arange(batch.num_nodes) % 2, hops=1)
    cut = found.view.blocks[0]
    assert cut.weight is not None
    assert cut.edge_attr is not None
    assert torch.equal(cut.edge_attr.squeeze(1), cut.weight)
    assert torch.equal(block.edge_index[:, cut.weight.long()], found.rows[cut.edge_index])
    assert torch.equal(dense_features(found.view.x), dense_features(batch.x)[found.rows])


def test_padding_and_overlaps() -> None:
    batch = cliques().full_batch()
    assert batch.graph_ptr is not None
    found = cut_patches(batch, torch.tensor([0] * 6 + [1] * 6 + [0, 1, 2]), hops=1)
    overlaps = found.overlaps(batch.graph_ptr)
    assert overlaps[0].tolist() == [[7, 2, 0], [2, 7, 0], [0, 0, 0]]  # both ends of the bridge are in both
    assert overlaps[1].tolist() == [[2, 2, 1], [2, 3, 2], [1, 2, 2]]
    padded, there = found.padded(torch.arange(1.0, 6.0).unsqueeze(1))
    assert padded.squeeze(2).tolist() == [[1, 2, 0], [3, 4, 5]]
    assert there.tolist() == [[True, True, False], [True, True, True]]


def test_metis_cuts_where_few_edges_are_and_leaves_small_graphs() -> None:
    graph = cliques()
    assert graph.ptr is not None
    part = partition_graphs(graph.block.pattern, graph.ptr, 2, seed=0)
    assert len(set(part[:6].tolist())) == len(set(part[6:12].tolist())) == 1
    assert int(part[0]) != int(part[6])
    assert partition_graphs(graph.block.pattern, graph.ptr, 3, seed=0)[12:].tolist() == [0, 1, 2]


def test_about_as_many_parts_as_nodes_are_not_empty() -> None:
    """METIS's other way leaves most of them empty."""
    ring = torch.arange(40)
    ends = torch.stack([torch.cat([ring, ring.roll(1)]), torch.cat([ring.roll(1), ring])])
    graph = Graph.from_edge_index(ends, torch.eye(40), ptr=torch.tensor([0, 40]))
    assert graph.ptr is not None
    assert len(partition_graphs(graph.block.pattern, graph.ptr, 32, seed=0).unique()) >= 30


def test_edges_that_are_left_out_change_the_cut_and_the_seed_decides() -> None:
    graph = cliques()
    assert graph.ptr is not None
    cuts = [partition_graphs(graph.block.pattern, graph.ptr, 4, seed=seed, drop=0.3) for seed in (0, 1, 2, 3, 0)]
    assert torch.equal(cuts[0], cuts[4])
    assert any(not torch.equal(cuts[0], cut) for cut in cuts[1:4])


def test_returns_are_diagonals_of_powers() -> None:
    graph = toy_graphs(num_graphs=9)
    assert graph.ptr is not None
    found = walk_returns(graph.block.pattern, 5)
    step = torch.zeros(graph.num_nodes, graph.num_nodes, dtype=torch.float64)
    for u, v in graph.block.edge_index.T.tolist():
        step[u, v] = 1
    step = step / step.sum(1, keepdim=True).clamp(min=1)
    powers = [torch.linalg.matrix_power(step, k).diagonal() for k in range(1, 6)]
    torch.testing.assert_close(found.double(), torch.stack(powers, dim=1), rtol=1e-5, atol=1e-6)
