"""Triton kernels, run as Python, against the numba kernels: the same bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor

from gssl.common.options import options_of
from gssl.datasets.generators import rmat
from gssl.graph.gpu import support, trial
from gssl.graph.sparse import Pattern
from gssl.graph.storage import Graph
from gssl.registry import PROPAGATIONS
from gssl.samplers.propagation.base import Backend, Propagation
from gssl.samplers.propagation.expansion import Engine
from gssl.samplers.propagation.growing import Expansion, Hop
from gssl.samplers.propagation.labor import Labor
from gssl.testing.propagations import assert_same_batch, directed, draw
from gssl.testing.toy import toy_graph

needs_triton = pytest.mark.skipif(
    find_spec("triton") is None or not support.INTERPRETED,
    reason="Triton is not installed (pip install 'gssl[gpu]'), or its kernels are not interpreted (TRITON_INTERPRET=1)",
)
CPU = torch.device("cpu")
PATTERN = rmat(nodes=2000, degree=12.0, features=1).graph.block.pattern
OPTIONS: dict[str, dict[str, Any]] = {
    "neighbor": {"fanouts": (3, 2), "weights": "ht"},
    "labor": {"fanouts": 2},
    "fastgcn": {"nodes_per_layer": 8},
    "ladies": {"nodes_per_layer": 8},
    "saint": {"roots": 5, "subgraphs": 3},
}


def told(hop: Hop) -> list[Tensor]:
    return [hop.pattern.rowptr, hop.pattern.col, hop.position, hop.degree, torch.tensor(hop.pattern.num_cols)]


def grown(backend: Backend, pattern: Pattern, ids: Tensor, *steps: Callable[[Expansion], Hop]) -> list[Tensor]:
    """All that an expansion says after some hops, and numbers of nodes that are there, twice or new."""
    engine = Engine(pattern, backend)
    assert engine.kind == backend, engine.notes
    batch = engine.start(ids)
    found = [values for step in steps for values in told(step(batch))]
    nodes = batch.nodes.clone()
    news = torch.tensor([1999, 1999, 3, 1999, 7])
    return [*found, nodes, batch.number(nodes[:9].flip(0)), batch.number(news), batch.nodes.clone()]


def made(name: str, graph: Graph, backend: Backend) -> Propagation:
    factory: Callable[..., Propagation] = PROPAGATIONS.get(name)
    return factory(graph, num_layers=2, backend=backend, **OPTIONS.get(name, {}))


STEPS: dict[str, tuple[Callable[[Expansion], Hop], ...]] = {
    "uniform": (lambda b: b.uniform(5, (1 << 62) + 5), lambda b: b.uniform(3, 99), lambda b: b.uniform(2, 2**63 - 5)),
    "large fan-out": (lambda b: b.uniform(70, 11), lambda b: b.uniform(1, 7, skip=20)),
    "whole": (lambda b: b.uniform(-1, 0), lambda b: b.uniform(-1, 0, skip=20)),
    "shared": (lambda b: b.shared(4, 2**63 - 5), lambda b: b.shared(2, 12), lambda b: b.shared(3, 12, skip=20)),
    "inner": (lambda b: b.uniform(-1, 0), lambda b: b.inner()),
    "no rows": (lambda b: b.uniform(3, 1, skip=20), lambda b: b.shared(3, 1, skip=20), lambda b: b.uniform(-1, 0, 20)),
}


@needs_triton
@pytest.mark.parametrize("index", [torch.int32, torch.int64])
@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS.keys())
def test_kernels_grow_the_same_batch(steps: tuple[Callable[[Expansion], Hop], ...], index: torch.dtype) -> None:
    pattern = Pattern(PATTERN.rowptr.to(index), PATTERN.col.to(index), PATTERN.num_cols)
    ids = torch.randperm(1990, generator=torch.Generator().manual_seed(1))[:20]
    expected, found = (grown(backend, pattern, ids, *steps) for backend in ("numba", "triton"))
    for number, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        assert ours.dtype == theirs.dtype, number
        assert torch.equal(ours, theirs), number


@needs_triton
def test_more_drawn_edges_than_there_was_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from gssl.samplers.gpu import expansion

    monkeypatch.setattr(expansion, "_SLACK", 0.3)
    monkeypatch.setattr(expansion, "_SPARE", 1)
    steps = STEPS["shared"]
    expected, found = (grown(backend, PATTERN, torch.arange(20), *steps) for backend in ("numba", "triton"))
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


@needs_triton
@pytest.mark.parametrize("name", PROPAGATIONS.names())
def test_every_propagation_makes_the_same_batches(name: str) -> None:
    graph = directed(weighted=True, double=False)
    theirs, ours = (made(name, graph, backend) for backend in ("numba", "triton"))
    for targets in (draw(0, 3, 8), draw(7)):
        assert_same_batch(theirs.batch(targets), ours.batch(targets))


@needs_triton
def test_a_graph_without_edges() -> None:
    graph = toy_graph()
    empty = Pattern(
        torch.zeros(graph.num_nodes + 1, dtype=torch.int32), torch.zeros(0, dtype=torch.int32), graph.num_nodes
    )
    steps: tuple[Callable[[Expansion], Hop], ...] = (
        lambda batch: batch.uniform(3, 1),
        lambda batch: batch.uniform(-1, 1),
        lambda batch: batch.shared(3, 1),
        lambda batch: batch.inner(),
    )
    for step in steps:
        hop = step(Engine(empty, "triton").start(torch.tensor([4, 2])))
        assert hop.pattern.rowptr.tolist() == [0, 0, 0]
        assert hop.pattern.num_cols == 2


@pytest.mark.parametrize("name", PROPAGATIONS.names())
def test_torch_operators_make_the_same_batches(name: str) -> None:
    """They are what every propagation has on a device without Triton."""
    graph = toy_graph(num_nodes=40, in_dim=4, attributes=True)
    theirs, ours = (made(name, graph, backend) for backend in ("numba", "torch"))
    assert ours.can_move
    assert not theirs.can_move
    for step in range(3):
        targets = draw(30, 2, 17, 5, step=step)
        assert_same_batch(theirs.batch(targets), ours.batch(targets))


def test_without_triton_others_work_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "find_spec", lambda name: None)
    sampler: Propagation = Labor(toy_graph(), num_layers=1, backend="triton")
    assert sampler.batch(draw(1, 2)).num_targets == 2
    (note,) = sampler.notes
    assert "by numba kernels, which give the same ones" in note
    assert "gssl[gpu]" in note


@pytest.fixture
def untried() -> Iterator[None]:
    """Trials are made anew, and what they find is forgotten."""
    trial._trial.cache_clear()
    yield
    trial._trial.cache_clear()


@needs_triton
@pytest.mark.usefixtures("untried")
def test_a_compiler_that_fails_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(values: Tensor) -> Tensor:
        raise RuntimeError("\n  ptxas exited with 255\nand much more")

    monkeypatch.setattr(trial, "counted", fail)
    engine = Engine(PATTERN, "triton")
    assert engine.kind == "numba"
    assert "Triton fails here (RuntimeError: ptxas exited with 255)" in engine.notes[0]
    monkeypatch.setattr(trial, "counted", lambda values: values)
    trial._trial.cache_clear()
    assert "wrong numbers" in Engine(PATTERN, "triton").notes[0]


@needs_triton
def test_every_kernel_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that no trial runs would end a training where it does not compile."""
    from gssl.graph.gpu import aggregate
    from gssl.samplers.gpu import expansion, kernels
    from gssl.samplers.gpu.trial import checked

    tried: set[str] = set()

    def launch(kernel: Any, grid: tuple[int, ...], *arguments: object) -> None:
        tried.add(kernel.__name__)
        support.launch(kernel, grid, *arguments)

    for module in (trial, aggregate, expansion):
        monkeypatch.setattr(module, "launch", launch)
    assert [trial._trial.__wrapped__(CPU, check) for check in (aggregate.checked, checked)] == [None, None]
    helpers = {"_hash64", "_uniform"}
    parts = {name for name, part in vars(kernels).items() if type(part) is type(kernels.claim)} - helpers
    assert len(parts) == 8
    assert tried == parts | {"_sum_rows", "_count"}


