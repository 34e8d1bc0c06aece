"""Features that are read where they are used."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from gssl.augment.mask_feature import MaskFeature
from gssl.graph.gathered import GatheredRows
from gssl.graph.sparse import BatchFeatures, dense_features, gathered_features, select_features
from gssl.graph.storage import Graph
from gssl.models.gat import GAT
from gssl.models.gcn import GCN
from gssl.models.gin import GIN
from gssl.models.mlp import MLPEncoder
from gssl.models.sage import SAGE
from gssl.models.stack import StackedEncoder
from gssl.registry import PROPAGATIONS
from gssl.samplers.propagation.history import HistoryPropagation
from gssl.samplers.propagation.neighbor import Neighbor
from gssl.testing.propagations import draw
from gssl.testing.toy import toy_batch, toy_graph

TABLE = torch.arange(12.0).view(4, 3) + 1
INDEX = torch.tensor([2, 0, 2])


def rows() -> GatheredRows:
    return GatheredRows(TABLE, INDEX)


def test_rows_are_those_of_the_table() -> None:
    assert rows().shape == (3, 3)
    assert torch.equal(rows().to_dense(), TABLE[INDEX])
    assert torch.equal(rows().head(2).to_dense(), TABLE[[2, 0]])
    assert torch.equal(dense_features(select_features(rows(), torch.tensor([1, 1, 2]))), TABLE[[0, 0, 2]])


def test_masks_add_up_and_leave_the_table_alone() -> None:
    before = TABLE.clone()
    masked = rows().mask(torch.tensor([True, False, True])).mask(torch.tensor([True, True, False]))
    expected = TABLE[INDEX] * torch.tensor([1.0, 0.0, 0.0])
    assert torch.equal(masked.to_dense(), expected)
    assert torch.equal(masked.select_rows(torch.tensor([2])).to_dense(), expected[2:])
    assert torch.equal(TABLE, before)


@pytest.mark.parametrize(
    ("x", "is_gathered"),
    [
        (TABLE, True),
        (TABLE.double(), False),
        (TABLE.clone().requires_grad_(), False),
        (toy_batch("node-sparse").x, False),
    ],
)
def test_what_cannot_be_read_in_place_is_copied(x: BatchFeatures, is_gathered: bool) -> None:
    assert not isinstance(x, GatheredRows)
    found = gathered_features(x, INDEX, ahead=True)
    assert isinstance(found, GatheredRows) == is_gathered
    assert torch.equal(dense_features(found), dense_features(x)[INDEX])


def test_the_same_view_of_either_kind() -> None:
    gathered = toy_batch("node-gathered")
    dense = gathered.with_x(dense_features(gathered.x))
    views = [MaskFeature(p=0.5)(batch, torch.Generator().manual_seed(3)).x for batch in (gathered, dense)]
    assert isinstance(views[0], GatheredRows)
    assert torch.equal(dense_features(views[0]), dense_features(views[1]))


@pytest.mark.parametrize("name", ["exact", "neighbor", "labor", "fastgcn", "ladies", "vrgcn", "history", "adjoint"])
def test_a_batch_copies_no_features(name: str) -> None:
    graph = toy_graph()
    batch = PROPAGATIONS.get(name)(graph, num_layers=2).batch(draw(3, 17, 30))
    assert isinstance(batch.x, GatheredRows)
    assert batch.x.table is graph.x
    assert torch.equal(batch.x.index, batch.node_ids)


@pytest.mark.parametrize("name", ["exact", "history", "vrgcn"])
def test_rows_are_copied_where_a_layer_hears_from_no_others(name: str) -> None:
    make: Any = PROPAGATIONS.get(name)
    assert isinstance(make(toy_graph(), num_layers=2, precompute=True).batch(draw(3, 17)).x, Tensor)


@pytest.mark.parametrize("encoder", [GCN, SAGE, GIN, GAT, MLPEncoder])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_sampled_blocks_give_the_same_of_either_kind(encoder: type[StackedEncoder], dropout: float) -> None:
    graph = toy_graph(attributes=True)
    batch = Neighbor(graph, num_layers=2, fanouts=(3, 2)).batch(draw(3, 17, 30))
    assert batch.blocks[0].num_dst < batch.blocks[0].num_src
    torch.manual_seed(0)
    made = encoder(graph.in_dim, hidden_dim=8, num_layers=2, in_dropout=dropout, norm="none")
    found = []
    for x in (batch.x, dense_features(batch.x)):
        made.zero_grad()
        torch.manual_seed(1)
        out = made(batch.with_x(x))
        out.square().sum().backward()
        found.append([out.detach(), *(p.grad for p in made.parameters())])
    for first, second in zip(*found, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-6)


def test_another_process_gets_the_rows_alone() -> None:
    masked = rows().mask(torch.tensor([True, False, True]))
    copy: GatheredRows = pickle.loads(pickle.dumps(masked))
    assert copy.table.shape == (3, 3)
    assert torch.equal(copy.to_dense(), masked.to_dense())


def test_a_batch_that_goes_elsewhere_takes_its_features_along() -> None:
    graph = toy_graph()
    batch = HistoryPropagation(graph, num_layers=2).batch(draw(3, 17))
    copied = batch._map(Tensor.clone)
    assert isinstance(copied.x, Tensor)
    assert isinstance(graph.x, Tensor)
    assert torch.equal(copied.x, graph.x[batch.node_ids])
    assert batch.to(torch.device("meta")).x.device.type == "meta"


def test_features_in_a_file_stay_there(tmp_path: object) -> None:
    x = torch.from_file(f"{tmp_path}/x.bin", shared=True, size=48 * 24).view(48, 24)
    x.copy_(dense_features(toy_graph().x))
    batch = HistoryPropagation(Graph(toy_graph().block, x), num_layers=2).batch(draw(3, 17))
    assert isinstance(batch.x, GatheredRows)
    assert batch.x.table.data_ptr() == x.data_ptr()


def test_rows_are_touched_where_training_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    touched: list[Tensor] = []
    monkeypatch.setattr("gssl.graph.sparse.touch_rows", lambda table, index: touched.append(index))
    for name in ("exact", "neighbor", "history", "adjoint", "vrgcn"):
        make = PROPAGATIONS.get(name)(toy_graph(), num_layers=2)
        made = make.batch(replace(draw(3, 17), measure=True))
        assert not touched, f"{name}: the next draw waits for this one"
        made = make.batch(draw(3, 17))
        assert torch.equal(torch.as_tensor(touched.pop()), made.node_ids), name
        assert not touched
