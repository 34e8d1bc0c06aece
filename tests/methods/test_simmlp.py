"""SimMLP against a model written out with dense matrices, and what it embeds with."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.augment.mask_entry import MaskEntry
from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.history import BatchHistory, History
from gssl.graph.sparse import SparseMatrix, dense_features
from gssl.graph.storage import Graph
from gssl.methods.simmlp import SimMLP
from gssl.models.gcn import GCN
from gssl.models.mlp import MLPEncoder, MLPLayer
from gssl.registry import SAMPLERS
from gssl.testing.toy import toy_batch, toy_graph, without_edges
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

CPU = torch.device("cpu")
AUTHORS: dict[str, Any] = {
    "num_layers": 2, "activation": "prelu", "norm": "batch", "final_activation": False, "last_norm": True,
    "residual": True,
}  # fmt: skip
PLAIN: dict[str, Any] = {"mask_feature": 0.0, "drop_edge": 0.0}


def made(graph: Graph, *, width: int = 8, encoder: dict[str, Any] | None = None, **options: Any) -> SimMLP:
    torch.manual_seed(0)
    perceptron = MLPEncoder(graph.in_dim, hidden_dim=width, **{**AUTHORS, **(encoder or {})})
    method = SimMLP(perceptron, **{"predictor_dim": 6, **options})
    method.prepare(graph, 0)
    return method


class Theirs(nn.Module):
    """Layers of the authors' perceptron: map, batch norm, PReLU but for the last one, and the shortcut."""

    def __init__(self, encoder: MLPEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.norms = nn.ModuleList(nn.BatchNorm1d(dim) for dim in encoder.layer_dims)

    def forward(self, x: Tensor) -> Tensor:
        for index, (layer, norm) in enumerate(zip(self.encoder.layers, self.norms, strict=True)):
            before = x
            assert isinstance(layer, MLPLayer)
            x = norm(x @ layer.weight + layer.bias)
            x = F.prelu(x, self.encoder.activations[index].weight) if index < len(self.norms) - 1 else x  # type: ignore[arg-type]
            x = x + before if index else x
        return F.normalize(x, dim=1)


def normalized(graph: Graph) -> Tensor:
    source, target = graph.block.edge_index
    a = torch.eye(graph.num_nodes)
    a[target, source] += 1
    scale = a.sum(1).rsqrt()
    return scale[:, None] * a * scale


def test_the_embedding_is_that_of_the_authors_perceptron() -> None:
    graph = toy_graph()
    method = made(graph)
    assert isinstance(method.encoder, MLPEncoder)
    theirs = Theirs(method.encoder).train()
    method.train()
    torch.testing.assert_close(method.embed(graph.full_batch()), theirs(dense_features(graph.x)))
    assert method.embedding_dim == 8


def test_inference_needs_no_edges_and_no_other_nodes() -> None:
    graph = toy_graph()
    method = made(graph)
    method.loss(graph.full_batch())  # so that batch norm has seen something
    method.eval()
    whole = method.embed(graph.full_batch())
    assert torch.equal(method.embed(without_edges(graph.full_batch())), whole)
    some = graph.full_batch().node_ids[5:9]
    nothing = Graph.from_edge_index(torch.zeros(2, 0, dtype=torch.int64), dense_features(graph.x)[some])
    torch.testing.assert_close(method.embed(nothing.full_batch()), whole[5:9])
    for name in ("graphsage", "uniform+exact", "shadow"):
        batch = next(iter(SAMPLERS.get(name)(graph, num_layers=2, batch_size=10).epoch(0)))
        torch.testing.assert_close(method.embed(batch), whole[batch.node_ids[: batch.num_targets]])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("aggregations", [1, 3])
def test_the_loss_is_that_of_the_authors(aggregations: int, weighted: bool) -> None:
    graph = toy_graph(num_nodes=40)
    method = made(graph, aggregations=aggregations, gamma=2.0, reconstruction=3.0, **PLAIN)
    batch = graph.full_batch()
    weight = 1 + torch.rand(40) if weighted else torch.ones(40)
    batch = replace(batch, weight=weight) if weighted else batch
    loss = method.loss(batch)
    x, matrix = dense_features(graph.x), normalized(graph)
    assert isinstance(method.encoder, MLPEncoder)
    z = Theirs(method.encoder).train()(x)
    h = z
    for _ in range(aggregations):
        h = F.batch_norm(F.prelu(matrix @ h, method.activation.weight), None, None, training=True)
    head, last = method.predictor
    p = F.normalize(last(head(z)), dim=1)
    agreement = (1 - (p * F.normalize(h, dim=1)).sum(1)).square()
    one, between, two = method.decoder
    decoded = F.normalize(two(between(one(h))), dim=1)
    error = (decoded - x).square().mean(1)
    expected = (weight * (agreement + 3.0 * error)).sum() / weight.sum()
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)


