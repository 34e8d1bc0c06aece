from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch_geometric.nn import SimpleConv

from gssl.graph.block import Block
from gssl.graph.sparse import Pattern, SparseMatrix
from gssl.graph.storage import Graph
from gssl.models.ops import aggregate, gcn_aggregate, matmul, mean_aggregate, sddmm, spmm, sum_aggregate


def random_matrix(rows: int, cols: int, seed: int = 0) -> tuple[Pattern, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    dense = torch.randn(rows, cols, generator=rng, dtype=torch.float64)
    dense = dense * (torch.rand(rows, cols, generator=rng) < 0.4)
    sparse = SparseMatrix.from_dense(dense)
    return sparse.pattern, sparse.value, dense


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3)])
def test_spmm_equals_the_dense_product_and_its_gradients(shape: tuple[int, int]) -> None:
    pattern, value, dense = random_matrix(*shape)
    x = torch.randn(shape[1], 4, dtype=torch.float64, requires_grad=True)
    value.requires_grad_()
    torch.testing.assert_close(spmm(pattern, value, x), dense @ x)
    assert torch.autograd.gradcheck(lambda v, t: spmm(pattern, v, t), (value, x))


def test_spmm_without_values_sums_rows() -> None:
    pattern, _, dense = random_matrix(6, 4)
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(spmm(pattern, None, x), (dense != 0).double() @ x)
    assert torch.autograd.gradcheck(lambda t: spmm(pattern, None, t), (x,))


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_aggregate_is_the_scaled_product(loop: bool, weighted: bool) -> None:
    pattern, value, dense = random_matrix(3, 5)
    left, right = torch.rand(3, dtype=torch.float64), torch.rand(5, dtype=torch.float64)
    adjacency = (dense if weighted else (dense != 0).double()) + loop * torch.eye(3, 5, dtype=torch.float64)
    x = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    weight = value if weighted else None

    def product(t: Tensor) -> Tensor:
        return aggregate(pattern, weight, t, dst_scale=left, src_scale=right, loop=loop)

    torch.testing.assert_close(product(x), left.diag() @ adjacency @ right.diag() @ x)
    assert torch.autograd.gradcheck(product, (x,))


def test_aggregate_does_not_change_its_input() -> None:
    pattern, _, _ = random_matrix(4, 4)
    x = torch.randn(4, 3)
    before = x.clone()
    aggregate(pattern, None, x, loop=True)
    assert torch.equal(x, before)


def test_sddmm_in_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gssl.models.ops._EDGE_CHUNK", 15)
    pattern, _, dense = random_matrix(7, 6)
    left, right = torch.randn(7, 5, dtype=torch.float64), torch.randn(6, 5, dtype=torch.float64)
    expected = (left @ right.T)[dense != 0]
    torch.testing.assert_close(sddmm(pattern, left, right), expected)


def test_matmul_with_a_mask_token_reaches_the_token() -> None:
    dense = torch.tensor([[1.0, 0, 2], [0, 0, 0]], dtype=torch.float64)
    base = SparseMatrix.from_dense(dense)
    token = torch.randn(3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    rows = torch.tensor([False, True])

    def product(t: Tensor, w: Tensor) -> Tensor:
        return matmul(SparseMatrix(base.pattern, base.value, t, rows), w)

    torch.testing.assert_close(product(token, weight), torch.stack([dense[0], token.detach()]) @ weight)
    assert torch.autograd.gradcheck(product, (token, weight))


def directed_graph(weighted: bool) -> tuple[Graph, Tensor, Tensor | None]:
    rng = torch.Generator().manual_seed(1)
    dense = torch.rand(9, 9, generator=rng) < 0.3
    dense[4] = False  # a node that sends nothing
    dense[:, 5] = False  # a node that receives nothing
    edges = dense.fill_diagonal_(False).nonzero().T
    weight = torch.rand(edges.shape[1], generator=rng) if weighted else None
    return Graph.from_edge_index(edges, torch.randn(9, 4, generator=rng), edge_weight=weight), edges, weight


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("ours", "theirs"), [(sum_aggregate, "sum"), (mean_aggregate, "mean")])
def test_sum_and_mean_equal_pyg(ours: Callable[[Block, Tensor], Tensor], theirs: str, weighted: bool) -> None:
    graph, edges, weight = directed_graph(weighted)
    assert isinstance(graph.x, Tensor)
    got = ours(graph.block, graph.x)
    if theirs == "mean" and weight is not None:  # a weighted mean divides by the weights, PyG by the count
        total = torch.zeros(9).index_add(0, edges[1], weight)
        expected = SimpleConv("sum")(graph.x, edges, weight) / total.clamp(min=1e-12).unsqueeze(1)
    else:
        expected = SimpleConv(theirs)(graph.x, edges, weight)
    torch.testing.assert_close(got, expected)


def test_gcn_aggregate_of_a_regular_graph_averages() -> None:
    ring = torch.arange(6)
    edges = torch.cat([torch.stack([ring, (ring + 1) % 6]), torch.stack([(ring + 1) % 6, ring])], dim=1)
    x = torch.randn(6, 3)
    out = gcn_aggregate(Graph.from_edge_index(edges, x).block, x)
    torch.testing.assert_close(out, (x + x.roll(1, 0) + x.roll(-1, 0)) / 3)
