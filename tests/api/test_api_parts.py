"""Single parts on plain objects of PyG: a view, a probe on a tensor, a sampler in one's own loop."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Data

import gssl
from gssl.augment.drop_edge import DropEdge
from gssl.common.errors import InputError
from gssl.datasets.types import Split
from gssl.evaluate.judge import judge as judge_dataset
from gssl.evaluate.lbfgs import LbfgsProbe
from gssl.objectives.info_nce import info_nce
from gssl.testing.toy import toy_dataset, toy_graph

GRAPH = toy_graph(num_nodes=60, in_dim=5)


def data(**more: Tensor) -> Data:
    return Data(x=torch.as_tensor(GRAPH.x), edge_index=GRAPH.block.edge_index, **more)


def edges_of(edge_index: Tensor) -> set[tuple[int, int]]:
    return set(map(tuple, edge_index.T.tolist()))


def test_the_objective_is_the_function_itself() -> None:
    z1, z2 = torch.randn(7, 4), torch.randn(7, 4)
    assert torch.equal(gssl.info_nce(z1, z2), info_nce(z1, z2))


def test_a_view_of_a_graph_is_a_graph_of_pyg() -> None:
    given = data()
    before = given.edge_index.clone()
    view = gssl.augment_data("drop_edge", given, p=0.5, seed=3)
    assert isinstance(view, Data)
    assert edges_of(view.edge_index) < edges_of(given.edge_index)
    assert 0.3 < view.num_edges / given.num_edges < 0.7
    assert torch.equal(view.x, given.x)
    assert view.n_id.tolist() == list(range(60))
    assert torch.equal(given.edge_index, before)
    again, other = (gssl.augment_data("drop_edge", given, p=0.5, seed=seed) for seed in (3, 4))
    assert torch.equal(view.edge_index, again.edge_index)
    assert edges_of(view.edge_index) != edges_of(other.edge_index)


def test_attributes_and_weights_go_with_their_edges() -> None:
    weight = torch.arange(GRAPH.num_edges).float() + 1
    view = gssl.augment_data(DropEdge(p=0.4), data(edge_attr=weight[:, None] * 2, edge_weight=weight))
    place = {edge: number for number, edge in enumerate(map(tuple, GRAPH.block.edge_index.T.tolist()))}
    expected = torch.tensor([place[edge] for edge in map(tuple, view.edge_index.T.tolist())]).float() + 1
    assert torch.equal(view.edge_weight, expected)
    assert torch.equal(view.edge_attr[:, 0], 2 * expected)


def test_dropped_nodes_are_gone_and_the_others_say_who_they_are() -> None:
    view = gssl.augment_data("drop_node", data(), ratio=0.3)
    assert view.num_nodes == 42
    assert torch.equal(view.x, torch.as_tensor(GRAPH.x)[view.n_id])
    assert edges_of(view.n_id[view.edge_index]) <= edges_of(GRAPH.block.edge_index)


def test_a_networkx_graph_has_views_too() -> None:
    view = gssl.augment_data("mask_feature", nx.karate_club_graph(), p=0.9)
    assert view.num_nodes == 34
    assert not view.x.any(0).all()


@pytest.mark.parametrize(
    ("augmenter", "options", "message"),
    [
        ("drop_edges", {}, "did you mean 'drop_edge'"),
        ("drop_edge", {"q": 0.1}, "unknown option of augmenter drop_edge 'q'"),
        ("drop_edge", {"p": 2.0}, "option 'p' of augmenter drop_edge"),
        (DropEdge(p=0.1), {"p": 0.2}, "options such as 'p' go with the name of an augmenter"),
    ],
)
def test_views_that_there_are_not(augmenter: str | DropEdge, options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        gssl.augment_data(augmenter, data(), **options)


def test_a_probe_on_a_tensor_is_the_probe_of_a_run() -> None:
    dataset = toy_dataset("node")
    assert dataset.labels is not None
    y = dataset.labels.y
    rows = torch.randn(120, 4, generator=torch.Generator().manual_seed(0)) + y[:, None]
    split = dataset.splits[0]
    parts = tuple(part.sort().values for part in (split.train, split.val, split.test))
    dataset = replace(dataset, splits=(Split("public", *parts),))
    masks = tuple(torch.zeros(120, dtype=torch.bool).index_fill(0, part, True) for part in parts)
    expected = judge_dataset(LbfgsProbe(), rows, dataset, 0)
    for given in (parts, masks):
        found = gssl.judge(rows, y, split=given)
        assert (found.val, found.test, found.split_hash) == (expected.val, expected.test, expected.split_hash)
    drawn = gssl.judge(rows, y, probe="P3-BGRL", seed=4)
    assert (drawn.probe, len(drawn.splits)) == ("P3-BGRL", 1)
    assert gssl.judge(rows, y, probe="P1", split=parts, steps=5).version == 1
    assert gssl.judge(rows, y, probe="P5-linear").metrics["accuracy"][1] > 0.6  # of graphs


def test_labels_of_other_kinds() -> None:
    rows = torch.randn(80, 4, generator=torch.Generator().manual_seed(0))
    values = gssl.judge(rows, rows[:, 0] * 2.5 + 0.3)
    assert values.metric == "rmse"
    assert values.test < 1.0  # the deviation is 2.5
    several = (rows[:, :3] > 0).float()
    several[0, 1] = torch.nan
    assert gssl.judge(rows, several).test > 0.8


def test_what_does_not_fit_a_probe() -> None:
    rows, y = torch.randn(90, 3), torch.arange(90) % 2
    parts = (torch.arange(10), torch.arange(10, 20), torch.arange(20, 90))
    with pytest.raises(InputError, match="probe P2 draws splits of its own; leave out split"):
        gssl.judge(rows, y, probe="P2", split=parts)
    with pytest.raises(InputError, match="there are 90 items"):
        gssl.judge(rows, y[1:])
    with pytest.raises(InputError, match="Dot judges link tasks, not labelled items"):
        gssl.judge(rows, y, probe="Dot")
    with pytest.raises(InputError, match="did you mean"):
        gssl.judge(rows, y, probe="LBFG")
    with pytest.raises(InputError, match="split 'public'"):
        gssl.judge(rows, y, split=(parts[0], parts[0], parts[2]))
    for split in (parts[:2], dict(zip(("train", "valid", "test"), parts, strict=True))):
        with pytest.raises(InputError, match="split must be three lists of ids or masks"):
            gssl.judge(rows, y, split=split)
    with pytest.raises(InputError, match="finite numbers of shape"):
        gssl.judge(rows[:, 0], y)
    with pytest.raises(InputError, match="some that are not finite"):
        gssl.judge(rows / 0, y)
    with pytest.raises(InputError, match="give a class, a text or a number for each item"):
        gssl.judge(rows, [object()] * 90)


def test_arrays_and_names_of_classes_do_as_well_as_tensors() -> None:
    rows = torch.randn(90, 3, generator=torch.Generator().manual_seed(0))
    y = (rows[:, 0] > 0).long()
    expected = gssl.judge(rows, y).test
    assert expected > 0.8
    names = ["yes" if value else "no" for value in y]
    for given in (y.numpy(), y.tolist(), names, np.array(names)):
        assert gssl.judge(rows.numpy(), given).test == expected


def test_labels_and_masks_are_in_the_way_of_no_view_and_no_draw() -> None:
    """What neither reads may be missing for some nodes, or be of some other kind."""
    odd = data(y=torch.full((60,), -1), train_mask=torch.ones(7, dtype=torch.bool))
    assert gssl.augment_data("drop_edge", odd, p=0.5).num_nodes == 60
    assert next(iter(gssl.sample(odd, batch_size=9).epoch(0))).batch_size == 9
    assert odd.y.shape == (60,)
    sets = gssl.sample([odd, odd, odd], "graphs", batch_size=2)
    assert sorted(len(batch.n_id) for batch in sets.epoch(0)) == [60, 120]
    counted = Data(edge_index=GRAPH.block.edge_index, y=torch.full((61,), -1))
    assert gssl.augment_data("identity", counted).num_nodes == 61


VALUE = torch.rand(60, generator=torch.Generator().manual_seed(1)) + torch.arange(60) % 7


@pytest.mark.parametrize(
    "name", ["uniform+exact", "degree+exact", "minvar+exact", "walk+neighbor", "cluster+induced", "labor", "graphsage"]
)
def test_weights_make_sums_over_targets_unbiased(name: str) -> None:
    """The mean over many epochs of ``(weight * value).sum() / n`` is that over all nodes, within 5 standard errors."""
    own: dict[str, dict[str, Any]] = {"cluster": {"num_parts": 6}, "minvar": {"gamma": 0.5}}
    options = own.get(name.partition("+")[0], {})
    sampler = gssl.sample(data(), name, batch_size=15, num_layers=1, **options)
    found = []
    for epoch in range(60):
        for batch in sampler.epoch(epoch):
            found.append(float((batch.weight * VALUE[batch.n_id[: batch.batch_size]]).sum() / 60))
            sampler.observe(batch, VALUE[batch.n_id[: batch.batch_size]])
    mean = torch.tensor(found)
    assert len(mean) > 150
    assert abs(mean.mean() - VALUE.mean()) < 5 * mean.std() / len(mean) ** 0.5 + 1e-5


def test_edges_and_their_weights_estimate_the_sum_over_all_neighbors() -> None:
    """LABOR's weights are inverse probabilities: means over many epochs of each node's sum, against the true ones."""
    sampler = gssl.sample(data(), "labor", batch_size=60, num_layers=1, fanouts=[3], hajek=False)
    sums = []
    for batch in (batch for epoch in range(300) for batch in sampler.epoch(epoch)):
        ((edges, weight, targets),) = batch.layers
        assert weight is not None
        total = torch.zeros(60).index_add(0, batch.n_id[edges[1]], weight * VALUE[batch.n_id[edges[0]]])
        assert targets == batch.batch_size
        assert int(edges[1].max()) < targets
        sums.append(torch.where(torch.isin(torch.arange(60), batch.n_id[:targets]), total, torch.nan))
    source, target = GRAPH.block.edge_index
    exact = torch.zeros(60).index_add(0, target, VALUE[source])
    table = torch.stack(sums)
    count = (~table.isnan()).sum(0)
    error = (table.nanmean(0) - exact).abs()
    spread = (table - table.nanmean(0)).square().nanmean(0).sqrt()
    assert bool((error < 5 * spread / count**0.5 + 1e-4).all())


def test_a_model_of_ones_own_gets_the_gradient_of_the_full_graph_from_all_targets() -> None:
    """With every node a target and exact propagation, two layers give the loss of the whole graph."""
    torch.manual_seed(0)
    first, second = nn.Linear(5, 4), nn.Linear(4, 2)
    y = torch.arange(60) % 2

    def layer(x: Tensor, edges: Tensor, targets: int, linear: nn.Linear) -> Tensor:
        return torch.zeros(targets, x.shape[1]).index_add(0, edges[1], x[edges[0]]) @ linear.weight.T + linear.bias

    whole = torch.as_tensor(GRAPH.x)
    for linear in (first, second):
        whole = layer(whole, GRAPH.block.edge_index, 60, linear)
    expected = F.cross_entropy(whole, y)
    (batch,) = gssl.sample(data(), "uniform+exact", batch_size=60).epoch(0)
    x = batch.x
    for (edges, _, targets), linear in zip(batch.layers, (first, second), strict=True):
        x = layer(x, edges, targets, linear)
    terms = F.cross_entropy(x, y[batch.n_id[: batch.batch_size]], reduction="none")
    torch.testing.assert_close((batch.weight * terms).sum() / 60, expected)


def test_the_whole_graph_is_a_sampler_too() -> None:
    (batch,) = gssl.sample(data(), "full").epoch(0)
    assert batch.n_id.tolist() == list(range(60))
    assert torch.equal(batch.weight, torch.ones(60))
    assert len(batch.layers) == 2


def test_the_same_seed_gives_the_same_batches() -> None:
    def ids(seed: int) -> list[list[int]]:
        return [batch.n_id.tolist() for batch in islice(gssl.sample(data(), batch_size=10, seed=seed).epoch(2), 3)]

    assert ids(5) == ids(5) != ids(6)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gas", {}, "keeps a history, which only gssl's own encoders can read"),
        ("minvar+adjoint", {}, "keeps a history"),
        ("graphsag", {}, "did you mean 'graphsage'"),
        ("graphsage", {"fanout": [3, 3]}, "did you mean 'fanouts'"),
        ("graphsage", {"batch_size": 0}, "batch_size is 0: give a whole number"),
        ("graphsage", {"num_layers": 0}, "num_layers is 0: give a whole number of at least 1"),
        ("graphs", {}, "the sampler graphs draws whole graphs: give a list of Data"),
    ],
)
def test_samplers_that_do_not_serve(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        gssl.sample(data(), name, **options)
