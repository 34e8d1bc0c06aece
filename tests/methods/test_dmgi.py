"""DMGI: DGI by every meta-path, and an embedding that they agree on."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.spec import GraphSpec
from gssl.methods.dgi import DGI
from gssl.methods.dmgi import DMGI
from gssl.models.gcn import GCN
from gssl.models.metapath import MetaPathGCN
from gssl.testing.methods import train
from gssl.testing.toy import toy_hetero_graph

CPU = torch.device("cpu")
GRAPH = toy_hetero_graph()
BATCH = GRAPH.full_batch()


def made(seed: int = 0, consensus: float = 0.01, **encoder: Any) -> DMGI:
    torch.manual_seed(seed)
    options = {"hidden_dim": 8, "project": False, "activation": "relu", "self_weight": 4.0, "join": "mean", **encoder}
    method = DMGI(MetaPathGCN.for_graph(GraphSpec.of(GRAPH), **options), consensus=consensus)
    method.prepare(GRAPH, seed)
    return method


@pytest.mark.parametrize("join", ["mean", "node"])
def test_the_loss_is_that_of_every_path_and_of_the_consensus(join: str) -> None:
    """Node by node, from the dense adjacency of each meta-path."""
    method = made(join=join)
    method.reseed(5, CPU)
    loss = method.loss(BATCH)
    order = torch.randperm(48, generator=torch.Generator().manual_seed(5))
    assert isinstance(BATCH.x, Tensor)
    assert BATCH.hetero is not None
    rows: dict[str, list[Tensor]] = {"real": [], "fake": []}
    expected = torch.zeros(())
    for number, path in enumerate(BATCH.hetero.meta_paths):
        a = 4 * torch.eye(48)
        a[path.pattern.row.long(), path.pattern.col.long()] = 1
        scale = a.sum(1).rsqrt()
        layer = method.paths.layers[number]
        real, fake = (
            (scale[:, None] * a * scale @ x @ layer.weight + layer.bias).relu()  # type: ignore[operator]
            for x in (BATCH.x, BATCH.x[order])
        )
        summary = torch.sigmoid(real.mean(0))
        logits = torch.stack([rows_ @ method.discriminator @ summary for rows_ in (real, fake)])
        expected = expected + F.binary_cross_entropy_with_logits(logits, torch.tensor([[1.0] * 48, [0.0] * 48]))
        rows["real"].append(real)
        rows["fake"].append(fake)
    assert method.consensus is not None
    for sign, kind in ((1, "real"), (-1, "fake")):
        joined = method.paths.join(torch.stack(rows[kind]))
        expected = expected + sign * 0.01 * (method.consensus - joined).square().sum()
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)


def test_the_embedding_is_the_consensus() -> None:
    method = made()
    assert torch.equal(method.embed(BATCH), method.consensus)  # type: ignore[arg-type]  # made by prepare
    train(method, BATCH, steps=3, lr=1e-2)
    assert torch.equal(method.embed(BATCH), method.consensus)  # type: ignore[arg-type]


def test_the_consensus_nears_what_the_paths_say_and_leaves_what_they_say_of_shuffled_features() -> None:
    method = made(consensus=1.0)
    for parameter in method.encoder.parameters():
        parameter.requires_grad_(False)  # so that the consensus moves alone
    method.reseed(0, CPU)

    def gap() -> float:
        with torch.no_grad():
            method.reseed(0, CPU)
            shuffled = method.shuffle(BATCH, method.rng)
            near, far = ((method.embed(BATCH) - method.paths(view)).square().sum() for view in (BATCH, shuffled))
            return float(near - far)

    before = gap()
    train(method, BATCH, steps=10, lr=1e-2)
    assert gap() < before


def test_ten_steps_tell_the_graph_from_shuffled_features() -> None:
    method = made(consensus=0.0)

    def told_apart() -> float:
        with torch.no_grad():
            method.reseed(100, CPU)
            shuffled = method.shuffle(BATCH, method.rng)
            real, fake = method._along(BATCH), method._along(shuffled)
            summaries = [method.discriminator @ torch.sigmoid(rows.mean(0)) for rows in real]
            pairs = zip(real, fake, summaries, strict=True)
            return float(sum((r @ s).mean() - (f @ s).mean() for r, f, s in pairs))

    before = told_apart()
    train(method, BATCH, steps=10, lr=1e-2)
    assert told_apart() > before


def test_one_path_without_a_consensus_is_dgi() -> None:
    """DGI with the same encoder and discriminator has the same loss, draw by draw."""
    method = made(consensus=0.0, paths=("paper-author-paper",))
    plain = DGI(method.encoder)
    plain.discriminator.data = method.discriminator.detach().clone()
    losses = []
    for one in (method, plain):
        one.reseed(3, CPU)
        losses.append(one.loss(BATCH))
    torch.testing.assert_close(*losses)


def test_all_paths_have_one_discriminator_and_an_encoder_each() -> None:
    method = made()
    names = dict(method.named_parameters())
    assert sum(name == "discriminator" for name in names) == 1
    assert sum(name.startswith("encoder.layers") and name.endswith("weight") for name in names) == 2


def test_weights_mean_repetition_in_the_consensus() -> None:
    """Its part of the loss is a sum: an item of weight three adds its own distances twice more."""
    method = made(consensus=1.0)
    weight = torch.ones(48)
    weight[5] = 3.0

    def part(batch: MiniBatch) -> Tensor:
        return method_loss(method, batch) - method_loss(other, batch)

    other = made(consensus=0.0)
    heavy = replace(BATCH, weight=weight)
    method.reseed(0, CPU)
    shuffled = method.shuffle(BATCH, method.rng)
    own = method.embed(BATCH)[5]
    near, far = ((own - method.paths(view)[5]).square().sum() for view in (BATCH, shuffled))
    torch.testing.assert_close(part(heavy) - part(BATCH), 2 * (near - far), rtol=1e-3, atol=1e-4)


def method_loss(method: DMGI, batch: MiniBatch) -> Tensor:
    method.reseed(0, CPU)
    return method.loss(batch)


def test_other_graphs_have_no_consensus() -> None:
    """Weights of a training, put into a method for another graph, as a loaded run and a transfer do."""
    trained = made()
    train(trained, BATCH, steps=1, lr=1e-2)
    torch.manual_seed(1)
    other = DMGI(MetaPathGCN.for_graph(GraphSpec.of(GRAPH), hidden_dim=8, project=False, join="mean"))
    known = other.state_dict()
    other.load_state_dict({name: value for name, value in trained.state_dict().items() if name in known}, strict=False)
    other.prepare(toy_hetero_graph(seed=1), 0)
    with pytest.raises(InputError, match=r"cannot embed other graphs.*embeddings\.npz"):
        other.embed(BATCH)
    again = made()
    again.load_state_dict(trained.state_dict())
    assert torch.equal(again.embed(BATCH), trained.embed(BATCH))


def test_encoders_without_an_output_for_each_path_are_refused() -> None:
    with pytest.raises(InputError, match="--encoder MetaPathGCN"):
        DMGI(GCN(24, hidden_dim=8))


def test_a_loss_needs_embeddings_of_the_nodes() -> None:
    method = DMGI(MetaPathGCN.for_graph(GraphSpec.of(GRAPH), hidden_dim=8))
    with pytest.raises(InputError, match="call prepare"):
        method.loss(BATCH)
