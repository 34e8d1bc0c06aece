"""CCA-SSG: standardised views that are equal, without a head, and columns that are uncorrelated."""

from __future__ import annotations

import torch
from torch import Tensor

from gssl.config.resolve import Request, Subject, resolve
from gssl.graph.storage import Graph
from gssl.methods.cca_ssg import CCASSG
from gssl.models.gcn import GCN
from gssl.samplers.named import graphsage
from gssl.testing.methods import seeded_loss, train
from gssl.testing.toy import toy_graph
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

CPU = torch.device("cpu")


def made(graph: Graph, **options: float) -> CCASSG:
    torch.manual_seed(0)
    return CCASSG(GCN(graph.in_dim, hidden_dim=16, out_dim=8, final_activation=False), **options)


def two_draws(method: CCASSG, graph: Graph, drop_edge: float, mask_feature: float) -> list[Tensor]:
    """Embeddings of both views as the paper describes them; each draws its edges first."""
    embeddings = []
    for _ in range(2):
        edges = torch.rand(graph.num_edges, generator=method.rng) >= drop_edge
        words = torch.rand(graph.in_dim, generator=method.rng) >= mask_feature
        assert isinstance(graph.x, Tensor)
        view = Graph.from_edge_index(graph.block.edge_index[:, edges], graph.x * words)
        embeddings.append(method.encoder(view.full_batch()))
    return embeddings


def as_in_the_authors_code(views: list[Tensor], trade_off: float) -> float:
    """Their loss, column by column in float64: minus the trace of the cross-correlation, and decorrelation."""
    one, two = ([[(v - sum(c) / len(c)) for v in c] for c in view.detach().double().T.tolist()] for view in views)
    unit = [[[v / sum(w * w for w in c) ** 0.5 for v in c] for c in view] for view in (one, two)]
    loss = 0.0
    for j, column in enumerate(unit[0]):
        loss -= sum(a * b for a, b in zip(column, unit[1][j], strict=True))
        for view in unit:
            for k, other in enumerate(view):
                inner = sum(a * b for a, b in zip(view[j], other, strict=True))
                loss += trade_off * (inner - (j == k)) ** 2
    return loss


def test_loss_is_that_of_the_authors_of_two_draws_with_half_the_trade_off() -> None:
    graph = toy_graph()
    method = made(graph, drop_edge=0.3, mask_feature=0.4, decorrelation=0.2)
    loss = seeded_loss(method, graph.full_batch(), 3)
    method.reseed(3, CPU)
    views = two_draws(method, graph, 0.3, 0.4)
    theirs = as_in_the_authors_code(views, 0.1)
    torch.testing.assert_close(loss.item(), 2 * theirs + 2 * 8, rtol=1e-4, atol=1e-4)


def test_what_is_compared_is_the_embedding_itself() -> None:
    method = made(toy_graph())
    assert {id(p) for p in method.parameters()} == {id(p) for p in method.encoder.parameters()}
    rows = torch.randn(5, 8)
    assert torch.equal(method.project(rows), rows)


def test_ten_steps_raise_the_correlation_of_the_views() -> None:
    graph = toy_graph()
    method = made(graph, decorrelation=0.01)

    def agreement() -> float:
        with torch.no_grad():
            method.reseed(9, CPU)
            one, two = ((z - z.mean(0)) / z.std(0) for z in two_draws(method, graph, 0.4, 0.1))
        return (one * two).mean().item()

    before = agreement()
    train(method, graph.full_batch(), steps=10, lr=0.01)
    assert agreement() > before + 0.02


def test_decorrelation_keeps_the_dimensions_apart() -> None:
    """Without it all columns may tell the same, which is the collapse that the paper is about."""
    graph, shared = toy_graph(), []
    for decorrelation in (0.0, 0.5):
        method = made(graph, decorrelation=decorrelation)
        train(method, graph.full_batch(), steps=40, lr=0.01)
        with torch.no_grad():
            correlation = torch.corrcoef(method.embed(graph.full_batch()).T)
        shared.append((correlation - torch.eye(8)).square().mean().item())
    assert shared[1] < 0.5 * shared[0], shared


def test_it_trains_on_sampled_batches() -> None:
    graph = toy_graph(num_nodes=96)
    method = made(graph)
    sampler = graphsage(graph, batch_size=32, num_layers=2, seed=0)
    result = pretrain(method, sampler, TrainConfig(epochs=8, lr=1e-2), seed=0)
    assert result.curve[-1].loss < result.curve[0].loss


def test_the_preset_has_the_authors_trade_off_in_units_of_the_paper() -> None:
    config = resolve(Request("CCA-SSG"), Subject("CiteSeer", "CiteSeer", "node", "P1"))
    assert config.method.options["decorrelation"] == 2 * 5e-4
    assert (config.encoder.options["num_layers"], config.train.epochs) == (1, 20)