def test_the_agreement_alone_does_not_move_the_network() -> None:
    """Its target has no gradient: without the reconstruction, norms and decoder have nothing to learn from."""
    graph = toy_graph()
    method = made(graph, reconstruction=0.0, **PLAIN)
    batch = graph.full_batch()
    view = method.view(batch, method.rng)
    rows = torch.randn(48, 8, requires_grad=True)
    target = method.aggregate(rows, view)
    assert target.requires_grad
    method.loss(batch).backward()
    learned = {name for name, p in method.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert learned
    assert all(name.startswith(("encoder", "predictor")) for name in learned)
    frozen = {name for name, p in method.named_parameters() if not p.requires_grad}
    assert any(name.startswith("decoder") for name in frozen)
    assert any(name.startswith("norms") for name in frozen)


def test_the_reconstruction_trains_the_network_and_the_perceptron_under_it() -> None:
    graph = toy_graph()
    method = made(graph, **PLAIN)
    method.error(method.aggregate(torch.randn(48, 8), graph.full_batch()), graph.full_batch()).backward()
    for module in (method.decoder, method.norms, method.activation):
        assert all(p.grad is not None for p in module.parameters())


def test_the_features_are_reconstructed_as_they_were_before_the_mask() -> None:
    graph = toy_graph()
    method = made(graph, mask_feature=0.9)
    seen: list[Tensor] = []
    method.encoder.register_forward_pre_hook(lambda _, args: seen.append(dense_features(args[0].x)))
    batch = graph.full_batch()
    method.reseed(0, CPU)
    method.loss(batch)
    x = dense_features(graph.x)
    assert float((seen[0] == 0).float().mean()) > 0.9
    target = torch.nn.functional.normalize(method.decoder(torch.zeros(48, 8)), dim=1)
    expected = (target - x).square().mean()
    torch.testing.assert_close(method.error(torch.zeros(48, 8), batch), expected)


@pytest.mark.parametrize("kind", ["node", "node-sparse", "node-gathered"])
def test_entries_are_masked_one_by_one(kind: Any) -> None:
    batch = toy_batch(kind)
    x = dense_features(batch.x)
    view = MaskEntry(p=0.4)(batch, torch.Generator().manual_seed(0))
    masked = dense_features(view.x)
    there = x != 0
    assert bool(((masked == x) | (masked == 0)).all())
    views = [MaskEntry(p=0.4)(batch, torch.Generator().manual_seed(seed)) for seed in range(20)]
    kept = torch.stack([(dense_features(each.x) != 0)[there].float() for each in views])
    assert float(kept.mean()) == pytest.approx(0.6, abs=0.03)
    rows = ((masked != 0) & there).sum(1)
    assert len(rows.unique()) > 3, "whole columns or rows are gone"
    assert isinstance(view.x, SparseMatrix) == isinstance(batch.x, SparseMatrix)
    assert MaskEntry(p=0.0)(batch, torch.Generator()) is batch


def test_a_sampled_batch_aggregates_what_the_whole_graph_does() -> None:
    graph = toy_graph(num_nodes=60)
    method = made(graph, aggregations=2, **PLAIN)
    method.loss(graph.full_batch())
    method.eval()
    with torch.no_grad():
        whole = method.aggregate(F.normalize(method._perceptron.of_rows(graph.full_batch()), dim=1), graph.full_batch())
        batch = next(iter(SAMPLERS.get("uniform+exact")(graph, num_layers=2, batch_size=9).epoch(0)))
        rows = F.normalize(method._perceptron.of_rows(batch), dim=1)
        torch.testing.assert_close(method.aggregate(rows, batch), whole[batch.node_ids[:9]], rtol=1e-4, atol=1e-5)


def test_ten_steps_raise_the_agreement_with_the_network() -> None:
    graph = toy_graph()
    method = made(graph, width=16, **PLAIN)
    batch = graph.full_batch()

    def agreement() -> float:
        method.eval()
        with torch.no_grad():
            rows = F.normalize(method._perceptron.of_rows(batch), dim=1)
            both = method.predictor(rows), method.aggregate(rows, batch)
        method.train()
        return F.cosine_similarity(*both).mean().item()

    method.loss(batch)
    before = agreement()
    optimizer = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], lr=0.01)
    for step in range(10):
        method.reseed(step, CPU)
        optimizer.zero_grad()
        method.loss(batch).backward()
        optimizer.step()
    assert agreement() > before


