"""ARGA and ARGVA: a graph auto-encoder against a discriminator of its embeddings."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.nn.models import autoencoder

from gssl.common.options import options_of, validate
from gssl.graph.batch import MiniBatch
from gssl.methods.arga import ARGA, ARGVA
from gssl.methods.gae import GAE
from gssl.methods.vgae import VGAE
from gssl.models.gcn import GCN
from gssl.registry import SAMPLERS
from gssl.samplers.pair import PairSampler
from gssl.testing.toy import toy_batch, toy_graph
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

CPU = torch.device("cpu")


def encoder_of(in_dim: int = 24) -> GCN:
    torch.manual_seed(0)
    return GCN(in_dim, hidden_dim=16, out_dim=8, final_activation=False)


def method_of(kind: type[ARGA], **options: object) -> ARGA:
    return kind(encoder_of(), **validate(kind, options, what=kind.__name__))


def value(function: object, method: GAE, batch: MiniBatch, seed: int = 3) -> Tensor:
    method.reseed(seed, CPU)
    result: Tensor = function(batch)  # type: ignore[operator]
    return result


def test_the_encoder_lowers_reconstruction_error_and_what_it_gives_away() -> None:
    method, batch = method_of(ARGA, adversarial_weight=0.7), toy_batch("node")
    plain = GAE(method.encoder)
    told = autoencoder.ARGA(nn.Identity(), method.discriminator).reg_loss(method.encoder(batch))
    expected = value(plain.loss, plain, batch) + 0.7 * told
    torch.testing.assert_close(value(method.loss, method, batch), expected)


def test_the_discriminator_tells_draws_of_the_prior() -> None:
    method, batch = method_of(ARGA), toy_batch("node")
    loss = value(method.discriminator_loss, method, batch)
    z = method.encoder(batch)
    prior = torch.randn(z.shape, generator=torch.Generator().manual_seed(3))
    real, fake = (torch.sigmoid(method.discriminator(rows)) for rows in (prior, z))
    torch.testing.assert_close(loss, -real.log().mean() - (1 - fake).log().mean())


def test_each_loss_reaches_its_own_player() -> None:
    method, batch = method_of(ARGA), toy_batch("node")
    players = method.players()
    assert list(players) == ["discriminator", "method"]
    value(method.discriminator_loss, method, batch).backward()
    assert all(p.grad is None for p in method.encoder.parameters())
    assert all(p.grad is not None for p in players["discriminator"].parameters)
    known = {id(p) for player in players.values() for p in player.parameters}
    assert known == {id(p) for p in method.parameters()}
    assert sum(len(player.parameters) for player in players.values()) == len(known), "nobody has two players"


def test_each_player_has_a_rate_of_its_own() -> None:
    graph = toy_graph()
    moved = {}
    for rate in (1e-9, 1e-2):
        method = method_of(ARGA, discriminator_lr=rate)
        before = {name: p.detach().clone() for name, p in method.named_parameters()}
        pretrain(method, SAMPLERS.get("full")(graph), TrainConfig(epochs=2, lr=1e-3), seed=0)
        for part in ("encoder", "discriminator"):
            steps = [(p - before[n]).abs().max() for n, p in method.named_parameters() if n.startswith(part)]
            moved[part, rate] = max(step.item() for step in steps)
    assert moved["discriminator", 1e-9] < 1e-6
    assert moved["discriminator", 1e-2] > 1e-3
    assert moved["encoder", 1e-9] == pytest.approx(moved["encoder", 1e-2], rel=0.5)


def test_what_the_discriminator_has_learnt_draws_embeddings_to_the_prior() -> None:
    """It learns to tell them, and the encoder then moves them to where it cannot."""
    method, batch = method_of(ARGA, adversarial_weight=100.0), toy_batch("node")
    method.encoder.layers[1].bias.data[:4] = 3.0  # type: ignore[index, union-attr]
    players, losses = method.players(), []
    for name, loss, steps, rate in (
        ("discriminator", method.discriminator_loss, 60, 1e-2),
        ("method", method.loss, 40, 1e-2),
    ):
        optimizer = torch.optim.Adam(players[name].parameters, lr=rate)
        distance = [method.embed(batch).detach().mean(0).norm()]
        for step in range(steps):
            optimizer.zero_grad()
            losses.append(value(loss, method, batch, seed=step))
            losses[-1].backward()
            optimizer.step()
        distance.append(method.embed(batch).detach().mean(0).norm())
    assert losses[59] < 0.3 * losses[0] < losses[60]
    assert distance[1] < 0.95 * distance[0]
    assert losses[-1] < 0.8 * losses[60]


def test_weights_count_in_both_losses() -> None:
    """A weight of 2 means what being there twice means."""
    method, batch = method_of(ARGA), toy_batch("node")
    weight = torch.arange(1.0, batch.num_targets + 1)
    weighted = replace(batch, weight=weight)
    z = method.encoder(batch)
    judged = method.judged(z)
    repeated = torch.cat([judged[i : i + 1].repeat(i + 1) for i in range(batch.num_targets)])
    plain = GAE(method.encoder)
    expected = value(plain.loss, plain, weighted) + nn.functional.softplus(-repeated).mean()
    torch.testing.assert_close(value(method.loss, method, weighted), expected)
    prior = torch.randn(z.shape, generator=torch.Generator().manual_seed(3))
    expected = nn.functional.softplus(-method.judged(prior)).mean() + nn.functional.softplus(repeated).mean()
    torch.testing.assert_close(value(method.discriminator_loss, method, weighted), expected)


def test_argva_is_vgae_whose_draws_are_judged() -> None:
    method, batch = method_of(ARGVA, adversarial_weight=0.3, kl_weight=0.1), toy_batch("node")
    assert method.embedding_dim == 4
    assert method.discriminator.lins[0].weight.shape[1] == 4
    plain = VGAE(method.encoder, kl_weight=0.1)
    embedding = method.encoder(batch)
    method.reseed(3, CPU)
    method.pretext(batch)
    draws = method.codes(embedding)
    told = nn.functional.softplus(-method.judged(draws)).mean()
    torch.testing.assert_close(value(method.loss, method, batch), value(plain.loss, plain, batch) + 0.3 * told)
    assert torch.equal(method.embed(batch), embedding[:, :4])
    fresh = value(method.discriminator_loss, method, batch, seed=4)
    assert fresh != value(method.discriminator_loss, method, batch, seed=5), "draws, not means, are judged"


def test_argva_has_the_options_of_both() -> None:
    assert list(options_of(ARGVA)) == [
        *("negatives_per_edge", "kl_weight", "adversarial_weight", "discriminator_lr", "discriminator_dims")
    ]


@pytest.mark.parametrize("sampler", ["gas", "lmc", "uniform+adjoint", "vrgcn"])
def test_the_discriminator_reads_a_history_that_the_encoder_alone_writes(sampler: str) -> None:
    """Two encoder calls a batch would keep two histories, one of which refreshing leaves behind."""
    method, graph = method_of(ARGA), toy_graph(num_nodes=60)
    source = SAMPLERS.get(sampler)(graph, num_layers=2, batch_size=20)
    pretrain(method, source, TrainConfig(epochs=2, lr=1e-3), seed=0)
    assert isinstance(source, PairSampler)
    assert source.store is not None
    assert {place.slot for place in source.store.places} == {0}
