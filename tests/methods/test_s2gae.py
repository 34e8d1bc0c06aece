"""S2GAE: directed edges are hidden, and all layers of both ends tell them from others."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from gssl.common.errors import InputError
from gssl.common.options import validate
from gssl.graph.batch import MiniBatch
from gssl.methods.s2gae import S2GAE
from gssl.models.gcn import GCN
from gssl.models.sage import SAGE
from gssl.registry import SAMPLERS
from gssl.testing.toy import toy_batch, toy_graph
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

CPU = torch.device("cpu")


def method_of(**options: object) -> S2GAE:
    torch.manual_seed(0)
    encoder = GCN(24, hidden_dim=8, num_layers=2)
    return S2GAE(encoder, **validate(S2GAE, {"decoder_dim": 16, **options}, what="S2GAE"))


def edges_of(batch: MiniBatch) -> set[tuple[int, int]]:
    return set(map(tuple, batch.blocks[-1].edge_index.T.tolist()))


def test_loss_is_the_cross_entropy_of_the_decoder_on_all_layers() -> None:
    method, batch = method_of(p=0.5).eval(), toy_batch("node")
    method.reseed(2, CPU)
    view, target = method.pretext(batch)
    method.reseed(2, CPU)
    loss = method.loss(batch)
    layers = method.encoder.outputs(view)
    assert len(layers) == 2
    logits = []
    for source, sink in (target.positive, target.negative):
        x = torch.cat([ours[source] * theirs[sink] for ours in layers for theirs in layers], dim=1)
        for lin in method.decoder.mlp.lins[:-1]:
            x = F.relu(lin(x))
        logits.append(method.decoder.mlp.lins[-1](x).squeeze(1))
    bce = F.binary_cross_entropy_with_logits
    expected = bce(logits[0], torch.ones_like(logits[0])) + bce(logits[1], torch.zeros_like(logits[1]))
    torch.testing.assert_close(loss, expected)


def test_each_direction_is_hidden_by_itself() -> None:
    """Of the hidden edges a share of 1 - p can be seen the other way."""
    method, batch = method_of(p=0.6), toy_batch("node")
    known, opposite, hidden = edges_of(batch), 0, 0
    for seed in range(20):
        method.reseed(seed, CPU)
        view, target = method.pretext(batch)
        gone = set(map(tuple, target.positive.T.tolist()))
        assert edges_of(view) == known - gone
        assert gone <= known
        assert not set(map(tuple, target.negative.T.tolist())) & known
        hidden += len(gone)
        opposite += sum((v, u) not in gone for u, v in gone)
    assert hidden / (20 * len(known)) == pytest.approx(0.6, abs=0.03)
    assert opposite / hidden == pytest.approx(0.4, abs=0.04)


def test_both_directions_may_be_hidden_together() -> None:
    method, batch = method_of(undirected=True), toy_batch("node")
    method.reseed(0, CPU)
    view, target = method.pretext(batch)
    left = edges_of(view)
    assert all((u, v) not in left and (v, u) not in left for u, v in target.positive.T.tolist())


def test_embeddings_are_all_layers_side_by_side() -> None:
    method, batch = method_of().eval(), toy_batch("node")
    assert torch.equal(method.embed(batch), torch.cat(method.encoder.outputs(batch), dim=1))
    assert method.embedding_dim == 16


def test_gradient_norms_are_those_of_all_layers() -> None:
    """A sampler that wants them finds them at what the decoder is given."""
    method, seen = method_of(), []
    sampler = SAMPLERS.get("minvar+exact")(toy_graph(num_nodes=60), num_layers=2, batch_size=20, gamma=0.5)
    observe = sampler.observe

    def listen(batch: MiniBatch, gradient_norms: torch.Tensor) -> None:
        seen.append(gradient_norms)
        observe(batch, gradient_norms)

    sampler.observe = listen  # type: ignore[method-assign]
    pretrain(method, sampler, TrainConfig(epochs=1, lr=0.01), seed=0)
    assert seen
    assert all(bool((norms > 0).any()) for norms in seen)


def test_an_encoder_whose_layers_differ_in_width_is_refused() -> None:
    with pytest.raises(InputError, match=r"leave out encoder\.out_dim"):
        S2GAE(GCN(24, hidden_dim=8, out_dim=4))


def test_other_encoders_train() -> None:
    torch.manual_seed(0)
    method, batch = S2GAE(SAGE(24, hidden_dim=8, num_layers=3), decoder_dim=16, decoder_dropout=0.0), toy_batch("node")
    optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
    losses = []
    for step in range(40):
        method.reseed(step, CPU)
        optimizer.zero_grad()
        loss = method.loss(batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.97 * sum(losses[:5])
