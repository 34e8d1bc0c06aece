"""Every registered sampler keeps the contract that plug-in authors test theirs with."""

from gssl.registry import SAMPLERS
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch, GraphBatches
from gssl.samplers.graph import Graph
from gssl.testing.samplers import SamplerContract


class TestFullBatch(SamplerContract):
    sampler = FullBatch
    kinds = ("node", "node-sparse", "graph")
    random = False
    covers = True

    def build(self, graph: Graph, seed: int) -> Sampler:
        return FullBatch(graph)


class TestGraphBatches(SamplerContract):
    sampler = GraphBatches
    kinds = ("graph",)
    covers = True

    def build(self, graph: Graph, seed: int) -> Sampler:
        return GraphBatches(graph, batch_size=5, seed=seed)


class TestGraphBatchesInOrder(TestGraphBatches):
    random = False

    def build(self, graph: Graph, seed: int) -> Sampler:
        return GraphBatches(graph, batch_size=5, seed=seed, shuffle=False)


def test_every_registered_sampler_has_its_contract() -> None:
    covered = {
        value.sampler
        for value in list(globals().values())
        if isinstance(value, type) and issubclass(value, SamplerContract) and value is not SamplerContract
    }
    assert covered == {SAMPLERS.get(name) for name in SAMPLERS.names()}
