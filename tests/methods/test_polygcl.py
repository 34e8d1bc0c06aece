"""PolyGCL: what nodes are at low and at high frequencies, told from shuffled features."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.method import MAIN
from gssl.methods.polygcl import PolyGCL
from gssl.models.mlp import MLPEncoder
from gssl.registry import SAMPLERS
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch
from gssl.samplers.named import clustergcn
from gssl.testing.toy import toy_graph
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

CPU = torch.device("cpu")


def make(graph: Graph, **options: object) -> PolyGCL:
    torch.manual_seed(0)
    encoder = MLPEncoder(graph.in_dim, hidden_dim=16, num_layers=1)
    return PolyGCL(encoder, **{"order": 4, **options})  # type: ignore[arg-type]  # mixed values


def test_the_loss_is_the_cross_entropy_of_all_four_views() -> None:
    graph = toy_graph()
    method = make(graph, drop_features=0, drop_filtered=0)
    low, high = method.filters
    with torch.no_grad():
        low.steps.copy_(torch.tensor([0.2, 0.9, 0.4, 0.1]))
        method.share.copy_(torch.tensor([0.3, 0.9]))
    batch = graph.full_batch()
    method.reseed(1, CPU)
    shuffled = method.shuffle(batch, torch.Generator().manual_seed(1))
    real = [method.encoder(view(batch, method.rng)) for view in (low, high)]
    fake = [method.encoder(view(shuffled, method.rng)) for view in (low, high)]
    summary = F.relu((0.3 * real[0] + 0.9 * real[1]).mean(0))
    logits = [
        torch.stack([row @ method.discriminator @ summary + method.bias for row in rows]) for rows in (*real, *fake)
    ]
    labels = torch.cat([torch.ones(96), torch.zeros(96)])
    expected = F.binary_cross_entropy_with_logits(torch.cat(logits), labels)
    torch.testing.assert_close(method.loss(batch), expected)
    torch.testing.assert_close(method.eval().embed(batch), 0.3 * real[0] + 0.9 * real[1])


def test_features_are_dropped_before_and_after_the_filters_in_training_only() -> None:
    graph = toy_graph()
    seen: list[Tensor] = []

    class Watching(MLPEncoder):
        def forward(self, batch: MiniBatch) -> Tensor:
            assert isinstance(batch.x, Tensor)
            seen.append(batch.x.detach())
            return super().forward(batch)

    torch.manual_seed(0)
    method = PolyGCL(Watching(graph.in_dim, hidden_dim=8, num_layers=1), order=2, drop_features=0.5, drop_filtered=0.5)
    batch = graph.full_batch()
    method.eval().embed(batch)
    clean = seen.copy()
    seen.clear()
    method.train().loss(batch)
    assert len(seen) == 4
    for view, whole in zip(seen, clean, strict=False):
        there = whole != 0
        assert 0.4 < float((view[there] == 0).float().mean()) < 0.7  # the second dropout, at least
    assert not torch.equal(seen[0] == 0, seen[1] == 0)


def test_filters_have_a_rate_and_a_decay_of_their_own() -> None:
    graph = toy_graph()
    method = make(graph, filter_rate=0.1, filter_decay=0.5)
    player = method.players()[MAIN]
    (group,) = player.groups
    mine = {id(p) for p in (*method.learned_views.parameters(), method.share)}
    assert {id(p) for p in group.parameters} == mine
    assert mine < {id(p) for p in player.parameters}
    # The first step of Adam moves every parameter by its rate, whatever the gradient.
    before = {name: p.detach().clone() for name, p in method.named_parameters()}
    pretrain(method, FullBatch(graph), TrainConfig(epochs=1, lr=0.01), seed=0)
    for name, p in method.named_parameters():
        moved = (p.detach() - before[name]).abs()
        rate = 0.001 if id(p) in mine else 0.01
        assert moved.max().item() == pytest.approx(rate, rel=1e-2), name


def test_batch_norm_comes_before_the_encoder() -> None:
    graph = toy_graph()
    plain, normed = make(graph), make(graph, norm=True)
    assert isinstance(plain.norm, nn.Identity)
    assert isinstance(normed.norm, nn.BatchNorm1d)
    assert normed.norm.num_features == graph.in_dim
    assert normed.norm.momentum == 0.01


def test_ten_steps_tell_nodes_from_shuffled_ones() -> None:
    graph = toy_graph()
    method = make(graph, drop_features=0.1, drop_filtered=0.1)

    @torch.no_grad()
    def margin() -> float:
        batch = graph.full_batch()
        shuffled = method.shuffle(batch, torch.Generator().manual_seed(9))
        method.eval()
        real, fake = method._seen(batch), method._seen(shuffled)
        summary = method.discriminator @ method._combined(real).mean(0).relu()
        method.train()
        return float(torch.cat(real).mv(summary).mean() - torch.cat(fake).mv(summary).mean())

    before = margin()
    pretrain(method, FullBatch(graph), TrainConfig(epochs=10, lr=0.05), seed=0)
    assert margin() > 2 * before


def test_both_frequencies_are_in_the_embedding_of_a_heterophilous_graph() -> None:
    """Features of neighbors differ by class on a bipartite graph: the low-pass view alone mixes the classes."""
    side = torch.arange(40) % 2
    there = torch.rand(40, 40, generator=torch.Generator().manual_seed(0)) < 0.3
    there = (there | there.T) & (side[:, None] != side[None])
    x = torch.randn(40, 8, generator=torch.Generator().manual_seed(1)) + (2.0 * side - 1)[:, None]
    graph = Graph.from_edge_index(there.nonzero().T, x)
    method = make(graph).eval()
    low, high = method.filters
    batch = graph.full_batch()
    filtered = [dense_features(view(batch, method.rng).x) for view in (low, high)]
    apart = [float(x[side == 1].mean() - x[side == 0].mean()) for x in filtered]
    assert apart[1] > 3 * abs(apart[0])


@pytest.mark.parametrize("sampler", [clustergcn, SAMPLERS.get("uniform+induced")])
def test_it_trains_on_subgraphs(sampler: Callable[..., Sampler]) -> None:
    graph = toy_graph(num_nodes=96)
    method = make(graph, drop_features=0.1, drop_filtered=0.1)
    batches = sampler(graph, batch_size=32, num_layers=1, seed=0)
    losses = [r.loss for r in pretrain(method, batches, TrainConfig(epochs=12, lr=1e-2), seed=0).curve]
    assert sum(losses[-3:]) < sum(losses[:3])


@pytest.mark.parametrize("name", ["graphsage", "labor", "shadow"])
def test_batches_that_are_no_subgraph_are_refused(name: str) -> None:
    graph = toy_graph()
    sampler = SAMPLERS.get(name)(graph, num_layers=1, batch_size=8)
    with pytest.raises(InputError, match=r"PolyGCL filters.*clustergcn, graphsaint or uniform\+induced"):
        pretrain(make(graph), sampler, TrainConfig(epochs=1), seed=0)


def test_weights_mean_repetition_in_summary_and_mean() -> None:
    graph = toy_graph()
    method = make(graph, drop_features=0, drop_filtered=0)
    rows = [torch.randn(5, 16, generator=torch.Generator().manual_seed(s)) for s in range(4)]
    count = torch.tensor([1, 2, 1, 3, 0])
    batch = replace(graph.full_batch(), weight=count.float())
    twice = [r.repeat_interleave(count, 0) for r in rows]
    torch.testing.assert_close(method.contrast(batch, *rows), method.contrast(graph.full_batch(), *twice))
