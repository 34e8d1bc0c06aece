"""AUG-MAE: an adversary hides nodes that are hard to reconstruct, more and more of them; directions are kept apart."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.nn import GCNConv

from gssl.common.errors import InputError
from gssl.common.options import validate
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.method import MAIN
from gssl.methods import augmae
from gssl.methods.augmae import AUGMAE, extreme
from gssl.models.gcn import GCN
from gssl.objectives.uniformity import uniformity
from gssl.registry import SAMPLERS
from gssl.samplers.full import FullBatch
from gssl.testing.toy import toy_batch, toy_graph, toy_graphs
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

CPU = torch.device("cpu")


def method_of(in_dim: int = 24, **options: Any) -> AUGMAE:
    torch.manual_seed(0)
    checked = validate(AUGMAE, {"decoder": "GCN", **options}, what="AUG-MAE")
    method = AUGMAE(GCN(in_dim, hidden_dim=8, activation="elu"), **checked)
    method.prepare(toy_graph(), 0)
    with torch.no_grad():
        method.token.add_(0.3)
    return method


def choosing(method: AUGMAE, hidden: Tensor) -> None:
    """Let the adversary hide these nodes (n,), bool, surely, whatever it has learned."""
    logits = torch.where(hidden.unsqueeze(1), torch.tensor([60.0, -60.0]), torch.tensor([-60.0, 60.0]))
    method.adversary.forward = lambda batch: logits.requires_grad_()  # type: ignore[method-assign]


def far(x: Tensor, y: Tensor, gamma: float) -> Tensor:
    error: Tensor = (1 - x @ y / (x.norm() * y.norm())) ** gamma
    return error


def test_uniformity_is_that_of_all_pairs() -> None:
    rows = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows[2] = 0  # a row without a direction is the origin
    unit = [row / row.norm() if bool(row.any()) else row for row in rows]
    cosines = [[float(a @ b) for b in unit] for a in unit]
    for t in (0.01, 1.0, 3.0):
        mean = sum(math.exp(2 * t * (c - 1)) for line in cosines for c in line) / 25
        assert uniformity(rows, t=t).item() == pytest.approx(math.log(mean), abs=1e-12)


def test_uniformity_has_its_closed_forms() -> None:
    assert uniformity(torch.ones(7, 2), t=4.0).item() == pytest.approx(0, abs=1e-6)
    opposite = torch.tensor([[1.0, 0.0], [-2.0, 0.0]])
    assert uniformity(opposite, t=0.5).item() == pytest.approx(math.log((1 + math.exp(-2)) / 2), abs=1e-6)
    assert uniformity(opposite, t=0.0).item() == 0
    rows = torch.randn(9, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    unit = rows / rows.norm(dim=1, keepdim=True)
    slope = uniformity(rows, t=1e-7).item() / 1e-7
    assert slope == pytest.approx(2 * float((unit @ unit.T).mean() - 1), rel=1e-5)


@pytest.mark.parametrize("t", [-0.1, math.nan, 1e4])
def test_widths_out_of_range_are_refused(t: float) -> None:
    with pytest.raises(InputError, match="uniformity"):
        uniformity(torch.eye(3), t=t)


def test_loss_is_the_papers() -> None:
    """Reconstruction of the nodes that the adversary hides, and the potential of the projected embeddings."""
    method = method_of(hardness=(0.75, 1.0), gamma=3.0, replace_rate=0.0, uniformity=0.8, mask_rate=0.1).eval().double()
    batch = toy_batch("node")
    batch = batch.with_x(dense_features(batch.x).double())
    choosing(method, torch.arange(48) % 3 == 0)
    method.reseed(0, CPU)
    view, target = method.hide(batch)
    method.reseed(0, CPU)
    loss = method.loss(batch)

    def convolved(layer: Any, x: Tensor) -> Tensor:
        convolution = GCNConv(*layer.weight.shape).double()
        convolution.lin.weight.data, convolution.bias.data = layer.weight.data.T, layer.bias.data
        out: Tensor = convolution(x, batch.blocks[0].edge_index)
        return out

    hidden = set(target.rows.tolist())
    x = dense_features(batch.x)
    rows = torch.stack([method.token if i in hidden else x[i] for i in range(48)])
    torch.testing.assert_close(dense_features(view.x), rows)
    for layer in method.encoder.layers:  # type: ignore[union-attr]
        rows = torch.nn.functional.elu(convolved(layer, rows))
    codes = rows @ method.encoder_to_decoder.weight.T
    decoded = convolved(method.decoder, torch.stack([0 * c if i in hidden else c for i, c in enumerate(codes)]))
    error = torch.stack([far(decoded[i], x[i], 3.0) for i in hidden]).mean()
    spread = [torch.relu(row @ method.spread.weight.T) for row in rows]
    mean = sum(torch.exp(2 * 0.8 * 0.25 * (torch.cosine_similarity(a, b, dim=0) - 1)) for a in spread for b in spread)
    torch.testing.assert_close(loss, error + torch.log(torch.as_tensor(mean) / 48**2))


@pytest.mark.parametrize(("hard", "least", "most"), [(0.0, 24, 24), (1.0, 16, 17), (0.5, 16.5, 19.5)])
def test_chance_has_the_share_that_the_adversary_has_not(hard: float, least: float, most: float) -> None:
    """The adversary would hide 16 of 48 nodes, chance hides half of its share; both may hide the same node."""
    method, batch = method_of(hardness=(hard, hard), mask_rate=0.5), toy_batch("node")
    choosing(method, torch.arange(48) < 16)
    counts = []
    for seed in range(20):
        method.reseed(seed, CPU)
        counts.append(len(method.hide(batch)[1].rows))
    assert least <= sum(counts) / 20 <= most
    assert max(counts) <= 12 + 16 or hard == 0


def test_the_share_of_the_adversary_grows_with_training() -> None:
    method = method_of(hardness=(0.2, 0.8), hardness_power=2.0)
    shares = []
    for progress in (0.0, 0.5, 1.0):
        method.after_step(progress)
        shares.append(method.hard)
    assert shares == pytest.approx([0.2, 0.35, 0.8])
    assert "progress" in method.state_dict()


def test_one_node_is_hidden_at_least() -> None:
    method, batch = method_of(hardness=(1.0, 1.0)), toy_batch("node")
    choosing(method, torch.zeros(48, dtype=torch.bool))
    assert len(method.hide(batch)[1].rows) == 1
    assert bool(method.loss(batch).isfinite())
    assert bool(method.adversary_loss(batch).isfinite())


def test_hidden_features_are_not_seen() -> None:
    method, batch = method_of(replace_rate=0.0, hardness=(0.5, 0.5)), toy_batch("node")
    method.reseed(0, CPU)
    view, target = method.hide(batch)
    seen = dense_features(view.x)
    assert torch.equal(seen[target.rows], method.token.expand(len(target.rows), -1))
    others = torch.ones(48, dtype=torch.bool).index_fill(0, target.rows, False)
    assert torch.equal(seen[others], dense_features(batch.x)[others])


def test_the_gradient_of_the_adversary_is_that_of_visible_features_it_decides_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each is multiplied by its choice, so that the gradient is their product with their own gradient."""
    method, batch = method_of(hardness=(0.75, 0.75), mask_rate=0.2, replace_rate=0.1).eval(), toy_batch("node")
    hidden = (torch.arange(48) % 3 == 0).float()
    choice = torch.stack([hidden, 1 - hidden], dim=1).requires_grad_()
    monkeypatch.setattr(augmae, "gumbel_choice", lambda logits, rng: choice)
    method.reseed(0, CPU)
    attack = method.attack(batch)
    features = dense_features(attack.view.x)
    error = method.error(method.encoder(attack.view), attack.view, attack.target)
    by_feature, by_choice = torch.autograd.grad(error, (features, choice))
    expected = (by_feature * dense_features(batch.x)).sum(1)
    expected[attack.target.rows] = 0
    heard = by_choice[:, 1] != 0
    assert 20 < int(heard.sum()) < 36, "three quarters of the nodes, less those that are hidden"
    torch.testing.assert_close(by_choice[heard, 1], expected[heard])
    assert not by_choice[:, 0].any()


