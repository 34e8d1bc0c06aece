"""MVGRL against dense matrices and its paper's objectives, and where it may be trained."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn.models import basic_gnn

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.methods.mvgrl import MVGRL
from gssl.models.adapter import PyGEncoder
from gssl.models.encoder import Encoder
from gssl.models.gcn import GCN, GCNLayer
from gssl.models.gin import GIN
from gssl.models.mlp import MLPEncoder
from gssl.registry import SAMPLERS
from gssl.testing.toy import toy_graph, toy_graphs
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

CPU = torch.device("cpu")


def made(graph: Graph, *, layers: int = 1, width: int = 6, **options: Any) -> MVGRL:
    torch.manual_seed(0)
    encoder = GCN(graph.in_dim, hidden_dim=width, num_layers=layers, activation="prelu")
    method = MVGRL(encoder, **{"eps": 1e-9, "top_k": None, **options})
    method.prepare(graph, 0)
    return method


def normalized(edge_index: Tensor, size: int) -> Tensor:
    source, target = edge_index
    a = torch.eye(size)
    a[target, source] += 1
    scale = a.sum(1).rsqrt()
    return scale[:, None] * a * scale


def dense_views(graph: Graph, alpha: float = 0.2) -> tuple[Tensor, Tensor]:
    matrix = normalized(graph.block.edge_index, graph.num_nodes)
    return matrix, alpha * torch.linalg.inv(torch.eye(graph.num_nodes) - (1 - alpha) * matrix)


def dense_outputs(encoder: Encoder, matrix: Tensor, x: Tensor) -> list[Tensor]:
    """The authors' layers: product with a dense matrix, bias, PReLU."""
    assert isinstance(encoder, GCN)
    outputs = []
    for layer, activation in zip(encoder.layers, encoder.activations, strict=True):
        assert isinstance(layer, GCNLayer)
        assert isinstance(activation, nn.PReLU)
        x = F.prelu(matrix @ (x @ layer.weight) + layer.bias, activation.weight)
        outputs.append(x)
    return outputs


