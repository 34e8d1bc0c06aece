"""Edge weights with a gradient, against finite differences, PyG, repeated edges and constant weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
import torch_geometric.nn as pyg
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch_geometric.utils import scatter

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.cut import restrict_rows
from gssl.graph.sparse import Pattern, SparseMatrix, dense_features
from gssl.graph.storage import Graph
from gssl.models import ops
from gssl.models.adapter import adapt
from gssl.models.encoder import Encoder
from gssl.models.gat import GAT
from gssl.models.gcn import GCN, GCNLayer
from gssl.models.gin import GIN, GINLayer, edge_sum
from gssl.models.mlp import MLPEncoder
from gssl.models.ops import Aggregation, aggregate, linear_aggregate, spmm
from gssl.models.resgcn import ResGCN
from gssl.models.sage import SAGE, SAGELayer
from gssl.models.stack import StackedEncoder
from gssl.testing.toy import gathered

KINDS = get_args(Aggregation)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def weighted_graph(n: int = 9, dim: int = 4, edges: int = 24, edge_dim: int = 0) -> Graph:
    """Directed, in float64, with a repeated edge, a self-loop, and a last node that hears from nobody."""
    edge_index = torch.randint(n, (2, edges))
    edge_index[1] %= n - 1
    edge_index[:, 0], edge_index[:, 1] = edge_index[:, 2], torch.tensor([3, 3])
    weight = torch.rand(edges, dtype=torch.float64) + 0.5
    edge_attr = torch.randn(edges, edge_dim) if edge_dim else None
    x = torch.randn(n, dim, dtype=torch.float64)
    return Graph.from_edge_index(edge_index, x, edge_weight=weight, edge_attr=edge_attr)


def dense_x(graph: Graph) -> Tensor:
    assert isinstance(graph.x, Tensor)
    return graph.x


def weight_of(graph: Graph) -> Tensor:
    assert graph.block.weight is not None
    return graph.block.weight.clone().requires_grad_()


def weighted(batch: MiniBatch, weight: Tensor | None) -> MiniBatch:
    return batch.map_blocks(lambda block: replace(block, weight=weight))


def gradients(out: Tensor, *inputs: Tensor) -> list[Tensor]:
    """Of a sum with different signs, so that no entry is like another."""
    return list(torch.autograd.grad((out * torch.linspace(-1, 2, out.numel()).view_as(out)).sum(), inputs))


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("learned", ["weight", "dst_scale", "src_scale", "x", "everything"])
@pytest.mark.parametrize("shape", [(4, 4), (3, 6)])
def test_every_input_of_aggregate_has_its_gradient(loop: bool, learned: str, shape: tuple[int, int]) -> None:
    rows, cols = shape
    pattern, _ = Pattern.from_coo(torch.randint(rows - 1, (8,)), torch.randint(cols, (8,)), rows, cols)
    values = {
        "weight": torch.randn(8, dtype=torch.float64),
        "dst_scale": torch.rand(rows, dtype=torch.float64),
        "src_scale": torch.rand(cols, dtype=torch.float64),
        "x": torch.randn(cols, 3, dtype=torch.float64),
    }
    for name, value in values.items():
        value.requires_grad_(learned in (name, "everything"))

    def product(weight: Tensor, dst_scale: Tensor, src_scale: Tensor, x: Tensor) -> Tensor:
        return aggregate(pattern, weight, x, dst_scale=dst_scale, src_scale=src_scale, loop=loop)

    assert torch.autograd.gradcheck(product, tuple(values.values()))
    dense = torch.zeros(shape, dtype=torch.float64)
    dense.index_put_((pattern.row.long(), pattern.col.long()), values["weight"].detach(), accumulate=True)
    dense += loop * torch.eye(*shape, dtype=torch.float64)
    expected = values["dst_scale"].diag() @ dense @ values["src_scale"].diag() @ values["x"]
    torch.testing.assert_close(product(**values), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cut", [False, True])
def test_normalisers_take_part_in_the_gradient(kind: Aggregation, cut: bool) -> None:
    """A block that was cut from a graph divides by degrees of that graph, which are constants."""
    graph = weighted_graph()
    block, sources = (graph.block, torch.arange(9)) if not cut else restrict_rows(graph.block, torch.tensor([1, 8, 3]))
    assert block.weight is not None
    weight, x = block.weight.clone().requires_grad_(), dense_x(graph)[sources].requires_grad_()

    def aggregated(weight: Tensor, x: Tensor) -> Tensor:
        return linear_aggregate(kind, replace(block, weight=weight), x)

    assert torch.autograd.gradcheck(aggregated, (weight, x))
    torch.testing.assert_close(aggregated(weight, x), linear_aggregate(kind, block, x), rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_constant_weights_take_the_same_path_to_the_bit(kind: Aggregation) -> None:
    graph = weighted_graph(n=50, dim=7, edges=300)
    x = dense_x(graph).float().requires_grad_()
    constant = replace(graph.block, weight=weight_of(graph).detach().float())
    learned = replace(constant, weight=constant.weight.clone().requires_grad_())  # type: ignore[union-attr]
    here, there = linear_aggregate(kind, constant, x), linear_aggregate(kind, learned, x)
    assert torch.equal(here, there)
    torch.testing.assert_close(gradients(here, x), gradients(there, x))
    assert type(here.grad_fn).__name__ == "_AggregateBackward"


def test_weights_of_zero_have_finite_gradients() -> None:
    graph = weighted_graph()
    weight = torch.zeros(24, dtype=torch.float64, requires_grad=True)
    for kind in KINDS:
        (gradient,) = gradients(linear_aggregate(kind, replace(graph.block, weight=weight), dense_x(graph)), weight)
        assert bool(gradient.isfinite().all())


def test_edge_attributes_are_weighted_by_the_learned_weights() -> None:
    graph = weighted_graph(edge_dim=2)
    assert graph.block.edge_attr is not None
    attributes = graph.block.edge_attr.double()

    def summed(weight: Tensor) -> Tensor:
        return attributes.new_zeros(9, 2).index_add(0, graph.block.pattern.row, weight[:, None] * attributes)

    weight = weight_of(graph)
    ours = edge_sum(replace(graph.block, weight=weight), 2).double()
    torch.testing.assert_close(ours, summed(weight), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradients(ours, weight), gradients(summed(weight), weight), rtol=1e-6, atol=1e-6)


class WeightedGIN(pyg.MessagePassing):  # type: ignore[misc]  # PyG has no types
    """``MLP((1 + eps) x_i + sum of w_ij x_j)`` with a message for every edge."""

    def __init__(self, layer: GINLayer) -> None:
        super().__init__(aggr="sum")
        self.layer = layer

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        total = self.propagate(edge_index, x=x, edge_weight=edge_weight) + (1 + self.layer.eps) * x
        out: Tensor = self.layer.rest(total @ self.layer.weight + self.layer.bias)
        return out

    def message(self, x_j: Tensor, edge_weight: Tensor) -> Tensor:
        out: Tensor = edge_weight[:, None] * x_j
        return out


def pyg_gcn(layer: GCNLayer, x: Tensor, edge_index: Tensor, weight: Tensor) -> Tensor:
    conv = pyg.GCNConv(*layer.weight.shape, add_self_loops=False).double()
    conv.lin.weight.data = layer.weight.data.T
    loop = torch.arange(len(x)).expand(2, -1)  # beside the self-loops of the graph, with which PyG would merge them
    weight = torch.cat([weight, weight.new_ones(len(x))])
    out: Tensor = conv(x, torch.cat([edge_index, loop], dim=1), weight)
    return out


def pyg_sage(layer: SAGELayer, x: Tensor, edge_index: Tensor, weight: Tensor) -> Tensor:
    total = pyg.SimpleConv("sum")(x, edge_index, weight)
    degree = scatter(weight, edge_index[1], dim_size=len(x)).clamp(min=1e-12)
    out: Tensor = x @ layer.self_weight + (total / degree[:, None]) @ layer.neighbor_weight + layer.bias
    return out


def pyg_gin(layer: GINLayer, x: Tensor, edge_index: Tensor, weight: Tensor) -> Tensor:
    out: Tensor = WeightedGIN(layer)(x, edge_index, weight)
    return out


@pytest.mark.parametrize("out_dim", [3, 30])  # the product with the weights first, and the sum first
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    ("make", "reference"), [(GCNLayer, pyg_gcn), (SAGELayer, pyg_sage), (GINLayer, pyg_gin)], ids=["GCN", "SAGE", "GIN"]
)
def test_layers_have_the_gradients_of_pyg(
    make: Callable[[int, int], nn.Module], reference: Callable[..., Tensor], sparse: bool, out_dim: int
) -> None:
    graph = weighted_graph(n=20, dim=8, edges=70)
    layer = make(8, out_dim).double()
    x, weight = dense_x(graph).clone().requires_grad_(), weight_of(graph)
    features = SparseMatrix.from_dense(x) if sparse else x
    ours = layer(replace(graph.block, weight=weight), features)
    theirs = reference(layer, x, graph.block.edge_index, weight)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(gradients(ours, weight, x), gradients(theirs, weight, x))


BUILDERS: dict[str, Callable[[], Encoder]] = {
    "GCN": lambda: GCN(4, hidden_dim=3, activation="tanh"),
    "GCN-wide": lambda: GCN(4, hidden_dim=12, num_layers=3, activation="tanh", jk="cat", norm="batch"),
    "SAGE": lambda: SAGE(4, hidden_dim=3, activation="tanh"),
    "GIN": lambda: GIN(4, hidden_dim=3, num_layers=2, activation="tanh", eps=0.3, learn_eps=True),
    "GAT": lambda: GAT(4, heads=2, hidden_dim=4, activation="tanh"),
    "ResGCN": lambda: ResGCN(4, hidden_dim=3, num_layers=2),
    "PyG": lambda: adapt(pyg.GCN)(4, hidden_dim=3, num_layers=2),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_encoders_have_the_gradient_of_their_weights(name: str) -> None:
    graph = weighted_graph()
    encoder = BUILDERS[name]().double()
    assert torch.autograd.gradcheck(lambda w: encoder(weighted(graph.full_batch(), w)), (weight_of(graph),))


@pytest.mark.parametrize(
    "name", sorted(BUILDERS.keys() - {"PyG"})
)  # GCNConv merges self-loops, so that weights do not add up
def test_a_weight_of_two_counts_as_two_edges(name: str) -> None:
    graph = weighted_graph()
    encoder = BUILDERS[name]().double().eval()
    counts = torch.randint(1, 4, (24,))
    repeated = Graph.from_edge_index(graph.block.edge_index.repeat_interleave(counts, dim=1), graph.x)
    expected = encoder(repeated.full_batch())
    torch.testing.assert_close(encoder(weighted(graph.full_batch(), counts.double())), expected)


def gets_a_gradient(encoder: Encoder) -> bool:
    graph = weighted_graph()
    weight = weight_of(graph).detach().float().requires_grad_()
    batch = weighted(graph.full_batch().with_x(dense_x(graph).float()), weight)
    (found,) = torch.autograd.grad(encoder(batch).square().sum(), weight, allow_unused=True)
    return found is not None and bool(found.any())


PYG: list[tuple[Any, int]] = [
    *((model, 2) for model in (pyg.GCN, pyg.GraphSAGE, pyg.GIN, pyg.GAT, pyg.EdgeCNN)),
    *((layer, 1) for layer in (pyg.GCNConv, pyg.SAGEConv, pyg.GraphConv, pyg.GATConv, pyg.SGConv)),
]


@pytest.mark.parametrize(("module", "num_layers"), PYG, ids=lambda value: getattr(value, "__name__", value))
def test_the_adapter_says_whether_a_module_takes_edge_weights(module: Any, num_layers: int) -> None:
    """Models of PyG accept the argument and drop it where their layers cannot use it."""
    encoder = adapt(module)(4, hidden_dim=8, num_layers=num_layers)
    assert encoder.takes_edge_weight == gets_a_gradient(encoder)


def test_encoders_that_ignore_weights_are_refused() -> None:
    GCN(4).require_edge_weight()
    with pytest.raises(InputError, match="MLPEncoder takes no edge weights"):
        MLPEncoder(4).require_edge_weight()
    with pytest.raises(InputError, match="GraphSAGE takes no edge weights"):
        adapt(pyg.GraphSAGE)(4).require_edge_weight()


class Largest(TorchDispatchMode):
    """Watches how many numbers the largest tensor has."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # of torch
        self.numel = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        made = out if isinstance(out, tuple | list) else (out,)
        self.numel = max([self.numel, *(t.numel() for t in made if isinstance(t, Tensor))])
        return out


