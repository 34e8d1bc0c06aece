"""GIN and ResGCN against PyG's layers and loops over edges, and the symmetries that any encoder has."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.nn import GCNConv, GINConv

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.cut import restrict_rows
from gssl.graph.sparse import Pattern, SparseMatrix
from gssl.graph.storage import Graph
from gssl.models.encoder import Encoder
from gssl.models.gin import GIN, GINLayer
from gssl.models.layers import NormKind
from gssl.models.resgcn import ResGCN


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def random_graph(num_nodes: int, in_dim: int, num_edges: int, edge_dim: int = 0) -> Graph:
    """Directed, with duplicate edges, a self-loop and an isolated last node."""
    edge_index = torch.randint(0, num_nodes - 1, (2, num_edges))
    edge_index[:, 0] = 1
    edge_attr = torch.randn(num_edges, edge_dim) if edge_dim else None
    return Graph.from_edge_index(edge_index, torch.randn(num_nodes, in_dim), edge_attr=edge_attr)


def graph_set(sizes: tuple[int, ...] = (5, 1, 9, 4), in_dim: int = 3) -> Graph:
    ptr = torch.tensor([0, *sizes]).cumsum(0)
    edges = [torch.randint(0, size, (2, 2 * size)) + start for size, start in zip(sizes, ptr.tolist(), strict=False)]
    return Graph.from_edge_index(torch.cat(edges, dim=1), torch.randn(int(ptr[-1]), in_dim), ptr=ptr)


def pyg_gin(layer: GINLayer) -> GINConv:
    """PyG's GINConv with copies of the weights of a layer."""
    in_dim, out_dim = layer.weight.shape
    rest = [nn.Linear(out_dim, out_dim) if isinstance(module, nn.Linear) else nn.ReLU() for module in layer.rest]
    conv = GINConv(
        nn.Sequential(nn.Linear(in_dim, out_dim), *rest),
        eps=layer.eps.item() if isinstance(layer.eps, Tensor) else layer.eps,
    )
    with torch.no_grad():  # only now, since GINConv draws the weights of its network anew
        conv.nn[0].weight.copy_(layer.weight.T)
        conv.nn[0].bias.copy_(layer.bias)
        for mine, twin in zip(layer.rest.parameters(), conv.nn[1:].parameters(), strict=True):
            twin.copy_(mine)
    return conv


def graphmae_gin(encoder: GIN, adjacency: Tensor, x: Tensor) -> Tensor:
    """GraphMAE's GIN from the words of its paper's code: self-loops, then node and sum, and norms within the MLP."""
    looped = adjacency + torch.eye(len(x))

    def finished(rows: Tensor) -> Tensor:
        if encoder.mlp_norm == "batch":
            rows = nn.functional.batch_norm(rows, None, None, training=True)
        else:
            rows = nn.functional.layer_norm(rows, rows.shape[1:])
        return nn.functional.prelu(rows, torch.tensor([0.25]))

    for layer in encoder.layers:
        assert isinstance(layer, GINLayer)
        x = finished((x + looped @ x) @ layer.weight + layer.bias)
        x = finished(layer.rest[-1](x))
    return x


@pytest.mark.parametrize("norm", ["batch", "layer"])
@pytest.mark.parametrize("in_dim", [3, 24])
def test_gin_can_be_that_of_graphmae(norm: NormKind, in_dim: int) -> None:
    graph = graph_set(in_dim=in_dim)
    encoder = GIN(
        in_dim,
        hidden_dim=8,
        num_layers=2,
        eps=1.0,
        activation="prelu",
        norm=norm,
        mlp_norm=norm,  # type: ignore[arg-type]
        order="norm-activation",
        init="torch",
        jk="last",
    )
    batch = graph.full_batch()
    adjacency = torch.zeros(batch.num_nodes, batch.num_nodes)
    pattern = batch.blocks[0].pattern
    adjacency.index_put_((pattern.row.long(), pattern.col.long()), torch.ones(pattern.nnz), accumulate=True)
    assert isinstance(batch.x, Tensor)
    torch.testing.assert_close(encoder(batch), graphmae_gin(encoder, adjacency, batch.x), rtol=1e-4, atol=1e-5)


def test_gin_with_torch_weights_starts_as_torch_layers() -> None:
    torch.manual_seed(1)
    layer = GINLayer(5, 4, init="torch")
    torch.manual_seed(1)
    first, second = nn.Linear(5, 4), nn.Linear(4, 4)
    assert torch.equal(layer.weight, first.weight.T)
    assert torch.equal(layer.bias, first.bias)
    for mine, theirs in zip(layer.rest[-1].parameters(), second.parameters(), strict=True):
        assert torch.equal(mine, theirs)


