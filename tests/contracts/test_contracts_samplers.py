"""Every registered sampler keeps the contract that plug-in authors test theirs with."""

from typing import ClassVar

from gssl.common.options import options_of
from gssl.graph.storage import Graph
from gssl.registry import PROPAGATIONS, SAMPLERS, SELECTIONS
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch, GraphBatches
from gssl.samplers.pair import PairSampler
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


class PairContract(SamplerContract):
    """A pair with options that suit a toy graph.

    Attributes:
        pair: its name.
    """

    sampler = PairSampler
    pair: ClassVar[str]

    def build(self, graph: Graph, seed: int) -> Sampler:
        factory = SAMPLERS.get(self.pair)
        given: dict[str, float] = {"num_layers": 2, "batch_size": 6, "seed": seed}
        if "gamma" in options_of(factory):
            given["gamma"] = 0.5
        return factory(graph, **given)


NAMED = [name for name in SAMPLERS.names() if name not in ("full", "graphs")]
PAIRS = [f"uniform+{name}" for name in PROPAGATIONS.names()] + [f"{name}+exact" for name in SELECTIONS.names()]
for _name in [*NAMED, *PAIRS]:
    _kinds = ("node-sparse",) if "+" in _name else ("node",)
    _title = f"Test{_name.title().replace('+', '')}"
    globals()[_title] = type(_title, (PairContract,), {"pair": _name, "kinds": _kinds})


def test_every_registered_sampler_has_its_contract() -> None:
    covered = {"full", "graphs", *NAMED}
    assert covered == set(SAMPLERS.names())
