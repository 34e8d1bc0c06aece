"""Contract of augmenters: inherit :class:`AugmenterContract`, set ``augmenter``, and run pytest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from gssl.augment.base import Augmenter, PartAugmenter
from gssl.common.options import validate
from gssl.graph.batch import MiniBatch
from gssl.graph.gathered import GatheredRows
from gssl.graph.history import BatchHistory, History
from gssl.graph.plan import Plan
from gssl.graph.sparse import dense_features
from gssl.testing.compare import (
    DEVICES,
    assert_unchanged,
    assert_valid,
    in_other_process,
    snapshot,
    tensors_of,
)
from gssl.testing.options import check_options
from gssl.testing.toy import KINDS, Kind, toy_batch, without_edges


def generator(seed: int, device: str = "cpu") -> torch.Generator:
    """A seeded random stream."""
    return torch.Generator(device).manual_seed(seed)


def view_tensors(augmenter: Augmenter, batch: MiniBatch, seed: int) -> dict[str, list[float]]:
    """A view as plain numbers, for comparison across processes."""
    view = augmenter(batch, generator(seed))
    if isinstance(view.x, GatheredRows):  # another process has another table
        view = view.with_x(view.x.to_dense())
    return {path: tensor.flatten().tolist() for path, tensor in tensors_of(view)}


class AugmenterContract:
    """What holds for every augmenter.

    Attributes:
        augmenter: the class under test; it must be importable by another process.
        options: its options in these tests.
        random: false where it draws nothing.
        adds_edges: whether views may have edges that the batch has not.
        changes_features: whether a node's features may differ in the view.
        kinds: batches that it takes.
    """

    augmenter: ClassVar[type[Augmenter]]
    options: ClassVar[Mapping[str, object]] = {}
    random: ClassVar[bool] = True
    adds_edges: ClassVar[bool] = False
    changes_features: ClassVar[bool] = False
    kinds: ClassVar[tuple[Kind, ...]] = KINDS

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "kind" in metafunc.fixturenames:
            metafunc.parametrize("kind", self.kinds)
        if "device" in metafunc.fixturenames:
            metafunc.parametrize("device", DEVICES)

    def build(self) -> Augmenter:
        return self.augmenter(**validate(self.augmenter, self.options, what=self.augmenter.__name__))

    def batch(self, kind: Kind) -> MiniBatch:
        """A batch with everything that a view must carry along; edge attribute 0 names the edge."""
        batch = toy_batch(kind, attributes=True, isolated=2)
        number = torch.arange(batch.blocks[0].num_edges).float()
        batch = batch.map_blocks(
            lambda block: replace(block, edge_attr=torch.stack([number, number + 0.5], dim=1), weight=1 + number)
        )
        weight = 1 + torch.arange(batch.num_items).float()
        history = BatchHistory(History(batch.num_nodes), "truncated", batch.node_ids, batch.num_targets)
        return replace(batch, weight=weight, plan=replace(batch.plan, step=False, history=history))

    def test_options_are_a_configuration(self) -> None:
        check_options(self.augmenter, first=None)

    def test_view_is_a_valid_batch_on_the_same_device(self, kind: Kind, device: str) -> None:
        batch = self.batch(kind).to(torch.device(device))
        for seed in range(5):
            view = self.build()(batch, generator(seed, device))
            assert_valid(view)
            # What the sampler and the history say to each other stays on the host, wherever the batch is.
            own = dict(tensors_of(replace(view, plan=Plan())))
            elsewhere = [path for path, tensor in own.items() if tensor.device.type != device]
            assert not elsewhere, f"{', '.join(elsewhere)} are not on {device}, where the batch is"

    def test_batch_is_left_alone(self, kind: Kind) -> None:
        batch = self.batch(kind)
        before = snapshot(batch)
        self.build()(batch, generator(0))
        assert_unchanged(batch, before)

    def test_view_follows_from_the_generator(self, kind: Kind) -> None:
        batch = self.batch(kind)
        torch.manual_seed(0)
        first = view_tensors(self.build(), batch, 0)
        torch.manual_seed(1)
        state = torch.get_rng_state()
        assert first == view_tensors(self.build(), batch, 0), "the view depends on more than its generator"
        assert torch.equal(state, torch.get_rng_state()), "the global generator was used"
        others = [view_tensors(self.build(), batch, seed) for seed in range(1, 5)]
        assert any(first != other for other in others) == self.random

    def test_what_is_drawn_ahead_makes_the_view_and_leaves_the_other_part(self, kind: Kind) -> None:
        augmenter, batch, rng = self.build(), self.batch(kind), generator(0)
        if not isinstance(augmenter, PartAugmenter):
            return
        view = augmenter(batch, generator(0))
        change = augmenter.drawn(batch, rng)
        state = rng.get_state()
        later = change(batch)
        assert torch.equal(state, rng.get_state()), "the view draws more"
        ours, theirs = (dict(tensors_of(each)) for each in (view, later))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
        assert later.x is batch.x if augmenter.part == "edges" else later.blocks is batch.blocks

    def test_same_view_in_another_process(self, kind: Kind) -> None:
        batch = self.batch(kind)
        assert in_other_process(view_tensors, self.build(), batch, 3) == view_tensors(self.build(), batch, 3)

    def test_view_keeps_ids_and_handles(self, kind: Kind) -> None:
        batch = self.batch(kind)
        view = self.build()(batch, generator(0))
        assert view.plan.step == batch.plan.step
        assert view.plan.history == batch.plan.history
        assert view.in_dim == batch.in_dim
        assert len(view.node_ids.unique()) == view.num_nodes, "a node is there once"
        assert bool(torch.isin(view.node_ids, batch.node_ids).all())
        assert bool(torch.isin(view.node_ids[: view.num_targets], batch.node_ids[: batch.num_targets]).all())
        if batch.graph_ptr is not None:
            assert view.num_graphs == batch.num_graphs, "every graph keeps its place"
            assert view.graph_ids is not None
            assert batch.graph_ids is not None
            assert torch.equal(view.graph_ids, batch.graph_ids)
            graph_of = dict(zip(batch.node_ids.tolist(), batch.graph_index().tolist(), strict=True))
            assert [graph_of[node] for node in view.node_ids.tolist()] == view.graph_index().tolist()

    def test_weights_stay_with_their_items(self, kind: Kind) -> None:
        batch = self.batch(kind)
        view = self.build()(batch, generator(0))
        assert view.weight is not None
        assert batch.weight is not None
        if batch.graph_ptr is not None:
            assert torch.equal(view.weight, batch.weight)
        else:
            assert torch.equal(view.weight, batch.weight[view.node_ids[: view.num_targets]])

    def test_features_stay_with_their_nodes(self, kind: Kind) -> None:
        batch = self.batch(kind)
        same = []
        for seed in range(5):
            view = self.build()(batch, generator(seed))
            same.append(torch.equal(dense_features(view.x), dense_features(batch.x)[view.node_ids]))
        assert all(same) != self.changes_features

    def test_edges_and_their_attributes_belong_together(self, kind: Kind) -> None:
        batch = self.batch(kind)
        ends = global_edges(batch)
        for seed in range(5):
            view = self.build()(batch, generator(seed))
            block = view.blocks[0]
            assert block.edge_attr is not None
            assert block.weight is not None
            name = block.edge_attr[:, 0].long()
            assert torch.equal(block.edge_attr[:, 1], name + 0.5), "attributes of one edge came apart"
            assert torch.equal(block.weight, 1.0 + name), "weight and attributes came apart"
            old = (global_edges(view) == ends[:, name]).all(0)
            assert bool(old.all()) or self.adds_edges, "an edge has the attributes of another"
            assert len(name[old].unique()) == int(old.sum()), "an edge is there twice"

    def test_without_edges(self, kind: Kind) -> None:
        assert_valid(self.build()(without_edges(self.batch(kind)), generator(0)))


def global_edges(batch: MiniBatch) -> Tensor:
    """Edges as pairs of global node ids, shape (2, num_edges)."""
    return batch.node_ids[batch.blocks[0].edge_index]
