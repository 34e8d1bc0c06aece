"""Batches that travel: the same ones, from buffers that are used again only when their copy is done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gssl.graph.gathered import GatheredRows
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.methods.bgrl import BGRL
from gssl.models.gcn import GCN
from gssl.registry import PROPAGATIONS, SAMPLERS
from gssl.samplers.delivery import Delivery, SlowLane
from gssl.samplers.pair import PairSampler
from gssl.samplers.placement import Placement, feature_bytes, graph_bytes, placed
from gssl.testing.compare import tensors_of
from gssl.testing.toy import toy_graph
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

FAST = 1e12  # bytes a second


def sampler(
    name: str = "uniform+neighbor", graph: Graph | None = None, prefetch: int = 2, **options: object
) -> PairSampler:
    made = SAMPLERS.get(name)(
        graph or toy_graph(attributes=True), num_layers=2, batch_size=16, seed=3, prefetch=prefetch, **options
    )
    assert isinstance(made, PairSampler)
    return made


class Recording(SlowLane):
    """Remembers what it copied from."""

    def __init__(self, rate: float) -> None:
        super().__init__(rate)
        self.sources: list[int] = []
        self.made = 0

    def buffer(self, size: int, dtype: torch.dtype) -> Tensor:
        self.made += 1
        return super().buffer(size, dtype)

    def send(self, host: Tensor) -> Tensor:
        self.sources.append(host.untyped_storage().data_ptr())
        return super().send(host)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("name", PROPAGATIONS.names())
def test_delivered_batches_are_the_same(name: str, prefetch: int, sparse: bool) -> None:
    graph = toy_graph(sparse=sparse, attributes=True)
    plain, sent = (sampler(f"uniform+{name}", graph, prefetch) for _ in range(2))
    sent.deliver(SlowLane(FAST))
    for epoch in range(2):
        for there, here in zip(sent.epoch(epoch), plain.epoch(epoch), strict=True):
            assert torch.equal(dense_features(there.x), dense_features(here.x))
            assert not isinstance(there.x, GatheredRows)
            others = [dict(tensors_of(replace(batch, x=torch.empty(0)))) for batch in (there, here)]
            assert others[0].keys() == others[1].keys()
            assert all(torch.equal(others[0][path], others[1][path]) for path in others[0])


def test_a_buffer_waits_for_its_copy() -> None:
    """Without waiting, the third batch would be written over the first before that has left."""
    graph = toy_graph(num_nodes=400, in_dim=64)
    lane = Recording(2e6)  # a batch takes about 15 ms
    delivery = Delivery(lane)
    batches = list(sampler(graph=graph, prefetch=0).epoch(0))[:6]
    sent = [delivery.send(batch) for batch in batches]
    for there, here in zip(sent, batches, strict=True):
        assert torch.equal(dense_features(there.taken().x), dense_features(here.x))


def test_features_are_gathered_into_few_buffers_and_copied_from_there() -> None:
    graph = toy_graph(num_nodes=400, in_dim=64)
    lane = Recording(FAST)
    delivery = Delivery(lane)
    for batch in sampler(graph=graph, prefetch=0).epoch(0):
        delivery.send(batch).taken()
    used = [delivery._buffers[i].memory for i in range(2)]
    assert all(memory is not None and memory.untyped_storage().data_ptr() in lane.sources for memory in used)
    assert lane.made < 8 < 25 == len(list(sampler(graph=graph).epoch(0)))


def test_features_from_a_file(tmp_path: Path) -> None:
    graph = toy_graph(num_nodes=60, in_dim=8)
    assert isinstance(graph.x, Tensor)
    np.save(tmp_path / "x.npy", graph.x.numpy())
    mapped = torch.from_numpy(np.load(tmp_path / "x.npy", mmap_mode="c"))
    sent = sampler(graph=replace(graph, x=mapped))
    sent.deliver(SlowLane(FAST))
    for there, here in zip(sent.epoch(0), sampler(graph=graph).epoch(0), strict=True):
        assert torch.equal(dense_features(there.x), dense_features(here.x))


@pytest.mark.parametrize("prefetch", [0, 2])
def test_training_on_delivered_batches_is_the_same(prefetch: int) -> None:
    losses = []
    for lane in (None, SlowLane(FAST)):
        torch.manual_seed(0)
        method = BGRL(GCN(8, hidden_dim=8), predictor_dim=8)
        batches = sampler("mvs", toy_graph(num_nodes=60, in_dim=8), prefetch, gamma=0.5, checkpoint_every=3)
        if lane is not None:
            batches.deliver(lane)
        losses.append([r.loss for r in pretrain(method, batches, TrainConfig(epochs=3), seed=0).curve])
    assert losses[0] == losses[1]


def test_what_fits_lives_on_the_device() -> None:
    graph = toy_graph(num_nodes=200, in_dim=64, attributes=True)
    x, edges = feature_bytes(graph), 2 * graph_bytes(graph)
    ample, tight = 2 * (x + edges), 2 * (x + edges) - 2  # half of it is for the graph
    assert placed(graph, ample, "auto") == Placement(graph=True, features=True)
    assert placed(graph, ample, "host") == Placement(graph=True, features=False)
    some = placed(graph, tight, "auto")
    assert (some.graph, some.features) == (True, False)
    assert "features stay in host memory" in some.note
    assert placed(graph, tight, "device").features
    none = placed(graph, 2 * edges - 2, "auto")
    assert (none.graph, none.features) == (False, False)
    assert "batches are made on the CPU" in none.note


def test_a_copy_of_a_graph_has_the_degrees_of_the_first() -> None:
    graph = toy_graph(attributes=True)
    assert graph.to(torch.device("cpu")) is graph
    moved = graph.to(torch.device("meta"), features=False)
    assert moved.device.type == "meta"
    assert moved.x is graph.x
    assert "_degree" in moved.block.__dict__