# In 24 -> 4 the features are mapped before the sum, in 4 -> 24 summed first: both must be the same function.
@pytest.mark.parametrize(("in_dim", "out_dim"), [(24, 4), (4, 24), (6, 5)])
@pytest.mark.parametrize("mlp_layers", [1, 2, 3])
@pytest.mark.parametrize("features", ["dense", "sparse", "learned"])
def test_gin_layer_and_its_gradients_are_those_of_pyg(
    in_dim: int, out_dim: int, mlp_layers: int, features: str
) -> None:
    graph = random_graph(20, in_dim, 70)
    layer = GINLayer(in_dim, out_dim, mlp_layers=mlp_layers, eps=0.3, learn_eps=True)
    nn.init.normal_(layer.bias)
    reference = pyg_gin(layer)
    reference.eps = nn.Parameter(reference.eps)
    assert isinstance(graph.x, Tensor)
    ours, theirs = graph.x.clone(), graph.x.clone()
    if features == "learned":
        ours.requires_grad_()
        theirs.requires_grad_()
    out = layer(graph.block, SparseMatrix.from_dense(ours) if features == "sparse" else ours)
    expected = reference(theirs, graph.block.edge_index)
    torch.testing.assert_close(out, expected)
    probe = torch.randn_like(out)
    (out * probe).sum().backward()
    (expected * probe).sum().backward()
    torch.testing.assert_close(layer.weight.grad, reference.nn[0].weight.grad.T)
    torch.testing.assert_close(layer.bias.grad, reference.nn[0].bias.grad)
    assert isinstance(layer.eps, nn.Parameter)
    torch.testing.assert_close(layer.eps.grad, reference.eps.grad.view(()), rtol=1e-4, atol=1e-4)
    for mine, other in zip(layer.rest.parameters(), reference.nn[1:].parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad)
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("in_dim", "out_dim"), [(10, 3), (3, 10)])
def test_edge_attributes_are_added_to_every_message(weighted: bool, in_dim: int, out_dim: int) -> None:
    graph = random_graph(12, in_dim, 40, edge_dim=4)
    block = graph.block
    if weighted:
        block = Block(block.pattern, torch.rand(40), block.edge_attr)
    layer = GINLayer(in_dim, out_dim, mlp_layers=1, edge_dim=4)
    assert isinstance(graph.x, Tensor)
    assert layer.edge_weight is not None
    assert block.edge_attr is not None
    total = graph.x.clone()
    for edge, (source, target) in enumerate(block.edge_index.T.tolist()):
        message = graph.x[source] + block.edge_attr[edge] @ layer.edge_weight
        total[target] += message * (1 if block.weight is None else block.weight[edge])
    expected = total @ layer.weight + layer.bias
    out = layer(block, graph.x)
    torch.testing.assert_close(out, expected)
    mine = torch.autograd.grad(out.sum(), [layer.edge_weight, layer.weight])
    torch.testing.assert_close(mine, torch.autograd.grad(expected.sum(), [layer.edge_weight, layer.weight]))


@pytest.mark.parametrize("edge_dim", [0, 3])
def test_edge_attributes_must_fit(edge_dim: int) -> None:
    batch = random_graph(6, 2, 10, edge_dim=edge_dim).full_batch()
    with pytest.raises(InputError, match=f"made for 4 edge attributes, the graph has {edge_dim}"):
        GIN(2, edge_dim=4)(batch)
    assert GIN(2)(batch).shape == (6, 96)  # left out by default


def test_gin_is_the_network_of_infograph() -> None:
    """conv, ReLU, batch norm, as often as there are layers; all outputs side by side."""
    graph = random_graph(30, 5, 90)
    encoder = GIN(5, hidden_dim=8, num_layers=3)
    x, outputs = graph.x, []
    for layer in encoder.layers:
        assert isinstance(layer, GINLayer)
        x = nn.BatchNorm1d(8)(torch.relu(pyg_gin(layer)(x, graph.block.edge_index)))
        outputs.append(x)
    torch.testing.assert_close(encoder(graph.full_batch()), torch.cat(outputs, dim=1))
    assert encoder.out_dim == 24