def dense_node_loss(method: MVGRL, matrices: tuple[Tensor, Tensor], x: Tensor, weight: Tensor | None) -> Tensor:
    """Four groups of logits, half of them true, under one cross-entropy, as in the authors' code."""
    order = torch.randperm(len(x), generator=method.rng)
    count = torch.ones(len(x)) if weight is None else weight
    encoders = method.encoder, method.diffused_encoder
    real, fake = (
        [dense_outputs(encoder, matrix, features)[-1] for encoder, matrix in zip(encoders, matrices, strict=True)]
        for features in (x, x[order])
    )
    summaries = [torch.sigmoid((count[:, None] * h).sum(0) / count.sum()) for h in real]
    logits, labels = [], []
    for nodes, label in ((real, 1.0), (fake, 0.0)):
        for view in (0, 1):
            bilinear = F.bilinear(nodes[view], summaries[1 - view].expand_as(nodes[view]), method.discriminator[None])
            logits.append(bilinear.squeeze(1))
            labels.append(torch.full((len(x),), label))
    return F.binary_cross_entropy_with_logits(torch.cat(logits), torch.cat(labels), count.repeat(4)) * (
        len(x) / count.sum()
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
def test_node_level_is_the_authors_model(layers: int, weighted: bool) -> None:
    graph = toy_graph()
    method = made(graph, layers=layers, alpha=0.3)
    method.discriminator.data = torch.randn(6, 6)
    batch = graph.full_batch()
    if weighted:
        batch = replace(batch, weight=torch.rand(batch.num_items) + 0.5)
    method.reseed(4, CPU)
    loss = method.loss(batch)
    gradient = torch.autograd.grad(loss, list(method.diffused_encoder.parameters()))
    method.reseed(4, CPU)
    assert isinstance(graph.x, Tensor)
    expected = dense_node_loss(method, dense_views(graph, 0.3), graph.x, batch.weight)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    theirs = torch.autograd.grad(expected, list(method.diffused_encoder.parameters()))
    torch.testing.assert_close(gradient, theirs, rtol=1e-3, atol=1e-6)


def test_node_embedding_is_the_sum_of_both_views() -> None:
    graph = toy_graph()
    method = made(graph).eval()
    first, second = (
        dense_outputs(encoder, matrix, graph.x)[-1]  # type: ignore[arg-type]  # dense
        for encoder, matrix in zip((method.encoder, method.diffused_encoder), dense_views(graph), strict=True)
    )
    torch.testing.assert_close(method.embed(graph.full_batch()), first + second, rtol=1e-4, atol=1e-5)
    assert method.embedding_dim == 6


def looped_jsd(nodes: list[Tensor], graphs: Tensor) -> Tensor:
    positive: list[Tensor] = []
    negative: list[Tensor] = []
    for number, rows in enumerate(nodes):
        for score in (rows @ graphs.T).unbind():
            positive.append(-F.softplus(-score[number]))
            negative += [F.softplus(score[other]) for other in range(len(graphs)) if other != number]
    return torch.stack(negative).mean() - torch.stack(positive).mean()


def test_graph_level_is_the_jsd_of_nodes_and_graphs_of_the_other_view() -> None:
    collection = toy_graphs(num_graphs=6)
    method = made(collection, layers=2)
    spans = [slice(a, b) for a, b in pairwise(collection.ptr.tolist())]  # type: ignore[union-attr]
    assert isinstance(collection.x, Tensor)
    nodes: list[list[Tensor]] = [[], []]
    graphs: list[list[Tensor]] = [[], []]
    for span in spans:
        edges = collection.block.edge_index
        inside = (edges[0] >= span.start) & (edges[0] < span.stop)
        own = Graph.from_edge_index(edges[:, inside] - span.start, collection.x[span])
        for view, matrix in enumerate(dense_views(own)):
            encoder = (method.encoder, method.diffused_encoder)[view]
            outputs = dense_outputs(encoder, matrix, collection.x[span])
            nodes[view].append(method.heads["node"](outputs[-1]))
            graphs[view].append(method.heads["graph"](torch.cat([h.sum(0) for h in outputs])))
    summaries = [torch.stack(rows) for rows in graphs]
    expected = looped_jsd(nodes[0], summaries[1]) + looped_jsd(nodes[1], summaries[0])
    constant = 4 * torch.tensor(2.0).log()  # of the four expectations
    torch.testing.assert_close(method.loss(collection.full_batch()), expected - constant, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(
        method.eval().embed(collection.full_batch()), summaries[0] + summaries[1], rtol=1e-4, atol=1e-4
    )
    assert method.embedding_dim == 6
    assert method.embed(collection.full_batch()).shape == (6, 6)


def test_a_graph_of_weight_two_is_there_twice() -> None:
    collection = toy_graphs(num_graphs=5)
    method = made(collection, layers=2)
    twice = collection.graph_batch(torch.tensor([0, 1, 3, 3, 4]))
    once = replace(collection.graph_batch(torch.tensor([0, 1, 3, 4])), weight=torch.tensor([1.0, 1, 2, 1]))
    torch.testing.assert_close(method.loss(once), method.loss(twice), rtol=1e-4, atol=1e-5)


def test_a_sampled_subgraph_has_both_matrices_cut_to_it() -> None:
    graph = toy_graph(num_nodes=80)
    method = made(graph)
    sampler = SAMPLERS.get("uniform+induced")(graph, num_layers=1, batch_size=30)
    batch = next(iter(sampler.epoch(0)))
    ids = batch.node_ids
    _, diffusion = dense_views(graph)
    small = normalized(batch.blocks[0].edge_index, len(ids)), diffusion[ids][:, ids]
    method.reseed(1, CPU)
    loss = method.loss(batch)
    method.reseed(1, CPU)
    expected = dense_node_loss(method, small, graph.x[ids], batch.weight)  # type: ignore[index]  # dense
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)


def test_the_views_have_encoders_of_their_own() -> None:
    method = made(toy_graph())
    first, second = ({p.data_ptr() for p in e.parameters()} for e in (method.encoder, method.diffused_encoder))
    assert not first & second
    weights = [e.layers[0].weight for e in (method.encoder, method.diffused_encoder)]  # type: ignore[union-attr,index]
    assert not torch.equal(*weights)


def test_the_features_are_shuffled_alike_in_both_views() -> None:
    graph = toy_graph()
    method = made(graph)
    seen: list[Tensor] = []
    for encoder in (method.encoder, method.diffused_encoder):
        encoder.register_forward_pre_hook(lambda _, args: seen.append(args[0].x))
    method.loss(graph.full_batch())
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[2], seen[3])
    assert not torch.equal(seen[0], seen[2])


