import pytest
import torch

from gssl.augment.base import Compose, Identity
from gssl.augment.drop_edge import DropEdge
from gssl.augment.mask_feature import MaskFeature
from gssl.augment.mask_node import mask_nodes
from gssl.augment.shuffle import Shuffle
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import SparseMatrix, dense_features
from gssl.graph.storage import Graph


def make_batch(sparse: bool = False, n: int = 60) -> MiniBatch:
    rng = torch.Generator().manual_seed(0)
    edges = (torch.rand(n, n, generator=rng) < 0.3).nonzero().T
    x = torch.rand(n, 40, generator=rng) + 0.1
    x = x * (torch.rand(n, 40, generator=rng) < 0.5)
    attr = torch.arange(edges.shape[1]).unsqueeze(1)
    weight = torch.arange(edges.shape[1], dtype=torch.float32)
    features = SparseMatrix.from_dense(x) if sparse else x
    return Graph.from_edge_index(edges, features, edge_attr=attr, edge_weight=weight).full_batch()


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_drop_edge_drops_directed_edges_independently_and_keeps_their_attributes() -> None:
    batch = make_batch()
    view = DropEdge(p=0.4)(batch, rng())
    before, after = batch.blocks[0], view.blocks[0]
    assert after.num_edges / before.num_edges == pytest.approx(0.6, abs=0.05)
    assert before.edge_attr is not None
    assert after.edge_attr is not None
    assert after.weight is not None
    assert torch.equal(after.edge_attr[:, 0].float(), after.weight)
    by_attr = dict(zip(before.edge_attr[:, 0].tolist(), before.edge_index.T.tolist(), strict=True))
    assert all(
        by_attr[a] == e for a, e in zip(after.edge_attr[:, 0].tolist(), after.edge_index.T.tolist(), strict=True)
    )
    kept = set(map(tuple, after.edge_index.T.tolist()))
    existed = set(map(tuple, before.edge_index.T.tolist()))
    one_sided = sum((t, s) not in kept for s, t in kept if (t, s) in existed)
    assert one_sided > 0  # the two directions of an edge are not tied


@pytest.mark.parametrize("sparse", [False, True])
def test_mask_feature_masks_whole_columns_for_all_nodes(sparse: bool) -> None:
    batch = make_batch(sparse)
    x, masked = dense_features(batch.x), dense_features(MaskFeature(p=0.5)(batch, rng()).x)
    gone = (masked == 0).all(0)
    assert 8 < int(gone.sum()) < 32
    assert torch.equal(masked[:, ~gone], x[:, ~gone])  # columns, not nodes, and zeros, not noise


def test_sparse_and_dense_views_are_the_same() -> None:
    views = [Compose(DropEdge(p=0.3), MaskFeature(p=0.3))(make_batch(s), rng(4)) for s in (False, True)]
    assert torch.equal(dense_features(views[0].x), dense_features(views[1].x))
    assert torch.equal(views[0].blocks[0].edge_index, views[1].blocks[0].edge_index)


@pytest.mark.parametrize("sparse", [False, True])
def test_shuffle_permutes_rows_and_leaves_edges(sparse: bool) -> None:
    batch = make_batch(sparse)
    view = Shuffle()(batch, rng())
    x, shuffled = dense_features(batch.x), dense_features(view.x)
    assert not torch.equal(x, shuffled)
    assert sorted(x.tolist()) == sorted(shuffled.tolist())
    assert view.blocks is batch.blocks


@pytest.mark.parametrize("sparse", [False, True])
def test_mask_nodes_counts_token_and_replacement(sparse: bool) -> None:
    batch = make_batch(sparse)
    token = torch.full((40,), 9.0, requires_grad=True)
    view, *parts = mask_nodes(batch, token, rate=0.5, replace_rate=0.2, rng=rng())
    rows = torch.cat(parts)
    x, masked = dense_features(batch.x), dense_features(view.x)
    assert rows.numel() == rows.unique().numel() == 30
    with_token = (masked == 9).all(1)
    assert int(with_token.sum()) == 24
    untouched = torch.ones(60, dtype=torch.bool)
    untouched[rows] = False
    assert torch.equal(masked[untouched], x[untouched])
    replaced = [r for r in rows.tolist() if not with_token[r]]
    assert all((x == masked[r]).all(1).any() for r in replaced)
    masked.sum().backward()
    assert token.grad is not None
    assert torch.equal(token.grad, torch.full((40,), 24.0))


def test_zero_probability_and_identity_return_the_batch_itself() -> None:
    batch = make_batch()
    for step in (DropEdge(p=0.0), MaskFeature(p=0.0), Identity()):
        assert step(batch, rng()) is batch


def test_one_block_that_serves_all_layers_is_dropped_once() -> None:
    batch = make_batch()
    two = MiniBatch(batch.x, (batch.blocks[0], batch.blocks[0]), batch.node_ids, batch.num_targets)
    view = DropEdge(p=0.5)(two, rng())
    assert view.blocks[0] is view.blocks[1]