@needs_triton
@pytest.mark.usefixtures("untried")
def test_one_kernel_that_does_not_compile_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    from gssl.samplers.gpu import expansion

    def launch(found: Any, grid: tuple[int, ...], *arguments: object) -> None:
        if found.__name__ == "pick_edges":
            raise RuntimeError("out of resource: shared memory")
        support.launch(found, grid, *arguments)

    monkeypatch.setattr(expansion, "launch", launch)
    engine = Engine(PATTERN, "triton")
    assert engine.kind == "numba"
    assert "Triton fails here (RuntimeError: out of resource: shared memory)" in engine.notes[0]


@needs_triton
def test_kernels_with_wrong_numbers_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from gssl.graph.gpu import aggregate
    from gssl.samplers.gpu import expansion
    from gssl.samplers.gpu.trial import checked

    def launch(found: Any, grid: tuple[int, ...], *arguments: Any) -> None:
        support.launch(found, grid, *arguments)
        if found.__name__ == "pick_edges":
            arguments[5].add_(1)  # which edges were picked; the sources are right
        if found.__name__ == "_sum_rows":
            arguments[8][0, 0] += 1

    for module, check in ((aggregate, aggregate.checked), (expansion, checked)):
        monkeypatch.setattr(module, "launch", launch)
        assert str(trial._trial.__wrapped__(CPU, check)).endswith("give wrong numbers")


def test_backend_is_an_option_of_every_propagation() -> None:
    assert all("backend" in options_of(PROPAGATIONS.get(name)) for name in PROPAGATIONS.names())
