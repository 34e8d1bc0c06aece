import pytest
import torch
from torch import Tensor

from gssl.graph.block import Block
from gssl.graph.sparse import Pattern
from gssl.models import ops
from gssl.models.gcn import GCNLayer
from gssl.models.ops import aggregates_first

NODES = 7


def graph() -> tuple[Block, Tensor]:
    """A directed weighted graph, and its normalised adjacency (D^-1/2 (A + I) D^-1/2) as a dense matrix."""
    rng = torch.Generator().manual_seed(0)
    dense = torch.rand(NODES, NODES, generator=rng, dtype=torch.float64)
    dense = dense.where(dense > 0.5, 0).fill_diagonal_(0)
    row, col = dense.nonzero(as_tuple=True)
    pattern, order = Pattern.from_coo(row, col, NODES, NODES)
    scale = (1 + dense.sum(1)).rsqrt()
    return Block(pattern, dense[row, col][order]), scale[:, None] * (dense + torch.eye(NODES)) * scale


@pytest.mark.parametrize("dims", [(3, 5), (5, 3), (4, 4), (3, 6), (6, 3)])
@pytest.mark.parametrize("features_learn", [True, False])
def test_either_order_of_products_gives_the_equation_and_its_gradient(
    dims: tuple[int, int], features_learn: bool
) -> None:
    block, adjacency = graph()
    layer = GCNLayer(*dims).double()
    x = torch.randn(NODES, dims[0], dtype=torch.float64, requires_grad=features_learn)
    inputs = [layer.weight, layer.bias, *([x] if features_learn else [])]
    out, expected = layer(block, x), adjacency @ x @ layer.weight + layer.bias
    torch.testing.assert_close(out, expected)
    outer = torch.randn_like(out)
    torch.testing.assert_close(torch.autograd.grad(out, inputs, outer), torch.autograd.grad(expected, inputs, outer))
    with torch.no_grad():
        torch.testing.assert_close(layer(block, x), expected.detach())


@pytest.mark.parametrize(
    ("dims", "features_learn", "widths"),
    [
        ((4, 4), False, [4]),  # aggregated once, before the product; the backward pass needs no other
        ((4, 4), True, [4, 4]),
        ((3, 5), True, [3, 3]),
        ((5, 3), True, [3, 3]),
        ((5, 3), False, [5]),
        ((9, 3), False, [3, 3]),
    ],
)
def test_the_order_is_the_one_with_the_narrowest_sparse_products(
    dims: tuple[int, int], features_learn: bool, widths: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    product = ops._product

    def watched(pattern: Pattern, value: Tensor | None, x: Tensor) -> Tensor:
        seen.append(x.shape[1])
        return product(pattern, value, x)

    monkeypatch.setattr(ops, "_product", watched)
    block, _ = graph()
    layer = GCNLayer(*dims).double()
    x = torch.randn(NODES, dims[0], dtype=torch.float64, requires_grad=features_learn)
    layer(block, x).sum().backward()
    assert seen == widths


def test_a_block_with_few_destinations_aggregates_before_it_multiplies() -> None:
    sources = 300
    pattern, _ = Pattern.from_coo(torch.arange(sources) % 3, torch.arange(sources), 3, sources)
    block = Block(pattern, full_degree=torch.ones(sources))
    x = torch.randn(sources, 16, requires_grad=True)
    assert aggregates_first(block, x, 8)  # one product of 3 rows instead of one of 300
    whole, _ = graph()
    assert not aggregates_first(whole, torch.randn(NODES, 16, requires_grad=True), 8)
