import pytest
import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.cut import restrict_rows
from gssl.graph.sparse import Pattern, SparseMatrix, dense_features
from gssl.graph.storage import Graph
from gssl.samplers.full import FullBatch, GraphBatches


def small_graphs(count: int = 6) -> list[Data]:
    rng = torch.Generator().manual_seed(3)
    graphs = []
    for _ in range(count):
        n = int(torch.randint(1, 6, (1,), generator=rng))
        edges = (torch.rand(n, n, generator=rng) < 0.5).nonzero().T
        attr = torch.randn(edges.shape[1], 2, generator=rng)
        graphs.append(Data(x=torch.randn(n, 3, generator=rng), edge_index=edges, edge_attr=attr))
    return graphs


def collection(graphs: list[Data]) -> Graph:
    joined = Batch.from_data_list(graphs)
    return Graph.from_edge_index(joined.edge_index, joined.x, edge_attr=joined.edge_attr, ptr=joined.ptr)


def canonical(edge_index: Tensor, attr: Tensor) -> list[tuple[float, ...]]:
    return sorted((*map(float, e), *map(float, a)) for e, a in zip(edge_index.T, attr, strict=True))


def test_graph_batch_equals_pyg_collation() -> None:
    graphs = small_graphs()
    index = torch.tensor([4, 0, 4, 5])
    ours = collection(graphs).graph_batch(index)
    theirs = Batch.from_data_list([graphs[i] for i in index.tolist()])
    attr = ours.blocks[0].edge_attr
    assert attr is not None
    assert torch.equal(dense_features(ours.x), theirs.x)
    assert ours.graph_ptr is not None
    assert torch.equal(ours.graph_ptr, theirs.ptr)
    assert torch.equal(ours.graph_index(), theirs.batch)
    assert canonical(ours.blocks[0].edge_index, attr) == canonical(theirs.edge_index, theirs.edge_attr)


def test_graph_batch_keeps_sparse_features() -> None:
    graphs = small_graphs()
    whole = collection(graphs)
    assert isinstance(whole.x, Tensor)
    sparse = Graph(whole.block, SparseMatrix.from_dense(whole.x), whole.ptr)
    index = torch.tensor([2, 1])
    assert torch.equal(dense_features(sparse.graph_batch(index).x), dense_features(whole.graph_batch(index).x))


def test_a_single_graph_has_no_graph_batches() -> None:
    graph = Graph.from_edge_index(torch.tensor([[0], [1]]), torch.ones(2, 1))
    with pytest.raises(ValueError, match="no graphs"):
        graph.graph_batch(torch.tensor([0]))
    with pytest.raises(InputError, match="batch of graphs"):
        graph.full_batch().graph_index()


def test_edges_point_from_column_to_row_and_keep_their_weights() -> None:
    edges = torch.tensor([[0, 2, 1], [1, 1, 0]])
    graph = Graph.from_edge_index(edges, torch.ones(3, 1), edge_weight=torch.tensor([10.0, 20.0, 30.0]))
    block = graph.block
    assert block.weight is not None
    found = {(int(s), int(t)): float(w) for s, t, w in zip(*block.edge_index, block.weight, strict=True)}
    assert found == {(0, 1): 10.0, (2, 1): 20.0, (1, 0): 30.0}
    assert block.degree.tolist() == [30.0, 30.0, 0.0]


def test_restricted_block_gives_the_same_rows_and_normalisation() -> None:
    graph = collection(small_graphs(12))
    rows = torch.tensor([7, 2, 11])
    block, sources = restrict_rows(graph.block, rows)
    assert torch.equal(sources[:3], rows)
    assert sources.unique().numel() == sources.numel()
    assert torch.equal(block.gcn_scale, graph.block.gcn_scale[sources])
    for new, old in enumerate(rows.tolist()):
        mine = {int(sources[s]) for s, t in block.edge_index.T.tolist() if t == new}
        assert mine == {s for s, t in graph.block.edge_index.T.tolist() if t == old}


def test_more_layers_than_blocks_is_an_error() -> None:
    graph = Graph.from_edge_index(torch.tensor([[2, 3], [0, 1]]), torch.ones(4, 1))
    cut, sources = restrict_rows(graph.block, torch.tensor([0, 1]))
    batch = MiniBatch(torch.ones(sources.numel(), 1), (cut,), sources, 2)
    assert batch.block(0) is cut
    with pytest.raises(InputError, match="more layers"):
        batch.block(1)


def test_bipartite_block_without_degrees_cannot_be_normalised() -> None:
    block = Block(Pattern(torch.tensor([0, 1]), torch.tensor([1]), 2))
    with pytest.raises(InputError, match="full_degree"):
        _ = block.gcn_scale


def test_graph_batches_cover_every_graph_once_in_a_new_order_each_epoch() -> None:
    graph = collection(small_graphs(11))
    sampler = GraphBatches(graph, batch_size=4, seed=5)
    epochs = []
    for epoch in (0, 1, 0):
        ids = [batch.graph_ids for batch in sampler.epoch(epoch)]
        assert [i.numel() for i in ids if i is not None] == [4, 4, 3]
        epochs.append(torch.cat([i for i in ids if i is not None]).tolist())
    assert sorted(epochs[0]) == list(range(11))
    assert epochs[0] == epochs[2] != epochs[1]
    assert sampler.batches_per_epoch == 3


def test_full_batch_is_the_graph() -> None:
    graph = collection(small_graphs())
    (batch,) = FullBatch(graph).epoch(7)
    assert batch.blocks == (graph.block,)
    assert batch.num_items == 6
    assert batch.is_square