def test_resgcn_is_the_network_of_graphcl() -> None:
    graph = random_graph(30, 5, 90)
    encoder = ResGCN(5, hidden_dim=8)
    x = torch.relu(encoder.feature_map(nn.BatchNorm1d(5)(graph.x)))
    for layer in encoder.layers:
        conv = GCNConv(8, 8)
        conv.lin.weight.data, conv.bias.data = layer.weight.data.T, layer.bias.data
        # Self-loops of the graph count beside the added ones, as the weighted sum over A + I says; PyG merges them.
        loop = torch.arange(30).expand(2, -1)
        conv.add_self_loops = False
        x = x + torch.relu(conv(nn.BatchNorm1d(8)(x), torch.cat([graph.block.edge_index, loop], dim=1)))
    torch.testing.assert_close(encoder(graph.full_batch()), x)


def encoders(norm: NormKind) -> list[Encoder]:
    return [GIN(3, hidden_dim=6, norm=norm), ResGCN(3, hidden_dim=6, norm=norm)]


NORMS: list[NormKind] = ["none", "batch", "layer", "graph"]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("which", [0, 1], ids=["GIN", "ResGCN"])
def test_new_node_numbers_and_graph_order_change_nothing(norm: NormKind, which: int) -> None:
    graph = graph_set()
    encoder = encoders(norm)[which]
    batch = graph.full_batch()
    nodes = encoder(batch)
    pooled = encoder.pool(nodes, batch)
    order = torch.tensor([2, 0, 3, 1])
    assert graph.ptr is not None
    shuffled = torch.cat([s[torch.randperm(len(s))] for s in torch.arange(19).tensor_split(graph.ptr[1:-1])])
    new_id = torch.empty_like(shuffled)
    new_id[shuffled] = torch.arange(19)
    assert isinstance(graph.x, Tensor)
    moved = Graph.from_edge_index(new_id[graph.block.edge_index], graph.x[shuffled], ptr=graph.ptr)
    reordered = moved.graph_batch(order)
    again = encoder(reordered)
    torch.testing.assert_close(again, nodes[shuffled][reordered.node_ids], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(encoder.pool(again, reordered), pooled[order], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("which", [0, 1], ids=["GIN", "ResGCN"])
def test_a_graph_does_not_depend_on_its_batch_mates(norm: NormKind, which: int) -> None:
    graph = graph_set()
    encoder = encoders(norm)[which]
    encoder(graph.full_batch())  # batch norm has seen something
    encoder.eval()
    together = encoder.pool(encoder(graph.full_batch()), graph.full_batch())
    for number in range(4):
        alone = graph.graph_batch(torch.tensor([number]))
        torch.testing.assert_close(encoder.pool(encoder(alone), alone)[0], together[number], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("which", [0, 1], ids=["GIN", "ResGCN"])
def test_sparse_features_are_the_same_features(which: int) -> None:
    graph = graph_set()
    assert isinstance(graph.x, Tensor)
    batch = graph.full_batch().with_x(graph.x * (torch.rand(19, 3) < 0.4))
    assert isinstance(batch.x, Tensor)
    encoder = encoders("batch")[which]
    torch.testing.assert_close(encoder(batch.with_x(SparseMatrix.from_dense(batch.x))), encoder(batch))


@pytest.mark.parametrize("which", [0, 1], ids=["GIN", "ResGCN"])
def test_blocks_of_one_layer_each_give_the_targets_of_the_full_graph(which: int) -> None:
    graph = random_graph(25, 3, 60, edge_dim=2)
    encoder = [GIN(3, hidden_dim=6, norm="none", edge_dim=2, eps=0.5), ResGCN(3, hidden_dim=6, norm="none")][which]
    full = encoder(graph.full_batch())
    targets = torch.tensor([7, 3, 24])
    blocks: list[Block] = []
    nodes = targets
    for _ in range(3):
        block, nodes = restrict_rows(graph.block, nodes)
        blocks.insert(0, block)
    assert isinstance(graph.x, Tensor)
    batch = MiniBatch(x=graph.x[nodes], blocks=tuple(blocks), node_ids=nodes, num_targets=3)
    torch.testing.assert_close(encoder(batch), full[targets])


def test_a_repeated_edge_counts_as_often_as_it_is_there() -> None:
    pattern, _ = Pattern.from_coo(torch.tensor([0, 0]), torch.tensor([1, 1]), 2, 2)
    layer = GINLayer(1, 1, mlp_layers=1)
    x = torch.tensor([[1.0], [10.0]])
    torch.testing.assert_close(layer(Block(pattern), x), torch.tensor([[21.0], [10.0]]) @ layer.weight)
    once = replace(Block(pattern), weight=torch.tensor([0.5, 0.25]))
    torch.testing.assert_close(layer(once, x), torch.tensor([[8.5], [10.0]]) @ layer.weight)