def test_it_trains_on_sampled_batches() -> None:
    graph = toy_graph(num_nodes=80)
    method = made(graph, aggregations=2)
    assert method.num_layers == 2
    sampler = SAMPLERS.get("graphsage")(graph, num_layers=2, batch_size=20)
    result = pretrain(method, sampler, TrainConfig(epochs=4, lr=0.01), seed=0)
    assert all(math.isfinite(record.loss) for record in result.curve)
    assert result.curve[-1].loss < result.curve[0].loss


def test_bad_input_says_what_to_change() -> None:
    graph = toy_graph()
    with pytest.raises(InputError, match=r"hears from neighbors; use --encoder MLP"):
        SimMLP(GCN(4))
    with pytest.raises(InputError, match=r"which a history does not have.*graphsage"):
        made(graph).check_sampler(SAMPLERS.get("gas")(graph, num_layers=2, batch_size=9))
    with pytest.raises(InputError, match="more layers than blocks: SimMLP needs 2"):
        made(graph).check_sampler(SAMPLERS.get("graphsage")(graph, num_layers=1, batch_size=9))


def test_a_graph_of_one_node_has_a_finite_loss() -> None:
    single = Graph.from_edge_index(torch.zeros(2, 0, dtype=torch.int64), torch.eye(3)[:1])
    loss = made(single).loss(single.full_batch())
    assert bool(loss.isfinite())


@pytest.mark.parametrize("residual", [False, True])
def test_a_perceptron_is_the_same_with_a_history(residual: bool) -> None:
    """The shortcut is no part of the layers that a propagation with history takes apart."""
    graph = toy_graph()
    torch.manual_seed(0)
    encoder = MLPEncoder(graph.in_dim, hidden_dim=6, num_layers=3, residual=residual).eval()
    batch: MiniBatch = graph.full_batch()
    history = BatchHistory(History(batch.num_nodes), "truncated", batch.node_ids, batch.num_targets)
    torch.testing.assert_close(encoder(batch.planned(history=history)), encoder(batch))
    plain = MLPEncoder(graph.in_dim, hidden_dim=6, num_layers=3).eval()
    plain.load_state_dict(encoder.state_dict())
    assert torch.allclose(plain(batch), encoder(batch)) != residual


def test_a_norm_behind_the_last_layer_has_no_activation_behind_it() -> None:
    graph = toy_graph()
    torch.manual_seed(0)
    options: dict[str, Any] = {"hidden_dim": 6, "norm": "batch", "norm_momentum": 0.3, "final_activation": False}
    encoder = MLPEncoder(graph.in_dim, last_norm=True, **options).train()
    rows = encoder(graph.full_batch())
    torch.testing.assert_close(rows.mean(0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(rows.std(0, unbiased=False), torch.ones(6), atol=1e-2, rtol=0)
    assert bool((rows < 0).any())
    assert encoder.norms[-1].norm.momentum == 0.3  # type: ignore[union-attr]
    names = set(MLPEncoder(graph.in_dim, **options).state_dict())
    assert names < set(encoder.state_dict()), "without the option the weights are those of before"