def test_the_adversary_raises_the_error_and_the_autoencoder_lowers_it() -> None:
    method, batch = method_of(hardness=(1.0, 1.0), penalty=0.1, uniformity=0.0), toy_batch("node")
    players = method.players()
    assert list(players) == ["adversary", MAIN]
    names = {id(p): name for name, p in method.named_parameters()}
    theirs = {names[id(p)].partition(".")[0] for p in players["adversary"].parameters}
    ours = {names[id(p)].partition(".")[0] for p in players[MAIN].parameters}
    assert theirs == {"adversary"}
    assert ours == {"encoder", "token", "encoder_to_decoder", "decoder"}

    def error() -> float:
        method.reseed(1, CPU)
        attack = method.attack(batch)
        return method.error(method.encoder(attack.view), attack.view, attack.target).item()

    before = error()
    optimizer = torch.optim.SGD(players[MAIN].parameters, lr=0.2)
    for _ in range(10):
        optimizer.zero_grad()
        method.reseed(1, CPU)
        method.loss(batch).backward()
        optimizer.step()
    assert error() < before
    method.reseed(1, CPU)
    attack = method.attack(batch)
    told = -method.error(method.encoder(attack.view), attack.view, attack.target)
    method.reseed(1, CPU)
    torch.testing.assert_close(method.adversary_loss(batch), told + 0.1 * extreme(attack.share, 48))


