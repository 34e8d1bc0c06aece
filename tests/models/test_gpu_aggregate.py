"""The Triton kernel of neighborhood sums, run as Python, against the operators of the CPU, forward and backward."""

from importlib.util import find_spec
from typing import Any

import pytest
import torch

from gssl.graph.block import Block
from gssl.graph.gathered import GatheredRows
from gssl.graph.gpu import aggregate, support
from gssl.graph.sparse import Pattern
from gssl.models import ops
from gssl.testing.propagations import Kind, directed

pytestmark = pytest.mark.skipif(
    find_spec("triton") is None or not support.INTERPRETED,
    reason="Triton is not installed (pip install 'gssl[gpu]'), or its kernels are not interpreted (TRITON_INTERPRET=1)",
)
GRAPH = directed(weighted=True, double=False)


def bipartite(weighted: bool) -> Block:
    """The messages into the first three nodes, one of which has no in-edge of its own, normalised as in the graph."""
    whole = GRAPH.block if weighted else Block(GRAPH.block.pattern)
    head = whole.head(3)
    return Block(head.pattern, head.weight, None, whole.degree)


def fuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "is_fused", lambda x: True)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["gcn", "mean", "sum"])
def test_forward_and_backward(kind: Kind, weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    block, results = bipartite(weighted), []
    features = torch.randn(9, 150, generator=torch.Generator().manual_seed(1))  # two programs a row
    back = torch.randn(3, 150, generator=torch.Generator().manual_seed(2))
    for fused in (False, True):
        if fused:
            fuse(monkeypatch)
        x = features.clone().requires_grad_()
        out = ops.linear_aggregate(kind, block, x)
        out.backward(back)
        results.append((out.detach(), x.grad))
    for ours, theirs in zip(results[1], results[0], strict=True):
        assert ours is not None
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_rows_are_read_where_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    block, table = bipartite(True), torch.randn(40, 5)
    index = torch.randperm(40)[:9]
    rows = GatheredRows(table, index, keep=torch.tensor([True, False, True, True, True]))
    own = rows.head(3).to_dense()
    expected = ops.gathered_product("gcn", block, own, rows)
    fuse(monkeypatch)
    monkeypatch.setattr(ops, "_product", None)
    torch.testing.assert_close(ops.gathered_product("gcn", block, own, rows), expected)


def test_types_and_empty_sums() -> None:
    pattern = Pattern(torch.tensor([0, 2, 2]), torch.tensor([1, 0]), 2)
    x = torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        found = aggregate.aggregated(pattern, x.to(dtype), weight=torch.tensor([0.5, 2.0]))
        assert found.dtype == dtype
        assert found.tolist() == [[7.0, 14.0, 21.0], [0.0, 0.0, 0.0]]
    looped = aggregate.aggregated(pattern, x, place=torch.tensor([1, 0]), loops=1)
    assert looped[0].tolist() == [21.0, 42.0, 63.0]
    assert aggregate.aggregated(pattern, x[:, :0]).shape == (2, 0)


def test_only_cuda_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[Any] = []
    monkeypatch.setattr(ops, "aggregated", called.append)
    ops.linear_aggregate("gcn", GRAPH.block, torch.ones(9, 3))
    assert not called
