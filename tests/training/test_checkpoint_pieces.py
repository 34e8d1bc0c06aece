"""Checkpoints of MVS in pieces against the same checkpoint in one batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.graph.history import History, Place
from gssl.graph.storage import Graph
from gssl.methods.supervised import Supervised
from gssl.models.gcn import GCN
from gssl.registry import SAMPLERS
from gssl.samplers.named import mvs
from gssl.samplers.pair import Estimator, PairSampler
from gssl.samplers.propagation.history import HistoryPropagation
from gssl.testing.toy import toy_dataset
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain
from gssl.training.norms import GradientNorms

DATASET = toy_dataset("node")
LAYERS = 3


def supervised() -> Supervised:
    torch.manual_seed(0)
    method = Supervised(GCN(DATASET.graph.in_dim, hidden_dim=8, num_layers=LAYERS), dropout=0.0)
    assert DATASET.labels is not None
    method.fit_labels(DATASET.labels, DATASET.splits[0])
    return method


def sampler(**options: object) -> PairSampler:
    given: dict[str, object] = {"num_layers": LAYERS, "batch_size": 8, "gamma": 0.5, "checkpoint_every": 2}
    return mvs(DATASET.graph, **given | options)


class Checkpoint:
    """The first checkpoint of a sampler, as the training loop goes through it, and the draw after it."""

    def __init__(self, source: PairSampler) -> None:
        self.method = supervised()
        self.sizes: list[int] = []
        self.norms: dict[int, float] = {}
        self.steps: list[bool] = []
        batches = source.epoch(0)
        self.after = self._pass(batches, source)
        self.store = cast("History", source.store)

    def _pass(self, batches: Iterator[MiniBatch], source: PairSampler) -> MiniBatch:
        size = source.selection.pool_size  # type: ignore[attr-defined]  # of minimal variance
        for batch in batches:
            if len(self.norms) == size:
                return batch
            self.sizes.append(batch.num_targets)
            if batch.plan.refresh:
                assert (batch.plan.step, batch.plan.measure) == (False, False)
                with torch.no_grad():
                    self.method.loss(batch)
                continue
            self.steps.append(batch.plan.step)
            with GradientNorms(self.method, active=True) as norms:
                (self.method.loss(batch) * self.method.mass(batch)).backward()
            found = norms.of(batch)
            ids = batch.node_ids[: batch.num_targets].tolist()
            self.norms |= dict(zip(ids, found.tolist(), strict=True))
            source.observe(batch, found)
        raise AssertionError("there was no batch after the checkpoint")

    def history(self, layer: int) -> Tensor:
        place = Place("embedding", 0, layer)
        return self.store.pull(place, torch.arange(DATASET.graph.num_nodes), torch.zeros(1, 8))

    def gradient(self) -> Tensor:
        return torch.cat([p.grad.flatten() for p in self.method.parameters() if p.grad is not None])


@pytest.mark.parametrize("piece", [7, 1000])
def test_norms_history_and_the_next_draw_are_those_of_one_batch(piece: int) -> None:
    whole, pieces = Checkpoint(sampler()), Checkpoint(sampler(checkpoint_batch=piece))
    assert max(pieces.sizes) <= piece
    assert len(pieces.sizes) >= LAYERS  # each layer for itself
    assert pieces.norms.keys() == whole.norms.keys()
    for node, norm in whole.norms.items():
        assert pieces.norms[node] == pytest.approx(norm, rel=1e-4, abs=1e-6)
    for layer in range(LAYERS - 1):
        written = whole.history(layer).any(1)
        assert int(written.sum()) > 0
        torch.testing.assert_close(pieces.history(layer)[written], whole.history(layer)[written], rtol=1e-4, atol=1e-5)
    assert torch.equal(pieces.after.node_ids, whole.after.node_ids)
    torch.testing.assert_close(pieces.after.weight, whole.after.weight, rtol=1e-3, atol=0)


@pytest.mark.parametrize("estimator", ["ht", "hajek"])
def test_gradients_of_the_pieces_add_up_to_one_step(estimator: Estimator) -> None:
    items = DATASET.splits[0].train  # every one with a label, or the two estimators differ
    options: dict[str, object] = {"step_at_checkpoint": True, "estimator": estimator, "items": items, "gamma": 0.9}
    whole = Checkpoint(sampler(**options))
    pieces = Checkpoint(sampler(**options, checkpoint_batch=7))
    assert whole.steps == [True]
    assert pieces.steps == [False] * (len(pieces.steps) - 1) + [True]
    assert sum(pieces.sizes) == sum(whole.sizes)
    torch.testing.assert_close(pieces.gradient(), whole.gradient(), rtol=1e-4, atol=1e-6)


def test_a_propagation_without_history_measures_in_pieces_too() -> None:
    given = {"num_layers": 2, "batch_size": 8, "gamma": 0.5, "checkpoint_batch": 7}
    batches = SAMPLERS.get("minvar+exact")(DATASET.graph, **given).epoch(0)
    first = next(batches)
    assert (first.num_targets, first.plan.measure, first.plan.step, first.plan.refresh) == (7, True, False, False)


@pytest.mark.parametrize("step_at_checkpoint", [False, True])
def test_training_with_pieces_is_training_without(step_at_checkpoint: bool) -> None:
    config = TrainConfig(epochs=3, lr=0.02)
    curves = []
    for options in ({}, {"checkpoint_batch": 7}):
        source = sampler(step_at_checkpoint=step_at_checkpoint, refresh=False, **options)
        curves.append(pretrain(supervised(), source, config, seed=0).curve)
    if not step_at_checkpoint:  # else an epoch's mean loss is over pieces
        assert [r.loss for r in curves[1]] == pytest.approx([r.loss for r in curves[0]], rel=2e-3)
    assert all(record.loss > 0 for curve in curves for record in curve)


def test_pieces_that_read_many_nodes_are_small() -> None:
    """Four hubs hear 60 leaves each, the first two the same ones; a piece of up to 16 nodes may read 128."""
    leaves = torch.arange(4, 204)
    near = [leaves[:60], leaves[:60], leaves[60:120], leaves[120:180]]
    edges = torch.cat([torch.stack([heard, torch.full_like(heard, hub)]) for hub, heard in enumerate(near)], 1)
    graph = Graph.from_edge_index(edges, torch.zeros(204, 1))
    propagation = HistoryPropagation(graph, num_layers=2)
    pieces = list(propagation.pieces(torch.arange(204), 16))  # 128 nodes
    assert torch.equal(torch.cat(pieces), torch.arange(204))
    # The first three hubs and what they hear are 123 distinct nodes, 183 with repeats.
    assert [len(piece) for piece in pieces[:3]] == [3, 16, 16]
    assert sum(len(piece) for piece in pieces) == 204
    assert list(map(len, propagation.pieces(torch.arange(4), 1))) == [1, 1, 1, 1], "a hub is a piece of its own"


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**31), st.integers(1, 12))
def test_pieces_are_as_large_as_they_may_be(seed: int, most: int) -> None:
    """Against a count by sets: no piece reads too much, and none could take one more node."""
    rng = torch.Generator().manual_seed(seed)
    edges = torch.randint(0, 40, (2, 300), generator=rng)
    edges = edges[:, edges[0] > edges[1]].unique(dim=1)
    graph = Graph.from_edge_index(edges, torch.zeros(40, 1))
    near: list[set[int]] = [{node} for node in range(40)]
    for source, target in edges.T.tolist():
        near[target].add(source)
    left = torch.randperm(40, generator=rng).tolist()
    for piece in HistoryPropagation(graph, num_layers=2).pieces(torch.tensor(left), most):
        size = len(piece)
        assert piece.tolist() == left[:size]
        assert 1 <= size <= most
        read = [len(set.union(*(near[node] for node in left[:end]))) for end in (size, size + 1)]
        entries = [sum(len(near[node]) for node in left[:end]) for end in (size, size + 1)]
        assert size == 1 or read[0] <= 8 * most
        assert size == most or size == len(left) or read[1] > 8 * most or entries[1] > 16 * most
        left = left[size:]
    assert not left