def test_the_penalty_is_least_at_a_half_and_finite_at_the_ends() -> None:
    shares = torch.linspace(0, 1, 11).requires_grad_()
    values = torch.stack([extreme(share, 10) for share in shares])
    assert values.argmin().item() == 5
    assert values[5].item() == pytest.approx(1)
    assert values[3].item() == pytest.approx(1 / math.sin(0.3 * math.pi), rel=1e-5)
    assert bool(values.isfinite().all())
    (gradient,) = torch.autograd.grad(values.sum(), shares)
    assert gradient[0] < 0 < gradient[-1], "where none is hidden, hiding must pay"


def test_graphs_are_pooled_without_their_hidden_nodes() -> None:
    graph = toy_graphs()
    method = method_of(4, uniformity=1.0, hardness=(0.5, 0.5)).eval()
    batch = graph.full_batch()
    method.reseed(0, CPU)
    view, target = method.hide(batch)
    nodes = torch.randn(batch.num_nodes, 8, generator=torch.Generator().manual_seed(0))
    assert batch.graph_ptr is not None
    hidden = set(target.rows.tolist())
    rows = []
    for start, end in zip(batch.graph_ptr[:-1].tolist(), batch.graph_ptr[1:].tolist(), strict=True):
        seen = [nodes[i] for i in range(start, end) if i not in hidden]
        rows.append(sum(seen, torch.zeros(8)))
    expected = uniformity(torch.relu(torch.stack(rows) @ method.spread.weight.T), t=0.5)
    torch.testing.assert_close(method.crowding(nodes, view, target), expected)


def test_weights_of_graphs_are_those_of_their_nodes_in_the_share() -> None:
    graph = Graph.from_edge_index(torch.tensor([[0, 1], [1, 0]]), torch.eye(4), ptr=torch.tensor([0, 2, 4]))
    method = method_of(4)
    batch = graph.full_batch()
    weighted = replace(batch, weight=torch.tensor([3.0, 1.0]))
    choosing(method, torch.tensor([True, False, True, True]))
    assert method.attack(weighted).share.item() == pytest.approx((3 + 1 + 1) / 8)


def test_sparse_and_dense_features_are_one_loss() -> None:
    """Where the adversary stands still, sparse features stay sparse."""
    losses = []
    for kind in ("node", "node-sparse"):
        method = method_of(replace_rate=0.2).eval()
        method.adversary.requires_grad_(False)
        method.reseed(0, CPU)
        losses.append(method.loss(toy_batch(kind)))
    torch.testing.assert_close(*losses)


def test_training_updates_both_and_counts_its_progress() -> None:
    method = method_of()
    before = {name: p.clone() for name, p in method.named_parameters()}
    pretrain(method, FullBatch(toy_graph()), TrainConfig(epochs=3, lr=0.01), seed=0)
    moved = {name.partition(".")[0] for name, p in method.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"adversary", "encoder", "token", "encoder_to_decoder", "decoder", "spread"}
    assert float(method.progress) == 1


@pytest.mark.parametrize("sampler", ["graphsage", "shadow", "gas", "uniform+exact"])
def test_batches_that_are_no_subgraph_are_refused(sampler: str) -> None:
    method = method_of()
    made = SAMPLERS.get(sampler)(toy_graph(), num_layers=method.num_layers, batch_size=16)
    with pytest.raises(InputError, match=r"AUG-MAE decides for each node.*clustergcn"):
        pretrain(method, made, TrainConfig(epochs=1), seed=0)


@pytest.mark.parametrize(
    ("option", "value"),
    [("hardness", [0.5]), ("hardness.1", 1.5), ("uniformity", -1), ("penalty", -0.1), ("hardness_power", 0)],
)
def test_options_out_of_range_are_refused(option: str, value: Any) -> None:
    name, _, place = option.partition(".")
    with pytest.raises(InputError, match=name):
        method_of(24, **{name: [0.5, value] if place else value})
