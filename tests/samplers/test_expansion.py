"""The engine: how the nodes of a batch get their numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gssl.datasets.generators import rmat
from gssl.samplers.kernels import expand
from gssl.samplers.propagation import expansion
from gssl.samplers.propagation.expansion import Engine
from gssl.samplers.propagation.neighbor import Neighbor
from gssl.testing.propagations import draw, numbers
from gssl.testing.toy import toy_graph


def hops(engine: Engine, ids: Tensor, slots: int | None = None) -> list[Tensor]:
    """Everything that batches of several kinds say, with a table of so many slots to begin with."""
    if slots is not None:
        space = engine._space()
        space.slots, space.shift = expansion._new_slots(slots, engine.pattern.num_rows)
    found = []
    for number, make in enumerate(
        (
            lambda batch: [batch.uniform(3, 5), batch.uniform(2, 6)],
            lambda batch: [batch.shared(4, 7), batch.inner()],
            lambda batch: [batch.uniform(-1, 0)],
        )
    ):
        batch = engine.start(ids + number)
        for hop in make(batch):  # type: ignore[no-untyped-call]  # a list of functions
            found += [hop.pattern.rowptr.long(), hop.pattern.col.long(), hop.position.long()]
        found.append(batch.number(batch.nodes[:20].flip(0)).long())
        found.append(batch.nodes.clone())
    return found


@pytest.mark.parametrize("slots", [4, 512, 30_000])
def test_a_hash_table_numbers_nodes_as_a_slot_for_each_does(slots: int) -> None:
    """From a table that must grow within a hop, over one that is nearly full, to one slot for each node."""
    pattern = rmat(nodes=30_000, degree=6, features=1).graph.block.pattern
    ids = torch.randperm(29_000, generator=torch.Generator().manual_seed(1))[:200]
    engine = Engine(pattern, "numba")
    expected = hops(Engine(pattern, "torch"), ids)
    for _ in range(2):  # the second time among what the first left behind
        found = hops(engine, ids, slots)
        assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


def test_what_a_small_batch_needs_does_not_grow_with_the_graph() -> None:
    sizes = []
    for nodes in (30_000, 240_000):
        block = rmat(nodes=nodes, degree=4, features=1).graph.block
        engine = Engine(block.pattern, "numba")
        engine.start(torch.arange(100)).uniform(5, 0)
        sizes.append(len(engine._space().slots) + len(engine._space().nodes))
    assert sizes[0] == sizes[1] < 30_000


def test_slots_start_anew_before_they_overflow() -> None:
    graph = toy_graph()
    sampler = Neighbor(graph, num_layers=2, fanouts=2)
    expected = numbers(sampler, draw(0, 1))
    sampler.engine._local.workspace.base = 2**31 - 60
    assert numbers(sampler, draw(0, 1), draw(0, 1)) == expected * 2
    assert sampler.engine._local.workspace.base < 100


def test_an_expansion_that_was_left_cannot_go_on() -> None:
    engine = Engine(toy_graph().block.pattern)
    first = engine.start(torch.tensor([0]))
    engine.start(torch.tensor([1]))
    with pytest.raises(RuntimeError, match="another batch"):
        first.uniform(1, 0)


def test_an_interrupted_hop_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel has written numbers, and nobody knows how many."""
    pattern = rmat(nodes=30_000, degree=6, features=1).graph.block.pattern
    engine, ids = Engine(pattern, "numba"), torch.arange(0, 900, 3)
    expected = hops(engine, ids)

    def interrupted(*args: Any) -> int:
        hop(*args)
        raise KeyboardInterrupt

    hop = expand.whole_hop
    with monkeypatch.context() as patched:
        patched.setattr(expand, "whole_hop", interrupted)
        with pytest.raises(KeyboardInterrupt):
            engine.start(ids).uniform(-1, 0)
    assert all(torch.equal(*pair) for pair in zip(hops(engine, ids), expected, strict=True))
