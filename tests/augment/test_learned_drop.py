"""Edges with learned probabilities."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from gssl.augment.learned_drop import LearnedDropEdge, relaxed_bernoulli
from gssl.common.errors import InputError
from gssl.models.gin import GIN
from gssl.samplers.named import graphsage
from gssl.testing.compare import assert_unchanged, snapshot
from gssl.testing.toy import toy_batch, toy_graph


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def augmenter() -> LearnedDropEdge:
    torch.manual_seed(0)
    return LearnedDropEdge(GIN(4, hidden_dim=8, num_layers=2, jk="last"), hidden_dim=5)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
def test_draws_exceed_a_half_with_the_probability_of_their_logit(temperature: float) -> None:
    logits = torch.tensor([-2.0, 0.0, 1.5]).repeat(40_000, 1)
    draws = relaxed_bernoulli(logits, generator(), temperature=temperature)
    torch.testing.assert_close((draws > 0.5).float().mean(0), torch.sigmoid(logits[0]), rtol=0, atol=0.01)
    assert bool(((draws >= 0) & (draws <= 1)).all())


def test_at_temperature_one_the_mean_is_that_of_the_logistic_distribution() -> None:
    """E sigmoid(l + noise) by numerical integration over the uniform number."""
    uniform = torch.linspace(0, 1, 200_001, dtype=torch.float64)[1:-1]
    expected = torch.sigmoid(0.7 + torch.logit(uniform)).mean()
    draws = relaxed_bernoulli(torch.full((200_000,), 0.7), generator())
    assert float(draws.mean()) == pytest.approx(float(expected), abs=0.003)


def test_low_temperatures_choose() -> None:
    draws = relaxed_bernoulli(torch.zeros(10_000), generator(), temperature=0.01)
    assert float(((draws < 0.01) | (draws > 0.99)).float().mean()) > 0.95


def test_an_edge_is_judged_by_its_source_and_its_destination(augmenter: LearnedDropEdge) -> None:
    batch = toy_batch("graph")
    nodes = augmenter.encoder(batch)
    logits = augmenter.logits(batch)
    first, _, second = augmenter.head
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    for number, (source, destination) in enumerate(batch.blocks[0].edge_index.T.tolist()):
        hidden = torch.relu(first.weight @ torch.cat([nodes[source], nodes[destination]]) + first.bias)
        torch.testing.assert_close(logits[number], (second.weight @ hidden + second.bias)[0])


def test_weights_of_the_batch_are_scaled(augmenter: LearnedDropEdge) -> None:
    augmenter.eval()
    batch = toy_batch("graph", attributes=True)
    before = snapshot(batch)
    view, kept = augmenter.weigh(batch, generator())
    assert_unchanged(batch, before)
    assert batch.blocks[0].weight is not None
    torch.testing.assert_close(view.blocks[0].weight, batch.blocks[0].weight * kept)
    assert view.blocks[0].edge_attr is batch.blocks[0].edge_attr
    assert view.blocks[0].pattern is batch.blocks[0].pattern
    bare = batch.map_blocks(lambda block: replace(block, weight=None))
    view, kept = augmenter.weigh(bare, generator())
    assert view.blocks[0].weight is kept


def test_every_parameter_of_the_augmenter_hears_of_the_edges(augmenter: LearnedDropEdge) -> None:
    view = augmenter(toy_batch("graph"), generator())
    assert view.blocks[0].weight is not None
    (view.blocks[0].weight * torch.rand(view.blocks[0].num_edges)).sum().backward()
    silent = [name for name, p in augmenter.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_batches_that_were_sampled_layer_by_layer_are_refused(augmenter: LearnedDropEdge) -> None:
    sampler = graphsage(toy_graph(in_dim=4), batch_size=4, num_layers=2, seed=0)
    with pytest.raises(InputError, match="needs whole graphs"):
        augmenter(next(iter(sampler.epoch(0))), generator())
