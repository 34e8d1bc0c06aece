"""Graph-JEPA against loops over graphs, and what it must not do."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.methods.graphjepa import GraphJEPA
from gssl.models.gin import GIN
from gssl.objectives.hyperbola import hyperbola_error, hyperbola_points
from gssl.registry import SAMPLERS
from gssl.testing.toy import toy_graph, toy_graphs

CPU = torch.device("cpu")


def method_of(graph: Graph, **options: object) -> GraphJEPA:
    torch.manual_seed(0)
    chosen = {"patches": 3, "targets": 2, "positions": 4, "layers": 1, "heads": 2, **options}
    encoder = GIN(4, hidden_dim=8, num_layers=2, jk="last", readout="mean")
    method = GraphJEPA(encoder, **chosen)  # type: ignore[arg-type]
    method.prepare(graph, 0)
    return method


def batch_of(graph: Graph, *, weighted: bool = False) -> MiniBatch:
    batch = graph.graph_batch(torch.tensor([4, 0, 2, 9, 7]))
    weight = torch.tensor([1.0, 3.0, 5.0, 2.0, 0.5], dtype=torch.float64) if weighted else None
    return replace(batch.with_x(dense_features(batch.x).double()), weight=weight)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_that_of_a_loop_over_graphs(weighted: bool) -> None:
    """Graph 2 is a single node, which teaches nothing."""
    graph = toy_graphs()
    method = method_of(graph, beta=0.3).double().eval()
    for parameter in method.target.parameters():  # another transformer than that of the context
        parameter.data.mul_(1.1)
    batch = batch_of(graph, weighted=weighted)
    method.reseed(5, CPU)
    loss = method.loss(batch)
    patches = method.cut(batch, method.moving)
    latents, members = method.latents(patches, batch), patches.view.graph_index()
    method.reseed(5, CPU)
    context, target, there, _ = method.chosen(patches)
    assert patches.graphs[context].tolist() == [0, 1, 3, 4]
    total, count = 0.0, 0.0
    for number, graph_number in enumerate([0, 1, 3, 4]):
        weight = 1.0 if batch.weight is None else float(batch.weight[graph_number])
        chosen = target[number][there[number]].tolist()
        assert len({int(context[number]), *chosen}) == 3
        assert {int(patches.graphs[patch]) for patch in chosen} == {graph_number}
        nodes = {patch: patches.rows[members == patch].tolist() for patch in (int(context[number]), *chosen)}
        place = {
            patch: method.place(method.returns[batch.node_ids[rows]].max(0).values.unsqueeze(0))
            for patch, rows in nodes.items()
        }
        own = int(context[number])
        one = torch.ones(1, 1, dtype=torch.bool)
        seen = method.context((latents[own] + place[own]).unsqueeze(0), one)[0, 0]
        common = torch.tensor([[len({*nodes[a]} & {*nodes[b]}) for b in chosen] for a in chosen], dtype=torch.float64)
        every = torch.ones(1, len(chosen), dtype=torch.bool)
        wanted = method.target.encoder(latents[chosen].unsqueeze(0), every, common.unsqueeze(0))[0]
        for row, patch in zip(wanted, chosen, strict=True):
            guess = method.predictor(seen + place[patch][0])
            angle = float(row.detach().mean())
            gaps = [
                abs(float(g) - w) for g, w in zip(guess.detach(), (math.cosh(angle), math.sinh(angle)), strict=True)
            ]
            total += weight * sum(gap**2 / 0.6 if gap < 0.3 else gap - 0.15 for gap in gaps) / 2
            count += weight
    assert loss.item() == pytest.approx(total / count, rel=1e-10)


def test_the_embedding_is_the_mean_of_what_the_slow_transformer_makes_of_all_patches() -> None:
    graph = toy_graphs()
    method, batch = method_of(graph).double().eval(), batch_of(graph)
    embedding = method.embed(batch)
    patches = method.cut(batch, method.still)
    latents, members = method.latents(patches, batch), patches.view.graph_index()
    for number in range(5):
        own = (patches.graphs == number).nonzero().squeeze(1).tolist()
        nodes = [patches.rows[members == patch].tolist() for patch in own]
        means = torch.stack([method.returns[batch.node_ids[rows]].mean(0) for rows in nodes])
        common = torch.tensor([[len({*a} & {*b}) for b in nodes] for a in nodes], dtype=torch.float64)
        every = torch.ones(1, len(own), dtype=torch.bool)
        rows = (latents[own] + method.place(means)).unsqueeze(0)
        expected = method.target.encoder(rows, every, common.unsqueeze(0))[0].mean(0)
        torch.testing.assert_close(embedding[number], expected, rtol=1e-9, atol=1e-10)


def test_points_lie_on_the_hyperbola_and_a_right_guess_costs_nothing() -> None:
    latent = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    points = hyperbola_points(latent)
    torch.testing.assert_close(points[:, 0] ** 2 - points[:, 1] ** 2, torch.ones(7, dtype=torch.float64))
    guess = points.detach().clone().requires_grad_()
    error = hyperbola_error(guess, latent)
    assert error.item() == 0
    error.backward()
    assert latent.grad is None, "a gradient to the targets would let them fall together"
    far = hyperbola_error(points.detach() + 3.0, latent, beta=1.0)
    assert far.item() == pytest.approx(2.5)  # 3 less half of beta
    with pytest.raises(InputError, match="a point for each of 7 latents"):
        hyperbola_error(points[:3], latent)
    with pytest.raises(InputError, match="positive"):
        hyperbola_error(points, latent, beta=0.0)


def test_targets_give_the_encoder_no_gradient() -> None:
    """What the encoder learns, it learns from the context: with its branch cut the gradient is zero."""
    graph = toy_graphs()
    method, batch = method_of(graph), graph.full_batch()
    patches = method.cut(batch, method.moving)
    latents = method.latents(patches, batch)
    _, target, there, _ = method.chosen(patches)
    assert not method.wanted(latents, patches, target, there, batch).requires_grad
    assert not any(p.requires_grad for p in method.target.parameters())
    assert latents.requires_grad


def test_the_target_follows_the_context_slowly() -> None:
    graph = toy_graphs()
    method = method_of(graph, momentum=0.9)
    before = copy.deepcopy(list(method.target.parameters()))
    for parameter in method.context.parameters():
        parameter.data.add_(1.0)
    method.after_step(0.7)
    for old, new in zip(before, method.target.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.1)


def test_every_epoch_cuts_anew_and_the_embedding_stays() -> None:
    graph = toy_graphs()
    method, twin = method_of(graph, drop=0.3), method_of(graph, drop=0.3)
    batch = graph.full_batch()
    still, cuts = method.eval().embed(batch), []
    for epoch in range(4):
        method.begin_epoch(epoch, lambda function: function(batch))
        cuts.append(method.moving.clone())
    assert any(not torch.equal(cuts[0], cut) for cut in cuts[1:])
    assert torch.equal(method.embed(batch), still)
    twin.begin_epoch(3, lambda function: function(batch))
    assert torch.equal(twin.moving, cuts[3])


def test_what_is_embedded_alone_is_what_is_embedded_in_a_batch() -> None:
    graph = toy_graphs()
    method = method_of(graph).eval()
    whole = method.embed(graph.full_batch())
    for number in (0, 2, 5):
        torch.testing.assert_close(method.embed(graph.graph_batch(torch.tensor([number])))[0], whole[number])


def test_ten_steps_bring_guesses_near_their_targets() -> None:
    graph = toy_graphs(num_graphs=20)
    method, batch = method_of(graph), graph.full_batch()
    optimizer = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], lr=0.01)
    losses = []
    for step in range(11):
        method.reseed(step, CPU)
        optimizer.zero_grad()
        loss = method.loss(batch)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        method.after_step((step + 1) / 11)
    assert losses[-1] < 0.5 * losses[0]


def test_what_does_not_fit_is_refused() -> None:
    graph = toy_graphs()
    with pytest.raises(InputError, match="patches to 2 at least"):
        method_of(graph, patches=1)
    with pytest.raises(InputError, match="3 heads cannot share 8 columns"):
        method_of(graph, heads=3)
    with pytest.raises(InputError, match="use a set of graphs"):
        method_of(toy_graph())
    torch.manual_seed(0)
    unprepared = GraphJEPA(GIN(4, hidden_dim=8), heads=2)
    with pytest.raises(InputError, match="call prepare"):
        unprepared.begin_epoch(0, lambda function: function(graph.full_batch()))
    alone = Graph.from_edge_index(torch.zeros(2, 0, dtype=torch.int64), torch.eye(4), ptr=torch.arange(5))
    method = method_of(alone)
    with pytest.raises(InputError, match="no graph has two nodes"):
        method.check_sampler(SAMPLERS.get("full")(alone))
    assert method.loss(alone.full_batch()).item() == 0
    assert bool(method.eval().embed(alone.full_batch()).isfinite().all())


def test_smooth_l1_is_torchs() -> None:
    guess, latent = torch.randn(6, 2, dtype=torch.float64), torch.randn(6, 3, dtype=torch.float64)
    expected: Tensor = F.smooth_l1_loss(guess, hyperbola_points(latent), beta=0.5)
    torch.testing.assert_close(hyperbola_error(guess, latent, beta=0.5), expected)