@pytest.mark.parametrize("make", [GCN, SAGE, GIN, GAT])
def test_nothing_of_the_size_of_edges_times_dimension_is_made(
    make: type[StackedEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes, edges, dim = 30, 4000, 16
    monkeypatch.setattr(ops, "_EDGE_CHUNK", 1000)
    graph = weighted_graph(nodes, dim, edges)
    encoder = make(dim, hidden_dim=dim).double()
    batch = weighted(graph.full_batch(), weight_of(graph))
    with Largest() as largest:
        encoder(batch).sum().backward()
    heads = encoder.heads if isinstance(encoder, GAT) else 1
    assert largest.numel <= heads * edges + nodes
    with Largest() as largest:  # what the watch would see
        pyg.GCNConv(dim, dim).double()(dense_x(graph), graph.block.edge_index, weight_of(graph)).sum().backward()
    assert largest.numel > 0.9 * dim * edges


@pytest.mark.parametrize("make", [GCN, SAGE, GIN, GAT])
@pytest.mark.parametrize("hidden_dim", [4, 16])
def test_gathered_rows_give_the_same_gradient(make: type[StackedEncoder], hidden_dim: int) -> None:
    graph = weighted_graph()
    x = dense_x(graph).float()
    encoder = make(4, hidden_dim=hidden_dim).eval()
    found = []
    for features in (x, gathered(x)):
        weight = weight_of(graph)
        batch = weighted(graph.full_batch().with_x(features), weight)
        assert torch.equal(dense_features(batch.x), x)
        found += gradients(encoder(batch), weight)
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-5)


def test_a_view_may_be_seen_without_gradients_first_and_twice() -> None:
    """As by a target network, and by two heads with losses of their own."""
    graph = weighted_graph()
    weight = weight_of(graph)
    batch = weighted(graph.full_batch(), weight)
    encoder = GCN(4, hidden_dim=3).double()
    with torch.no_grad():
        encoder(batch)
    first, second = (gradients(encoder(batch), weight) for _ in range(2))
    torch.testing.assert_close(first, second)
    fresh = weight_of(graph)
    torch.testing.assert_close(first, gradients(encoder(weighted(graph.full_batch(), fresh)), fresh))


def test_filtered_views_keep_the_gradient() -> None:
    graph = weighted_graph()
    keep = torch.rand(24) < 0.6
    encoder = GCN(4, hidden_dim=3, activation="tanh").double()

    def embed(weight: Tensor) -> Tensor:
        return encoder.forward(weighted(graph.full_batch(), weight).map_blocks(lambda block: block.filter(keep)))

    weight = weight_of(graph)
    assert torch.autograd.gradcheck(embed, (weight,))
    (gradient,) = gradients(embed(weight), weight)
    assert not gradient[~keep].any()


def test_a_gradient_of_the_gradient_is_refused() -> None:
    """It would miss the terms of the sparse product, silently."""
    pattern = Block(Pattern(torch.tensor([0, 1]), torch.tensor([0]), 1)).pattern
    value, x = torch.ones(1, requires_grad=True), torch.ones(1, 1, requires_grad=True)
    for out in (spmm(pattern, value, x), aggregate(pattern, None, x)):
        (gradient,) = torch.autograd.grad(out.square().sum(), x, create_graph=True)
        with pytest.raises(RuntimeError, match="once_differentiable"):
            gradient.sum().backward()