@pytest.mark.parametrize("sampler", ["graphsage", "labor", "fastgcn", "ladies", "gas", "lmc", "vrgcn", "shadow", "mvs"])
def test_batches_that_are_no_subgraph_are_refused_with_names_that_fit(sampler: str) -> None:
    graph = toy_graph()
    method = made(graph)
    options = {"gamma": 0.5} if sampler == "mvs" else {}
    source = SAMPLERS.get(sampler)(graph, num_layers=1, batch_size=16, **options)
    with pytest.raises(InputError, match=r"clustergcn, graphsaint or uniform\+induced"):
        method.check_sampler(source)


@pytest.mark.parametrize("sampler", ["clustergcn", "graphsaint", "uniform+induced", "minvar+induced", "full"])
def test_it_trains_on_subgraphs(sampler: str) -> None:
    graph = toy_graph(num_nodes=80)
    method = made(graph, top_k=8, eps=1e-4)
    options: dict[str, Any] = {} if sampler == "full" else {"num_layers": 1, "batch_size": 20}
    options |= {"gamma": 0.5} if "minvar" in sampler else {}
    source = SAMPLERS.get(sampler)(graph, **options)
    before = whole_loss(method, graph)
    result = pretrain(method, source, TrainConfig(epochs=15, lr=0.01), seed=0)
    assert len(result.curve) == 15
    assert whole_loss(method, graph) < before


def whole_loss(method: MVGRL, graph: Graph) -> float:
    method.reseed(0, CPU)
    with torch.no_grad():
        return method.loss(graph.full_batch()).item()


def test_ten_steps_raise_the_agreement_of_true_pairs() -> None:
    for graph, layers in ((toy_graph(), 1), (toy_graphs(), 2)):
        method = made(graph, layers=layers, width=16)
        losses = losses_of(method, graph.full_batch(), 10)
        assert sum(losses[-3:]) < sum(losses[:3])


def losses_of(method: MVGRL, batch: MiniBatch, steps: int) -> list[float]:
    optimizer = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], lr=0.01)
    losses = []
    for step in range(steps):
        method.reseed(step, CPU)
        optimizer.zero_grad()
        loss = method.loss(batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_weights_fit_a_method_that_has_seen_no_graph_yet() -> None:
    """What a stored run is loaded into; another graph than that of the training may follow."""
    for graph, other, layers in ((toy_graph(), toy_graph(num_nodes=30), 1), (toy_graphs(), toy_graphs(seed=3), 2)):
        method = made(graph, layers=layers)
        losses_of(method, graph.full_batch(), 2)
        torch.manual_seed(9)
        encoder = GCN(graph.in_dim, hidden_dim=6, num_layers=layers, activation="prelu")
        again = MVGRL(encoder, eps=1e-9, top_k=None)
        again.load_state_dict(method.state_dict())
        again.prepare(graph, 1)
        batch = graph.full_batch()
        assert torch.equal(again.eval().embed(batch), method.eval().embed(batch))
        again.prepare(other, 0)
        assert len(again.embed(other.full_batch())) == other.full_batch().num_items


def test_bad_input_says_what_to_change() -> None:
    with pytest.raises(InputError, match=r"takes no edge weights.*GCN"):
        MVGRL(MLPEncoder(4))
    with pytest.raises(InputError, match="edge_attr=false"):
        MVGRL(GIN(4, edge_dim=2))
    with pytest.raises(InputError, match="prepare"):
        MVGRL(GCN(4)).loss(toy_graph(in_dim=4).full_batch())
    adapted = PyGEncoder(basic_gnn.GCN(4, 8, 2), in_dim=4, out_dim=8, num_layers=2)
    with pytest.raises(InputError, match="output of each layer"):
        MVGRL(adapted).prepare(toy_graphs(), 0)


def test_other_encoders_take_the_diffusion_as_weights() -> None:
    graph = toy_graph()
    for encoder in (
        GIN(graph.in_dim, hidden_dim=8),
        PyGEncoder(basic_gnn.GCN(24, 8, 2), in_dim=24, out_dim=8, num_layers=2),
    ):
        torch.manual_seed(0)
        method = MVGRL(encoder, alpha=0.2)
        method.prepare(graph, 0)
        near = method.eval().embed(graph.full_batch())
        method.alpha = 0.8
        method.prepare(graph, 0)
        assert not torch.allclose(near, method.embed(graph.full_batch()))


def test_what_the_other_level_needs_is_not_trained() -> None:
    nodes, graphs = made(toy_graph()), made(toy_graphs())
    assert not any(p.requires_grad for p in nodes.heads.parameters())
    assert not graphs.discriminator.requires_grad
    assert isinstance(graphs.heads["graph"], nn.Module)
