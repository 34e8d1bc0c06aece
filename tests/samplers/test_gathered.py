"""Features that are read where they are used."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gssl.augment.mask_feature import MaskFeature
from gssl.samplers.gathered import GatheredRows
from gssl.samplers.graph import Graph
from gssl.samplers.named import gas, mvs
from gssl.samplers.propagation.history import HistoryPropagation
from gssl.samplers.sparse import BatchFeatures, dense_features, gathered_features, select_features
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
    found = gathered_features(x, INDEX)
    assert isinstance(found, GatheredRows) == is_gathered
    assert torch.equal(dense_features(found), dense_features(x)[INDEX])


def test_the_same_view_of_either_kind() -> None:
    gathered = toy_batch("node-gathered")
    dense = gathered.with_x(dense_features(gathered.x))
    views = [MaskFeature(p=0.5)(batch, torch.Generator().manual_seed(3)).x for batch in (gathered, dense)]
    assert isinstance(views[0], GatheredRows)
    assert torch.equal(dense_features(views[0]), dense_features(views[1]))


@pytest.mark.parametrize("make", [gas, mvs])
def test_a_batch_with_history_copies_no_features(make: type) -> None:
    graph = toy_graph()
    options = {} if make is gas else {"norms": "online"}
    for batch in make(graph, num_layers=2, batch_size=6, **options).epoch(0):
        assert isinstance(batch.x, GatheredRows)
        assert batch.x.table is graph.x
        assert torch.equal(batch.x.index, batch.node_ids)


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
