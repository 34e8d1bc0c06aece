"""Readouts against a loop over graphs, with torch_scatter where it is installed (``make scatter``) and without."""

import os
from typing import Literal

import pytest
import torch
import torch_geometric.typing
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.models.readout import readout
from gssl.testing.toy import toy_batch

Reduce = Literal["sum", "mean", "max"]
SIZES = (0, 3, 1, 0, 0, 5, 2, 0)  # empty graphs first, in a row and last


def batch_of(sizes: tuple[int, ...]) -> MiniBatch:
    ptr = torch.tensor([0, *sizes]).cumsum(0)
    nodes = int(ptr[-1])
    return MiniBatch(x=torch.zeros(nodes, 1), blocks=(), node_ids=torch.arange(nodes), num_targets=nodes, graph_ptr=ptr)


def by_loop(nodes: Tensor, sizes: tuple[int, ...], reduce: Reduce) -> Tensor:
    rows = []
    for part in nodes.split(list(sizes)):
        if not len(part):
            rows.append(nodes.new_zeros(nodes.shape[1]))
        else:
            rows.append({"sum": part.sum(0), "mean": part.mean(0), "max": part.max(0).values}[reduce])
    return torch.stack(rows)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("reduce", ["sum", "mean", "max"])
def test_readout_and_its_gradient(reduce: Reduce, dtype: torch.dtype) -> None:
    # Distinct values, negative ones too: a maximum over zeros that stand for nothing would show.
    values = -torch.randperm(11 * 4, generator=torch.Generator().manual_seed(0)).view(11, 4).to(dtype) - 1
    mine, theirs = values.clone().requires_grad_(), values.clone().requires_grad_()
    out, expected = readout(mine, batch_of(SIZES), reduce), by_loop(theirs, SIZES, reduce)
    torch.testing.assert_close(out, expected)
    pull = torch.linspace(-1, 1, out.numel()).view_as(out).to(dtype)
    (out * pull).sum().backward()
    (expected * pull).sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad)


def test_nodes_of_one_graph_have_no_readout() -> None:
    batch = toy_batch("node")
    assert isinstance(batch.x, Tensor)
    with pytest.raises(InputError, match="batch of graphs"):
        readout(batch.x, batch, "sum")


def test_torch_scatter_does_the_work_where_it_is_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = bool(os.environ.get("GSSL_EXPECT_SCATTER"))
    if expected:
        assert torch_geometric.typing.WITH_TORCH_SCATTER, "torch_scatter was built but PyG does not find it"
    calls = []
    if torch_geometric.typing.WITH_TORCH_SCATTER:
        original = torch_geometric.typing.torch_scatter.segment_csr

        def counted(*args: object, **kwargs: object) -> Tensor:
            calls.append(1)
            out: Tensor = original(*args, **kwargs)
            return out

        monkeypatch.setattr(torch_geometric.typing.torch_scatter, "segment_csr", counted)
    readout(torch.ones(11, 2), batch_of(SIZES), "sum")
    assert bool(calls) == torch_geometric.typing.WITH_TORCH_SCATTER
