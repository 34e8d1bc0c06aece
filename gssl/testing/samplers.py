"""Contract of samplers: inherit :class:`SamplerContract`, say how to build yours, and run pytest."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import pytest
import torch

from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import dense_features, select_features
from gssl.graph.storage import Graph
from gssl.samplers.base import Sampler
from gssl.testing.compare import assert_valid, in_other_process, tensors_of
from gssl.testing.toy import Kind, toy_graph, toy_graphs


def epoch_numbers(sampler: Sampler, epoch: int) -> list[dict[str, list[float]]]:
    """All batches of an epoch as plain numbers, for comparison across processes."""
    return [{path: tensor.flatten().tolist() for path, tensor in tensors_of(b)} for b in sampler.epoch(epoch)]


class SamplerContract:
    """What holds for every sampler.

    Attributes:
        sampler: the class under test; it must be importable by another process.
        kinds: graphs that it samples from.
        random: false where every epoch is the same.
        covers: whether every item is in exactly one batch of an epoch.
    """

    sampler: ClassVar[type[Sampler]]
    kinds: ClassVar[tuple[Kind, ...]] = ("node", "node-sparse")
    random: ClassVar[bool] = True
    covers: ClassVar[bool] = False

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "kind" in metafunc.fixturenames:
            metafunc.parametrize("kind", self.kinds)

    @abstractmethod
    def build(self, graph: Graph, seed: int) -> Sampler:
        """A sampler over a toy graph."""

    def graph(self, kind: Kind) -> Graph:
        """The graph to sample from."""
        return (
            toy_graphs(attributes=True) if kind == "graph" else toy_graph(sparse=kind == "node-sparse", attributes=True)
        )

    def batches(self, kind: Kind, epoch: int = 0) -> list[MiniBatch]:
        return list(self.build(self.graph(kind), 0).epoch(epoch))

    def test_batches_are_valid_and_on_the_cpu(self, kind: Kind) -> None:
        batches = self.batches(kind)
        assert batches, "an epoch has a batch"
        assert batches[-1].plan.step, "an epoch ends with an update"
        for batch in batches:
            assert_valid(batch)
            assert batch.device.type == "cpu"
            assert batch.num_items > 0

    def test_same_seed_and_epoch_same_batches(self, kind: Kind) -> None:
        graph = self.graph(kind)
        first, second = self.build(graph, 0), self.build(graph, 0)
        list(second.epoch(5))  # what came before must not matter
        expected = epoch_numbers(first, 2)
        assert epoch_numbers(second, 2) == expected
        assert in_other_process(epoch_numbers, self.build(graph, 0), 2) == expected

    def test_epochs_and_seeds_differ_where_draws_are_random(self, kind: Kind) -> None:
        graph = self.graph(kind)
        epochs = [epoch_numbers(self.build(graph, 0), epoch) for epoch in range(3)]
        seeds = [epoch_numbers(self.build(graph, seed), 0) for seed in range(3)]
        assert (epochs[0] != epochs[1] or epochs[0] != epochs[2]) == self.random
        assert (seeds[0] != seeds[1] or seeds[0] != seeds[2]) == self.random

    def test_features_are_those_of_the_ids(self, kind: Kind) -> None:
        graph = self.graph(kind)
        for batch in self.batches(kind):
            expected = dense_features(select_features(graph.x, batch.node_ids))
            assert torch.equal(dense_features(batch.x), expected)

    def test_edges_are_edges_of_the_graph(self, kind: Kind) -> None:
        graph = self.graph(kind)
        known = set(map(tuple, graph.block.edge_index.T.tolist()))
        for batch in self.batches(kind):
            for layer, block in enumerate(batch.blocks):
                own = batch.plan.history.sources if batch.plan.history is not None else ()
                ids = own[layer] if own else batch.node_ids[: block.num_src]
                assert set(map(tuple, ids[block.edge_index].T.tolist())) <= known

    def test_number_of_updates(self, kind: Kind) -> None:
        sampler = self.build(self.graph(kind), 0)
        counts = [sum(batch.plan.step for batch in sampler.epoch(epoch)) for epoch in range(8)]
        if not self.random or self.covers:
            assert set(counts) == {sampler.batches_per_epoch}
        else:
            assert sum(counts) / 8 == pytest.approx(sampler.batches_per_epoch, rel=0.5)

    def test_every_item_is_there_once(self, kind: Kind) -> None:
        if not self.covers:
            return
        graph = self.graph(kind)
        items: list[int] = []
        for batch in self.batches(kind):
            ids = batch.node_ids[: batch.num_targets] if batch.graph_ids is None else batch.graph_ids
            items += ids.tolist()
        assert sorted(items) == list(range(graph.num_graphs or graph.num_nodes))
