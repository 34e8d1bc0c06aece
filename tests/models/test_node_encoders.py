from collections.abc import Callable

import pytest
import torch
import torch_geometric.nn as pyg
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.cut import restrict_rows
from gssl.graph.sparse import SparseMatrix
from gssl.graph.storage import Graph
from gssl.models.adapter import PyGEncoder, adapt
from gssl.models.gat import GAT, GATLayer
from gssl.models.gcn import GCN, GCNLayer
from gssl.models.inference import embed_layerwise
from gssl.models.layers import Layer, Norm, dropout_features, jump
from gssl.models.mlp import MLPEncoder
from gssl.models.sage import SAGE, SAGELayer
from gssl.models.stack import StackedEncoder

ENCODERS = [GCN, SAGE, GAT, MLPEncoder]


def graph_and_edges(sparse: bool = False, n: int = 30) -> tuple[Graph, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    edges = (torch.rand(n, n, generator=rng) < 0.15).fill_diagonal_(False).nonzero().T
    x = torch.randn(n, 12, generator=rng) * (torch.rand(n, 12, generator=rng) < 0.4)
    return Graph.from_edge_index(edges, SparseMatrix.from_dense(x) if sparse else x), edges, x


def gcn_pair(in_dim: int, out_dim: int) -> tuple[Layer, nn.Module]:
    ours, theirs = GCNLayer(in_dim, out_dim), pyg.GCNConv(in_dim, out_dim)
    theirs.lin.weight.data = ours.weight.data.T.clone()
    return ours, theirs


def sage_pair(in_dim: int, out_dim: int) -> tuple[Layer, nn.Module]:
    ours, theirs = SAGELayer(in_dim, out_dim), pyg.SAGEConv(in_dim, out_dim)
    theirs.lin_l.weight.data, theirs.lin_r.weight.data = ours.neighbor_weight.data.T, ours.self_weight.data.T
    theirs.lin_l.bias.data.zero_()
    return ours, theirs


def gat_pair(in_dim: int, out_dim: int) -> tuple[Layer, nn.Module]:
    ours, theirs = GATLayer(in_dim, out_dim, heads=2), pyg.GATConv(in_dim, out_dim // 2, heads=2)
    theirs.lin.weight.data = ours.weight.data.T.clone()
    theirs.att_src.data, theirs.att_dst.data = ours.source_attention.data[None], ours.target_attention.data[None]
    return ours, theirs


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("out_dim", [4, 40])  # narrower and wider than the input: both orders of the products
@pytest.mark.parametrize("pair", [gcn_pair, sage_pair, gat_pair])
def test_layers_equal_pyg_in_value_and_gradient(
    pair: Callable[[int, int], tuple[Layer, nn.Module]], out_dim: int, sparse: bool
) -> None:
    torch.manual_seed(0)
    graph, edges, x = graph_and_edges(sparse)
    ours, theirs = pair(12, out_dim)
    got, expected = ours(graph.block, graph.x), theirs(x, edges)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    got.sin().sum().backward()
    expected.sin().sum().backward()
    for ours_grad, theirs_grad in zip(
        sorted(float(p.grad.norm()) for p in ours.parameters() if p.grad is not None),
        sorted(float(p.grad.norm()) for p in theirs.parameters() if p.grad is not None),
        strict=True,
    ):
        assert ours_grad == pytest.approx(theirs_grad, rel=1e-3)


@pytest.mark.parametrize("make", ENCODERS)
@pytest.mark.parametrize("jk", ["last", "cat"])
def test_layerwise_inference_equals_one_pass(make: type[StackedEncoder], jk: str) -> None:
    graph, _, _ = graph_and_edges()
    encoder = make(12, hidden_dim=8, num_layers=3, norm="batch", jk=jk).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        torch.testing.assert_close(embed_layerwise(encoder, graph, rows=7), encoder(graph.full_batch()))


@pytest.mark.parametrize("make", ENCODERS)
def test_bipartite_blocks_give_the_targets_rows(make: type[StackedEncoder]) -> None:
    graph, _, _ = graph_and_edges()
    encoder = make(12, hidden_dim=8, num_layers=2).eval()
    targets = torch.tensor([3, 17, 5])
    last, middle = restrict_rows(graph.block, targets)
    first, sources = restrict_rows(graph.block, middle)
    assert isinstance(graph.x, Tensor)
    batch = MiniBatch(graph.x[sources], (first, last), sources, 3)
    with torch.no_grad():
        torch.testing.assert_close(encoder(batch), encoder(graph.full_batch())[targets])


def test_gat_heads_must_divide_the_width() -> None:
    with pytest.raises(InputError, match="divided into 3 heads"):
        GAT(4, heads=3, hidden_dim=8)


def test_attention_dropout_changes_training_only() -> None:
    graph, _, _ = graph_and_edges()
    layer = GATLayer(12, 8, heads=2, attention_dropout=0.5)
    assert not torch.equal(layer(graph.block, graph.x), layer(graph.block, graph.x))
    layer.eval()
    assert torch.equal(layer(graph.block, graph.x), layer(graph.block, graph.x))


@pytest.mark.parametrize("maker", [pyg.GraphSAGE, pyg.GIN, pyg.GCN])
def test_adapter_runs_pyg_models(maker: type[nn.Module]) -> None:
    graph, edges, x = graph_and_edges(sparse=True)
    encoder = adapt(maker)(12, hidden_dim=8, num_layers=2)
    with torch.no_grad():
        out = encoder(graph.full_batch())
        # Messages are summed in another order, so equal to rounding only.
        torch.testing.assert_close(out, encoder.module(x, edges), rtol=1e-4, atol=1e-4)
    assert out.shape == (30, encoder.out_dim)


def test_adapter_of_a_single_layer_and_of_something_else() -> None:
    encoder = adapt(pyg.SGConv)(12, hidden_dim=8, num_layers=1)
    assert encoder(graph_and_edges()[0].full_batch()).shape == (30, 8)
    with pytest.raises(InputError, match="num_layers=1"):
        adapt(pyg.SGConv)(12, num_layers=2)
    with pytest.raises(InputError, match="in_channels"):
        adapt(nn.Linear)


def test_adapter_refuses_bipartite_batches() -> None:
    graph, _, _ = graph_and_edges()
    cut, sources = restrict_rows(graph.block, torch.tensor([0]))
    encoder = PyGEncoder(pyg.GCNConv(12, 4), in_dim=12, out_dim=4, num_layers=1)
    assert isinstance(graph.x, Tensor)
    with pytest.raises(InputError, match="one graph for all layers"):
        encoder(MiniBatch(graph.x[sources], (cut,), sources, 1))


def test_jumping_knowledge() -> None:
    a, b = torch.tensor([[1.0, 5.0]]), torch.tensor([[2.0, 3.0]])
    assert jump([a, b], "last").tolist() == [[2, 3]]
    assert jump([a, b], "cat").tolist() == [[1, 5, 2, 3]]
    assert jump([a, b], "sum").tolist() == [[3, 8]]
    assert jump([a, b], "max").tolist() == [[2, 5]]


def test_graph_norm_normalises_each_graph_by_itself() -> None:
    edges, x = torch.zeros(2, 0, dtype=torch.int64), torch.cat([torch.randn(5, 3), 100 + torch.randn(4, 3)])
    batch = Graph.from_edge_index(edges, x, ptr=torch.tensor([0, 5, 9])).full_batch()
    out = Norm("graph", 3)(x, batch)
    torch.testing.assert_close(out[:5].mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(out[5:].mean(0), torch.zeros(3), atol=1e-4, rtol=0)


def test_dropout_of_sparse_features_keeps_the_mean() -> None:
    torch.manual_seed(0)
    x = SparseMatrix.from_dense(torch.ones(200, 50))
    dropped = dropout_features(x, 0.3, True)
    assert isinstance(dropped, SparseMatrix)
    assert dropped.value.mean().item() == pytest.approx(1, abs=0.03)
    assert (dropped.value == 0).float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert dropout_features(x, 0.3, False) is x


def test_the_last_layer_of_gat_may_have_other_heads_and_no_norm() -> None:
    torch.manual_seed(0)
    made = GAT(6, hidden_dim=8, out_dim=5, heads=1, norm="batch", out_heads=5, last_norm=False)
    assert [layer.heads for layer in made.layers] == [1, 5]
    assert [norm.norm is None for norm in made.norms] == [False, True]
    torch.manual_seed(0)
    usual = GAT(6, hidden_dim=8, out_dim=5, heads=1, norm="batch")
    torch.manual_seed(0)
    same = GAT(6, hidden_dim=8, out_dim=5, heads=1, norm="batch", out_heads=None, last_norm=True)
    assert usual.state_dict().keys() == same.state_dict().keys()
    assert all(torch.equal(value, same.state_dict()[name]) for name, value in usual.state_dict().items())
    with pytest.raises(InputError, match="3 heads"):
        GAT(6, hidden_dim=8, heads=2, out_heads=3)
